"""One holder at a time for work that must not run twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy import Connection, case, delete, or_

from core.adapters.database import Database, Now
from core.adapters.tables import holds
from core.adapters.upsert import insert_into
from core.errors import Unavailable
from core.holder import holder_name

log = structlog.get_logger()

LOOK_S = 0.5
# So often a lease is renewed before it would lapse.
RENEWALS = 3


class Holds:
    """Named leases by the database's clock."""

    def __init__(self, database: Database) -> None:
        """Keep the leases in `database`."""
        self._database = database

    async def take(self, name: str, holder: str, for_s: float) -> bool:
        """Take the lease, or renew it, for that many seconds; False while another holds it.

        All who ask for one name ask for equally long.
        """

        def work(connection: Connection) -> bool:
            until = Now() + for_s
            free = or_(holds.c.holder == holder, holds.c.held_until < Now())
            statement = insert_into(connection, holds).values(
                name=name, holder=holder, held_until=until
            )
            taken = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[holds.c.name],
                    set_={
                        "holder": case((free, holder), else_=holds.c.holder),
                        "held_until": until,
                    },
                    # A lease that outlasts ours is of before the clock was set back.
                    where=or_(free, holds.c.held_until > until),
                ).returning(holds.c.holder)
            )
            return taken.scalar() == holder

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
        holder = holder_name()
        while not await self.take(name, holder, for_s):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOOK_S)
        try:
            yield
        finally:
            await self.drop(name, holder)

    @asynccontextmanager
    async def alone(self, name: str, for_s: float) -> AsyncIterator[None]:
        """Wait for the lease, renew it for as long as the block lasts, and give it back.

        A block whose lease is lost, or cannot be renewed before it lapses, is cancelled: what comes
        after it goes on.
        """
        holder = holder_name()
        while not (until_s := await self._ours_until(name, holder, for_s)):  # noqa: ASYNC110
            await asyncio.sleep(for_s / RENEWALS)
        try:
            async with asyncio.timeout_at(until_s) as lapse:
                renewing = asyncio.create_task(self._renew(lapse, name, holder, for_s))
                try:
                    yield
                finally:
                    renewing.cancel()
                    await asyncio.gather(renewing, return_exceptions=True)
        except TimeoutError:
            if not lapse.expired():
                raise
        finally:
            await self._give_back(name, holder, for_s)

    async def _renew(self, lapse: asyncio.Timeout, name: str, holder: str, for_s: float) -> None:
        while True:
            await asyncio.sleep(for_s / RENEWALS)
            until_s = await self._ours_until(name, holder, for_s)
            if lapse.expired():
                return
            # Where nobody can tell, it stays ours for as long as it was.
            if until_s is not None:
                lapse.reschedule(until_s)

    async def _ours_until(self, name: str, holder: str, for_s: float) -> float | None:
        """Take the lease; until when it is ours by the loop's clock.

        Returns: 0 if another has it; None if nobody can tell.
        """
        until_s = asyncio.get_running_loop().time() + for_s
        try:
            async with asyncio.timeout(for_s):
                return until_s if await self.take(name, holder, for_s) else 0.0
        except (Unavailable, TimeoutError) as error:
            log.warning("lease_unknown", name=name, error=str(error))
            return None

    async def _give_back(self, name: str, holder: str, for_s: float) -> None:
        """Whoever waits gets it at once; if this fails, once it has lapsed."""
        try:
            async with asyncio.timeout(for_s):
                await self.drop(name, holder)
        except (Unavailable, TimeoutError) as error:
            log.warning("lease_kept", name=name, error=str(error))
