"""What serves a workspace while a night is under way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import select

from core.adapters.database import Database, open_database
from core.adapters.tables import pointers
from core.adapters.versions import base_name
from core.nights import Order, VersionKind

if TYPE_CHECKING:
    from retrieval.opening import Retrieval


async def in_service(order: Order, kind: VersionKind) -> str | None:
    """The name of the version; None for the one of the settings.

    Raises: Unavailable: the database cannot be reached.
    """
    wanted = select(pointers.c.name).where(
        pointers.c.workspace == order.workspace, pointers.c.kind == kind
    )
    async with open_database(order.database) as database:
        name = await database.read(lambda connection: connection.scalar(wanted))
    return None if name is None or name == base_name(kind) else str(name)


@asynccontextmanager
async def serving(order: Order, database: Database) -> AsyncIterator["Retrieval"]:
    """The knowledge as the desk searches it, for as long as the block lasts.

    Raises: Misconfigured, Unavailable: the encoder of the settings, database or disk.
    """
    # FAISS and its kin, which take seconds to import.
    from retrieval.opening import open_retriever

    async with open_retriever(
        database,
        order.data_dir,
        encoder=order.encoder or None,
        default_language=order.default_language,
        key=order.signing_key,
    ) as retrieval:
        yield retrieval
