"""Work that must not run twice at once."""

import asyncio
import time

import pytest
from sqlalchemy import select, update

from core.adapters.database import Database, Now
from core.adapters.holds import Holds
from core.adapters.tables import holds
from core.errors import Unavailable
from tests.patience import PATIENCE_S


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


async def test_who_works_alone_keeps_the_lease_for_as_long_as_it_takes(database: Database) -> None:
    async with Holds(database).alone("demo", 0.6):
        await asyncio.sleep(1.5)
        assert not await Holds(database).take("demo", "other", 1)
    assert await Holds(database).take("demo", "other", 1)


async def test_who_lost_the_lease_stops_and_takes_it_from_nobody(database: Database) -> None:
    theirs = update(holds).values(holder="other", held_until=Now() + 60)
    async with asyncio.timeout(PATIENCE_S), Holds(database).alone("demo", 0.6):
        await database.write(lambda connection: connection.execute(theirs))
        await asyncio.Event().wait()
    assert (
        await database.read(lambda connection: connection.scalar(select(holds.c.holder))) == "other"
    )


async def test_a_clock_that_is_set_back_prolongs_no_lease_and_ends_none_early(
    database: Database,
) -> None:
    kept = Holds(database)
    assert await kept.take("demo", "dead", 0.5)
    ahead = update(holds).values(held_until=holds.c.held_until + 600)
    await database.write(lambda connection: connection.execute(ahead))
    assert not await kept.take("demo", "other", 0.5)
    async with asyncio.timeout(PATIENCE_S), kept.held("demo", 0.5):
        pass


@pytest.mark.parametrize("stalls", [True, False])
async def test_who_cannot_renew_the_lease_stops_before_it_lapses(
    database: Database, monkeypatch: pytest.MonkeyPatch, stalls: bool
) -> None:
    async def away(*_: object) -> bool:
        if stalls:
            await asyncio.Event().wait()
        raise Unavailable("database", "gone")

    kept = Holds(database)
    async with asyncio.timeout(PATIENCE_S), kept.alone("demo", 1.0):
        began_s = time.monotonic()
        monkeypatch.setattr(kept, "take", away)
        monkeypatch.setattr(kept, "drop", away)
        try:
            await asyncio.Event().wait()
        finally:
            ended_s = time.monotonic()
    assert 0.5 < ended_s - began_s < 3


async def test_one_renewal_that_fails_stops_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Holds(database)
    take, tries = kept.take, 0

    async def once_away(name: str, holder: str, for_s: float) -> bool:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise Unavailable("database", "gone")
        return await take(name, holder, for_s)

    monkeypatch.setattr(kept, "take", once_away)
    done = False
    async with asyncio.timeout(PATIENCE_S), kept.alone("demo", 3.0):
        await asyncio.sleep(3.5)
        done = True
    assert done


async def test_what_fails_in_the_block_is_no_lapse(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with Holds(database).alone("demo", 60):
            raise TimeoutError
    assert await Holds(database).take("demo", "other", 1)
