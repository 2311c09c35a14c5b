"""One holder at a time for work that must not run twice."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Connection, delete, or_

from core.adapters.database import Database, Now
from core.adapters.tables import holds
from core.adapters.upsert import insert_into

LOOK_S = 0.5


class Holds:
    """Named leases by the database's clock."""

    def __init__(self, database: Database) -> None:
        """Keep the leases in `database`."""
        self._database = database

    async def take(self, name: str, holder: str, for_s: float) -> bool:
        """Take the lease, or renew it, for that many seconds; False while another holds it."""

        def work(connection: Connection) -> bool:
            until = Now() + for_s
            statement = insert_into(connection, holds).values(
                name=name, holder=holder, held_until=until
            )
            taken = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[holds.c.name],
                    set_={"holder": holder, "held_until": until},
                    where=or_(holds.c.holder == holder, holds.c.held_until < Now()),
                ).returning(holds.c.name)
            )
            return taken.first() is not None

        return await self._database.write(work)

    async def drop(self, name: str, holder: str) -> None:
        """Give the lease back, so that another need not wait for its end."""

        def work(connection: Connection) -> None:
            connection.execute(delete(holds).where(holds.c.name == name, holds.c.holder == holder))

        await self._database.write(work)

    @asynccontextmanager
    async def held(self, name: str, for_s: float) -> AsyncIterator[None]:
        """Wait for the lease, and give it back after the block.

        A block that takes longer than `for_s` may have company.
        """
        holder = secrets.token_hex(8)
        while not await self.take(name, holder, for_s):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOOK_S)
        try:
            yield
        finally:
            await self.drop(name, holder)
