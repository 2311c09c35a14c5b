"""Work that must not run twice at once."""

import asyncio

from core.adapters.database import Database
from core.adapters.holds import Holds


async def test_who_comes_second_waits_for_the_first(database: Database) -> None:
    seen: list[str] = []
    inside = asyncio.Event()

    async def first() -> None:
        async with Holds(database).held("demo", 60):
            inside.set()
            await asyncio.sleep(0.2)
            seen.append("first")

    async def second() -> None:
        await inside.wait()
        async with Holds(database).held("demo", 60):
            seen.append("second")

    await asyncio.gather(second(), first())
    assert seen == ["first", "second"]


async def test_who_died_holds_nobody_up_for_ever(database: Database) -> None:
    assert await Holds(database).take("demo", "dead", 0.1)
    async with asyncio.timeout(60), Holds(database).held("demo", 60):
        assert not await Holds(database).take("demo", "other", 1)
