"""JSON Lines files to rows that are checked line by line."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

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


def read(paths: Sequence[Path], row: type[R]) -> tuple[R, ...]:
    """The rows of all files; a file may be gzipped, and blank lines are passed over.

    Raises: Rejected: a file cannot be read, has no rows, or has a wrong one; names file and line.
    """
    return tuple(one for path in paths for one in _rows(path, row))


def _rows(path: Path, row: type[R]) -> list[R]:
    found = []
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(row.model_validate_json(line))
        except ValidationError as error:
            raise Rejected(f"{path}, line {number}: {_fault(error)}") from error
    if not found:
        raise Rejected(f"{path}: holds no rows")
    return found


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Rejected(f"{path}: damaged gzip file") from error
    except OSError as error:
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
    return data.removeprefix(_BOM)


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] in _NO_OBJECT or not key:
        return "not a JSON object on one line"
    if first["type"] == "missing":
        return f'"{key}" is missing'
    return f'"{key}": {first["msg"].removeprefix("Value error, ").lower()}'
