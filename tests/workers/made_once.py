"""Model folders of which only the first is trained, and the others are copies."""

import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

P = ParamSpec("P")


def made_once(
    make: Callable[Concatenate[Path, P], Path],
) -> Callable[Concatenate[Path, P], Path]:
    """Let `make` run once a process for the same arguments."""

    @cache
    def files(*args: P.args, **kwargs: P.kwargs) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            made = make(Path(folder), *args, **kwargs)
            return {path.name: path.read_bytes() for path in made.iterdir()}

    @wraps(make)
    def copied(folder: Path, *args: P.args, **kwargs: P.kwargs) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files(*args, **kwargs).items():
            (folder / name).write_bytes(content)
        return folder

    return copied
