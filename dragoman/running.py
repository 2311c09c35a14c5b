"""How a command finds the desk that is already running on this machine."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The address of a running desk, and the token that proves we are its owner."""

    url: str
    token: str


def announce(data_dir: Path, running: Running) -> None:
    """Leave the address where commands of the same user find it."""
    path = _path(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(running), file)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def withdraw(data_dir: Path) -> None:
    """Take the address back when the desk stops."""
    with suppress(OSError):
        _path(data_dir).unlink()


def find(data_dir: Path) -> Running | None:
    """The desk that says it runs; one that was killed may still be named."""
    try:
        return Running(**json.loads(_path(data_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _path(data_dir: Path) -> Path:
    return data_dir / "running.json"
