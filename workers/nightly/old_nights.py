"""What a night worked with goes once it has ended: weights at once, words after a while."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from core.adapters.night_files import FORGOTTEN, ORIGINS, SAMPLE
from core.nights import Order, VersionKind, version_folder, version_name
from core.turn import WorkspaceId

KEPT = 30
"""Of so many nights of a workspace the words stay, by which a version can be explained. Where a
version came from stays as long as its files: an erasure finds by that what it had learnt from."""

# The version has its own copy.
_WEIGHTS = frozenset({".safetensors", ".onnx", ".bin", ".pt", ".pth"})
_FIGURES = frozenset({".json", ".html", ".png"})
_DAY_S = 86_400.0


def clear(order: Order) -> None:
    """Free the disk of what nobody can need again; what cannot be deleted stays."""
    # Articles as a candidate would index them.
    shutil.rmtree(order.folder / "trials", ignore_errors=True)
    with suppress(OSError):
        for path in (order.folder / "runs").rglob("*"):
            if path.suffix in _WEIGHTS:
                path.unlink()
    forget_words(order.data_dir, order.workspace)


def forget_words(data_dir: Path, workspace: WorkspaceId, *, keep_days: int = 0) -> None:
    """Delete what was said from nights before the last `KEPT`, or older than they are kept.

    What cannot be deleted stays until the next call.
    """
    place = data_dir / "nights" / workspace
    with suppress(OSError):
        nights = sorted(place.iterdir(), key=_read_at, reverse=True)
        oldest = time.time() - keep_days * _DAY_S if keep_days else 0.0
        for number, night in enumerate(nights):
            if number >= KEPT or _read_at(night) < oldest:
                with suppress(OSError):
                    _leave_figures(night, traced=_has_files(data_dir, workspace, night.name))


def _read_at(night: Path) -> float:
    """When it ended reading what was said; its folder changes with each file that is deleted."""
    for path in (night / "curate.json", night):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _has_files(data_dir: Path, workspace: WorkspaceId, slot: str) -> bool:
    names = (version_name(kind, slot) for kind in VersionKind)
    return any(version_folder(data_dir, workspace, name).exists() for name in names)


def _leave_figures(night: Path, *, traced: bool) -> None:
    for path in night.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif traced and path.name in (ORIGINS, FORGOTTEN):
            continue
        elif path.suffix not in _FIGURES or path.name == SAMPLE:
            path.unlink()
