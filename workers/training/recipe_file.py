"""Reads a YAML file into checked settings."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from core.errors import Rejected

T = TypeVar("T")


def read_settings(path: Path, form: TypeAdapter[T], *, skip: int = 0) -> T:
    """The settings in the YAML file `path`; `skip` is as in `faults`.

    Raises: Rejected: it cannot be read, or says what no `form` can; names the file.
    """
    content = _content(path)
    try:
        return form.validate_python(content)
    except ValidationError as error:
        raise Rejected(f"{path}: {faults(error, skip=skip)}") from error


def task_of(path: Path) -> str:
    """The task that a recipe names; empty if it names none.

    Raises: Rejected: it cannot be read.
    """
    return str(_content(path).get("task", ""))


def faults(error: ValidationError, *, skip: int = 0) -> str:
    """What is wrong where; `skip` parts of a place say only which kind of recipe it is."""
    found = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"][skip:])
        # YAML knows lists, not tuples.
        said = fault["msg"].removeprefix("Value error, ")
        said = f"{said[:1].lower()}{said[1:]}".replace("tuple", "list")
        found.append(f"{place}: {said}" if place else said)
    return "; ".join(found)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Rejected(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise Rejected(f"{path}: a recipe is a mapping of settings")
    return content
