"""A desk at work while it is killed again and again."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from core.adapters.database import Database
from core.adapters.tables import cursors
from tests.crash.nemesis import START_S, Nemesis

# The seconds over which the steps for one victim are spread at least, its start included.
SPREAD_S = 2.2


async def undergo(
    nemesis: Nemesis,
    database: Database,
    step: Callable[[int], None],
    settled: Callable[[], Awaitable[bool]],
    *,
    count: int,
    starts: float = 0.0,
    settle_s: float = 300,
) -> None:
    """Do so many steps, each victim its share, and wait until all of them have `settled`.

    Those for one victim are spread over so many times its start, if that takes longer.
    """
    kills = nemesis.kills
    haunting = asyncio.create_task(nemesis.haunt())
    try:
        await _at_work(haunting, database)
        nemesis.let_loose.set()
        for number in range(count):
            while number * kills >= count * (kills - nemesis.kills) and nemesis.kills:
                assert not haunting.done(), haunting.exception()
                await asyncio.sleep(0.05)
            step(number)
            spread_s = max(SPREAD_S, starts * nemesis.start_s)
            await asyncio.sleep(kills * spread_s / count)
        async with asyncio.timeout(settle_s):
            while nemesis.kills or not await settled():
                assert not haunting.done(), haunting.exception()
                await asyncio.sleep(0.2)
    finally:
        haunting.cancel()
        await asyncio.gather(haunting, return_exceptions=True)


async def _at_work(haunting: "asyncio.Task[None]", database: Database) -> None:
    """Wait until the first victim has noted where to read on: nobody answers what was before."""
    noted = select(func.count()).select_from(cursors)
    async with asyncio.timeout(START_S):
        while not await database.read(lambda connection: connection.scalar(noted)):
            assert not haunting.done(), haunting.exception()
            await asyncio.sleep(0.05)
