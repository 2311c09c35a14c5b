"""Model folders of which only the first is trained, and the others are copies."""

import tempfile
from collections.abc import Callable, Hashable
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

Make = TypeVar("Make", bound=Callable[..., Path])


def made_once(make: Make) -> Make:
    """Let `make` run once a process for the same arguments after the folder."""

    @cache
    def files(*args: Hashable) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            made = make(Path(folder), *args)
            return {path.name: path.read_bytes() for path in made.iterdir()}

    @wraps(make)
    def copied(folder: Path, *args: Hashable) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files(*args).items():
            (folder / name).write_bytes(content)
        return folder

    found: Any = copied
    return found  # type: ignore[no-any-return]  # it takes what `make` takes
