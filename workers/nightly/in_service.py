"""Which version serves a workspace while a night is under way."""

from sqlalchemy import select

from core.adapters.database import open_database
from core.adapters.tables import pointers
from core.adapters.versions import base_name
from core.nights import Order, VersionKind


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
