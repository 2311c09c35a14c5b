"""JSON Lines files to rows that are checked line by line."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from core.errors import Rejected

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_NO_OBJECT = frozenset({"json_invalid", "model_type", "model_attributes_type"})

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Row(BaseModel):
    """One line; keys that a task does not name are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


R = TypeVar("R", bound=Row)
T = TypeVar("T")


def read(paths: Sequence[Path], row: type[R]) -> tuple[R, ...]:
    """The rows of all files; a file may be gzipped, and blank lines are passed over.

    Raises: Rejected: a file cannot be read, has no rows, or has a wrong one; names file and line.
    """
    return tuple(one for path in paths for one in stream(path, row.model_validate_json))


def stream(path: Path, parse: Callable[[bytes], T]) -> Iterator[T]:
    """The same row by row for one file, which may be larger than memory.

    `parse` raises pydantic's ValidationError where a line is wrong.
    """
    number, empty = 0, True
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                content = (line.removeprefix(_BOM) if number == 1 else line).strip()
                if content:
                    empty = False
                    yield parse(content)
    except ValidationError as error:
        raise Rejected(f"{path}, line {number}: {_fault(error)}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Rejected(f"{path}: damaged gzip file") from error
    except OSError as error:
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if empty:
        raise Rejected(f"{path}: holds no rows")


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    return gzip.open(path) if packed else path.open("rb")


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] in _NO_OBJECT:
        return "not a JSON object on one line"
    if first["type"] == "missing":
        return f'"{key}" is missing'
    said = first["msg"].removeprefix("Value error, ")
    said = f"{said[:1].lower()}{said[1:]}"
    return f'"{key}": {said}' if key else said
