"""Folders of versions that nobody can need again are deleted."""

import asyncio
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from core.adapters.database import Database
from core.adapters.in_service import InService
from core.adapters.versions import Version, Versions
from core.nights import VersionKind, VersionState, version_folder
from core.turn import WorkspaceId

KEPT = 3
# A candidate that no gate let through; no night takes as long.
STALE_S = 2 * 86_400.0


async def tidy(database: Database, data_dir: Path, workspace: WorkspaceId) -> None:
    """Keep the last versions of each kind, and whatever serves, did before, or still may.

    Raises: Unavailable: the database does not answer.
    """
    versions = Versions(database)
    known = await versions.list(workspace)
    kept: set[str] = set()
    for kind in VersionKind:
        live = await InService(database).live(workspace, kind)
        kept |= {live.name, live.previous or ""}
        kept |= _kept([each for each in known if each.kind is kind and not each.ships])
    gone = [each.name for each in known if not each.ships and each.name not in kept]
    # First the rows: from now on nobody puts these into service.
    await versions.forget_files(workspace, gone)
    folder = version_folder(data_dir, workspace, "")
    await asyncio.to_thread(_delete, folder, gone, {each.name for each in known})


def _kept(newest_first: Collection[Version]) -> set[str]:
    last = [each.name for each in newest_first][:KEPT]
    undecided = (VersionState.CANDIDATE, VersionState.READY, VersionState.CANARY)
    return {*last, *(each.name for each in newest_first if each.state in undecided)}


def _delete(folder: Path, gone: Collection[str], known: Collection[str]) -> None:
    for name in gone:
        shutil.rmtree(folder / name, ignore_errors=True)
    for left in folder.glob("*"):
        # Another process may have finished with it since it was listed.
        with suppress(FileNotFoundError):
            if left.name not in known and time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)
