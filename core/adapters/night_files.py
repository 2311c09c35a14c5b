"""What nights left on the disk of single conversations, and how it goes away again."""

import errno
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.nights import VersionKind, report_name
from core.turn import WorkspaceId

ORIGINS = "origins.jsonl"
"""Beside each frozen set: which messages each of its rows came from, and not a word of them.

A line is {"part", "row", "conversation", "messages", "customers"}. The last are the ledger's hashes
of who wrote there: they lead to a customer whose conversation was deleted since. The parts of the
set itself are `LEARNT`; the others are rows that only measure, or are only shown to people.
"""
FORGOTTEN = "forgotten.jsonl"
"""The hashes of those whose rows were taken out of a night after it had read them."""
SAMPLE = "sample.html"
HELD_OUT = "held_out.jsonl"
STOOD = "stood.jsonl"
LEARNT = frozenset({"train", "dev", "test"})
SHOWN = "sample"
"""What stands on the sample page alone."""

# What says how a step ended, holds no words of anybody, and shows in the console.
_KEPT = frozenset({"curate.json", "train.json", "evaluate.json", "publish.json", "lock", FORGOTTEN})
# One file at a time is written; each try outruns it, or finds it gone.
_TRIES = 1_000
_REPORTS = frozenset(report_name(kind, end) for kind in VersionKind for end in ("html", "json"))


def scrub(
    data_dir: Path, workspace: WorkspaceId, conversations: Collection[int], mark: str
) -> list[str]:
    """Delete what nights keep of somebody, and leave `mark` where they learnt from them.

    They are found by their conversations, and by their `mark` where these are gone already.
    Returns: the slots of these nights.
    A set with a row of theirs goes as a whole: it is frozen, and the next night makes another.
    Raises: Unavailable: a file cannot be deleted.
    """
    done: list[str] = []
    try:
        for folder in _nights(data_dir, workspace):
            seen = {one["part"] for one in _origins(folder) if _is_of(one, conversations, mark)}
            if not seen:
                continue
            done.append(folder.name)
            if seen <= {SHOWN}:
                _hide(folder, conversations, mark)
                continue
            if seen & LEARNT:
                _leave(folder, mark)
            _delete(folder, reports="held_out" in seen)
    except OSError as error:
        raise Unavailable("the nights' files", error.strerror or str(error)) from error
    return done


def forgotten_in(folder: Path) -> frozenset[str]:
    """The hashes that `scrub` left in a night's folder."""
    with suppress(FileNotFoundError):
        lines = (folder / FORGOTTEN).read_text(encoding="utf-8").splitlines()
        return frozenset(json.loads(line)["customer"] for line in lines if line.strip())
    return frozenset()


def learnt_from(data_dir: Path, workspace: WorkspaceId, mark: str) -> tuple[str, ...]:
    """The slots of the nights that had learnt from somebody before `scrub` came."""
    folders = _nights(data_dir, workspace)
    return tuple(folder.name for folder in folders if mark in forgotten_in(folder))


def customers_in(data_dir: Path, workspace: WorkspaceId) -> frozenset[str]:
    """The hashes of all whose words nights keep."""
    return frozenset(
        mark
        for folder in _nights(data_dir, workspace)
        for origin in _origins(folder)
        for mark in origin.get("customers", ())
    )


def _nights(data_dir: Path, workspace: WorkspaceId) -> Iterator[Path]:
    place = data_dir / "nights" / workspace
    if place.is_dir():
        yield from (folder for folder in sorted(place.iterdir()) if folder.is_dir())


def _origins(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Where each row comes from, also of a set that is not whole yet."""
    for path in (folder / ORIGINS, folder / f"{ORIGINS}.part"):
        with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
            for line in file:
                # The last line may have been cut off by a kill.
                with suppress(ValueError, KeyError, TypeError):
                    told = json.loads(line)
                    yield told | {"part": told["part"], "conversation": told["conversation"]}


def _is_of(origin: Mapping[str, Any], conversations: Collection[int], mark: str) -> bool:
    # Nights before 2026-11-29 noted no customers.
    return origin["conversation"] in conversations or mark in origin.get("customers", ())


def _leave(folder: Path, mark: str) -> None:
    """First of all: should the rest not come to its end, the versions are known by it."""
    if mark not in forgotten_in(folder):
        with (folder / FORGOTTEN).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"customer": mark}) + "\n")


def _hide(folder: Path, conversations: Collection[int], mark: str) -> None:
    """Delete the page alone; the set itself has nothing of theirs."""
    (folder / SAMPLE).unlink(missing_ok=True)
    path = folder / ORIGINS
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in lines if not _is_of(json.loads(line), conversations, mark)]
    unfinished = folder / f"{ORIGINS}.part"
    unfinished.write_text("".join(left), encoding="utf-8")
    unfinished.rename(path)


def _delete(folder: Path, *, reports: bool) -> None:
    """The origins go last, since they are what the rest is found by."""
    kept = _KEPT | (frozenset() if reports else _REPORTS)
    last = [folder / f"{ORIGINS}.part", folder / ORIGINS]
    for path in [*(one for one in folder.iterdir() if one not in last), *last]:
        if path.is_dir():
            _delete_tree(path)
        elif path.name not in kept:
            path.unlink(missing_ok=True)


def _delete_tree(folder: Path) -> None:
    """Delete a folder into which a set may be written, or out of which it may go, meanwhile.

    Whoever writes there finds it gone at the next file, and the set is made anew.
    """
    for _ in range(_TRIES):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            # The rest of it is still there.
            if not folder.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    raise OSError(errno.ENOTEMPTY, f"{folder.name} is being written to")
