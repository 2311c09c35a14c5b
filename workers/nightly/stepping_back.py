"""What has seen somebody who was erased leaves service, before anything else is learnt."""

from collections.abc import Collection

import structlog

from core.adapters.database import Database
from core.adapters.in_service import InService
from core.adapters.pointers import Pointer
from core.adapters.versions import base_name
from core.errors import Rejected
from core.nights import Order, VersionKind
from workers.nightly.in_service import serving

log = structlog.get_logger()


async def step_back(order: Order, database: Database, seen: Collection[str]) -> None:
    """Put the version before those in `seen` into service, or the one that ships.

    One that cannot be replaced serves on, and is told in the log.

    Raises: Unavailable: database or disk do not answer.
    """
    service = InService(database)
    for kind in VersionKind:
        live = await service.live(order.workspace, kind)
        if live.name in seen:
            await _replace(order, database, kind, live)


async def _replace(order: Order, database: Database, kind: VersionKind, live: Pointer) -> None:
    ships = base_name(kind)
    for name in dict.fromkeys((live.previous or ships, ships)):
        try:
            await _put(order, database, kind, name, live.name)
        except Rejected as error:
            log.warning("version_not_replaced", version=live.name, by=name, reason=str(error))
        else:
            log.info("version_stepped_back", version=live.name, to=name)
            return


async def _put(order: Order, database: Database, kind: VersionKind, name: str, live: str) -> None:
    if kind is VersionKind.DIALOGUE:
        await InService(database).publish(order.workspace, name, instead_of=live)
        return
    # FAISS and its kin, which take seconds to import.
    from retrieval.knowledge import silent

    async with serving(order, database) as retrieval:
        await retrieval.succession.publish(order.workspace, name, progress=silent, instead_of=live)
