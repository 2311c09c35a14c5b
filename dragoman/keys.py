"""Secrets that are made once and kept in a file."""

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.errors import Misconfigured


def kept_secret(path: Path, make: Callable[[], bytes] | None = None) -> bytes:
    """The secret in a file that only its owner can read, made on first use.

    Of several processes that are the first, one makes it, and none reads a half of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _keep_first(path, make() if make else secrets.token_urlsafe(32).encode())
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"cannot keep a key in {path}: {error.strerror}; set DRAGOMAN_DATA_DIR to a folder"
            " that can be written"
        ) from error


def _keep_first(path: Path, secret: bytes) -> None:
    """Write the secret there unless another was faster."""
    # Only its owner may read it, from the beginning: so mkstemp makes it.
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        Path(unfinished).unlink()
