"""What a night worked with goes once it has ended: weights at once, words after some nights."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.nights import Order, VersionKind, version_folder

KEPT = 30
"""Of so many nights of a workspace the frozen sets stay, by which a version can be explained. Those
of a version that may still serve stay as well: an erasure finds by them what it had learnt from."""

# The version has its own copy.
_WEIGHTS = frozenset({".safetensors", ".onnx", ".bin", ".pt", ".pth"})
_FIGURES = frozenset({".json", ".html", ".png"})


def clear(order: Order) -> None:
    """Free the disk of what nobody can need again; what cannot be deleted stays."""
    # Articles as a candidate would index them.
    shutil.rmtree(order.folder / "trials", ignore_errors=True)
    with suppress(OSError):
        for path in (order.folder / "runs").rglob("*"):
            if path.suffix in _WEIGHTS:
                path.unlink()
        nights = [path for path in order.folder.parent.iterdir() if path.is_dir()]
        nights.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for old in nights[KEPT:]:
            if not _may_serve(order, old.name):
                _leave_figures(old)


def _may_serve(order: Order, slot: str) -> bool:
    made = replace(order, slot=slot)
    names = (made.version_name(kind) for kind in VersionKind)
    return any(version_folder(order.data_dir, order.workspace, name).exists() for name in names)


def _leave_figures(night: Path) -> None:
    for path in night.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix not in _FIGURES or path.name == "sample.html":
            path.unlink()
