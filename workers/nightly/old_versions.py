"""Versions that nobody can need again are deleted, each with the index that was built for it."""

import asyncio
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress

from core.adapters.database import Database
from core.adapters.in_service import InService
from core.adapters.pointers import INDEX, pointed
from core.adapters.versions import Version, Versions
from core.nights import Order, VersionKind, VersionState, served_folder, version_folder

KEPT = 3
# Of a night whose end nobody saw to; no night takes as long.
STALE_S = 2 * 86_400.0

_UNDECIDED = (VersionState.CANDIDATE, VersionState.READY, VersionState.CANARY)


async def tidy(database: Database, order: Order) -> None:
    """Keep the last versions of each kind, and whatever serves, did before, or still may.

    The order's night has ended: a candidate of its own that was not registered will not be.

    Raises: Unavailable: the database does not answer.
    """
    versions = Versions(database)
    known = await versions.list(order.workspace)
    kept = await _kept(database, order, known)
    gone = [each for each in known if each.name not in kept]
    needed = {each.index for each in known if each.name in kept}
    needed |= await _pointed(database, order)
    indexes = {each.index for each in gone if each.index is not None} - needed
    # First the rows: from now on nobody puts these into service.
    await versions.forget_files(order.workspace, [each.name for each in gone])
    left_over = {order.version_name(kind) for kind in VersionKind} - {each.name for each in known}
    names = {each.name for each in gone} | left_over
    await asyncio.to_thread(_delete, order, names, {each.name for each in known})
    if indexes:
        await asyncio.to_thread(_delete_indexes, order, indexes)


async def _kept(database: Database, order: Order, known: Sequence[Version]) -> set[str]:
    kept = {each.name for each in known if each.ships}
    for kind in VersionKind:
        live = await InService(database).live(order.workspace, kind)
        kept |= {live.name, live.previous or ""}
        # What was refused never serves again, however new it is.
        may = [each for each in known if each.kind is kind and each.state != VersionState.REFUSED]
        kept |= {each.name for each in may if each.state in _UNDECIDED}
        kept |= set([each.name for each in may if not each.ships][:KEPT])
    return kept


async def _pointed(database: Database, order: Order) -> set[str]:
    """The index that is searched, and the one before."""
    wanted = pointed(order.workspace, INDEX)
    row = await database.read(lambda connection: connection.execute(wanted).first())
    return {row.name, row.previous} if row else set()


def _delete(order: Order, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        for folder in (version_folder, served_folder):
            shutil.rmtree(folder(order.data_dir, order.workspace, name), ignore_errors=True)
    for left in version_folder(order.data_dir, order.workspace, "").glob("*"):
        # Another process may have finished with it since it was listed.
        with suppress(FileNotFoundError):
            if left.name not in known and time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)


def _delete_indexes(order: Order, names: Collection[str]) -> None:
    # FAISS and its kin, which take seconds to import.
    from retrieval.snapshot import workspace_folder

    for name in names:
        shutil.rmtree(workspace_folder(order.data_dir, order.workspace) / name, ignore_errors=True)
