"""Files that are whole, and still there after a power cut."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put a text into a file: whoever opens it finds the one before or all of this one.

    Of several who do so at once, the last one's stays.
    Raises: OSError: the disk is full or not writable; the file is as it was.
    """
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is safely on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
