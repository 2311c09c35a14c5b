"""A night is taken once, and whoever lost it can write nothing more."""

import asyncio
import time

import pytest
from sqlalchemy import insert, update

from core.adapters.database import Database, Now, open_database
from core.adapters.nights import SqlNights, hold
from core.adapters.tables import conversations, nights
from core.errors import LeaseLost
from core.nights import NightLease, NightState
from core.turn import Channel, WorkspaceId

HERE = WorkspaceId("here")
SLOT = "2027-01-31"
WHO = {"customer": "x", "created_at": 0.0}


async def taken(rows: SqlNights, *, held_s: float = 60.0, holder: str = "one") -> NightLease:
    lease = await rows.take(holder=holder, held_s=held_s)
    assert lease is not None
    return lease


async def lapse(database: Database) -> None:
    """Let as much time pass as any lease lasts."""
    await database.write(lambda c: c.execute(update(nights).values(held_until=Now() - 1)))


async def test_two_that_ring_at_once_make_one_night(database_url: str) -> None:
    async with open_database(database_url) as one, open_database(database_url) as other:
        rung = await asyncio.gather(
            *(SqlNights(database).ring(HERE, SLOT) for database in (one, other) * 10)
        )
        assert sum(rung) == 1
        assert len(await SqlNights(other).list(HERE)) == 1


async def test_of_many_that_want_a_night_one_gets_it(database_url: str) -> None:
    async with open_database(database_url) as one, open_database(database_url) as other:
        await SqlNights(one).ring(HERE, SLOT)
        leases = await asyncio.gather(
            *(
                SqlNights(database).take(holder=f"holder {number}", held_s=60)
                for number, database in enumerate((one, other) * 10)
            )
        )
        assert len([lease for lease in leases if lease is not None]) == 1


async def test_a_night_is_taken_by_name_where_one_is_named(database: Database) -> None:
    rows = SqlNights(database)
    for slot in (SLOT, "by-hand"):
        await rows.ring(HERE, slot)
    lease = await rows.take(holder="one", held_s=60, of=(HERE, "by-hand"))
    assert lease is not None
    assert lease.slot == "by-hand"
    assert await rows.take(holder="two", held_s=60, of=(HERE, "by-hand")) is None
    assert await rows.take(holder="two", held_s=60, of=(WorkspaceId("there"), SLOT)) is None


async def test_a_zombie_writes_nothing(database: Database) -> None:
    rows = SqlNights(database)
    await rows.ring(HERE, SLOT)
    old = await taken(rows)
    await lapse(database)
    new = await taken(rows, holder="two")
    for write in (
        rows.renew(old, held_s=60),
        rows.begin(old, NightState.CURATING),
        rows.move_on(old, NightState.TRAINING, {}),
        rows.end(old, NightState.PUBLISHED, figures={}),
        rows.put_back(old, retry_in_s=0),
    ):
        with pytest.raises(LeaseLost):
            await write
    with pytest.raises(LeaseLost):
        await database.write(lambda c: hold(c, HERE, SLOT, old.fence))
    await database.write(lambda c: hold(c, HERE, SLOT, new.fence))
    await rows.end(new, NightState.PUBLISHED, figures={})
    assert [night.state for night in await rows.list(HERE)] == [NightState.PUBLISHED]


async def test_a_lapsed_lease_that_nobody_took_still_counts(database: Database) -> None:
    rows = SqlNights(database)
    await rows.ring(HERE, SLOT)
    lease = await taken(rows)
    await lapse(database)
    await rows.renew(lease, held_s=60)
    assert await rows.take(holder="two", held_s=60) is None


async def test_starts_are_counted_by_step_unless_they_were_not_to_blame(
    database: Database,
) -> None:
    rows = SqlNights(database)
    await rows.ring(HERE, SLOT)
    lease = await rows.begin(await taken(rows), NightState.CURATING)
    assert lease.attempts == 1
    await rows.put_back(lease, retry_in_s=0, reason="curate: no memory")
    lease = await rows.begin(await taken(rows), NightState.CURATING)
    assert lease.attempts == 2
    assert (await rows.list(HERE))[0].reason == "curate: no memory"
    await rows.put_back(lease, retry_in_s=0, counts=False)
    lease = await rows.begin(await taken(rows), NightState.CURATING)
    assert lease.attempts == 2
    lease = await rows.move_on(lease, NightState.TRAINING, {"curate": {"rows": 7}})
    assert lease.attempts == 0
    lease = await rows.move_on(lease, NightState.EVALUATING, {"train": {"loss": 0.5}})
    (night,) = await rows.list(HERE)
    assert night.reason == ""
    assert night.figures == {"curate": {"rows": 7}, "train": {"loss": 0.5}}


async def test_a_night_that_nobody_ended_within_a_day_is_over(database: Database) -> None:
    rows = SqlNights(database)
    for slot in ("missed", "cut off", "by hand"):
        await rows.ring(HERE, slot)
    lease = await rows.take(holder="one", held_s=60, of=(HERE, "cut off"))
    assert lease is not None
    await rows.put_back(await rows.begin(lease, NightState.TRAINING), retry_in_s=0)
    long_ago = update(nights).values(created_at=Now() - 2 * 86_400)
    await database.write(lambda c: c.execute(long_ago).rowcount)
    named = await rows.take(holder="one", held_s=60, of=(HERE, "by hand"))
    assert named is not None, "who asks for a night by its name has it"
    await rows.ring(HERE, "tonight")
    assert (await taken(rows, holder="two")).slot == "tonight"
    ends = {night.slot: (night.state, night.ended_at is None) for night in await rows.list(HERE)}
    assert ends == {
        "missed": (NightState.SKIPPED, False),
        "cut off": (NightState.SKIPPED, False),
        "by hand": (NightState.QUEUED, True),
        "tonight": (NightState.QUEUED, True),
    }


async def test_a_night_that_is_put_back_is_not_due_at_once(database: Database) -> None:
    rows = SqlNights(database)
    await rows.ring(HERE, SLOT)
    await rows.put_back(await taken(rows), retry_in_s=3600)
    assert await rows.take(holder="two", held_s=60) is None


async def test_a_night_that_waits_for_a_person_is_not_due(database: Database) -> None:
    rows = SqlNights(database)
    await rows.ring(HERE, SLOT)
    lease = await taken(rows)
    await rows.end(lease, NightState.WAITING, figures={})
    assert (await rows.list(HERE))[0].ended_at is None
    assert await rows.take(holder="two", held_s=60) is None


async def test_it_is_counted_how_many_nights_stand_where(database: Database) -> None:
    rows = SqlNights(database)
    for slot in ("long ago", "today", "now"):
        await rows.ring(HERE, slot)
    for _ in range(2):
        await rows.end(await taken(rows), NightState.PUBLISHED, figures={})
    old = update(nights).where(nights.c.slot == "long ago")
    await database.write(lambda c: c.execute(old.values(ended_at=Now() - 1000)))
    assert await rows.lately(500) == {NightState.PUBLISHED: 1, NightState.QUEUED: 1}


async def test_it_is_known_for_how_long_no_night_came(database: Database) -> None:
    rows, hour = SqlNights(database), 3600.0
    assert (await rows.last_ended(), await rows.silent_s(HERE)) == (None, 0.0)
    wrote = {"workspace": HERE, "channel": Channel.WEB, "place": "1", "customer": "x"}
    first = insert(conversations).values(**wrote, created_at=Now() - 5 * hour)
    await database.write(lambda c: c.execute(first).rowcount)
    assert await rows.silent_s(HERE) == pytest.approx(5 * hour, abs=60)
    await rows.ring(HERE, SLOT)
    rung = update(nights).values(created_at=Now() - 3 * hour)
    await database.write(lambda c: c.execute(rung).rowcount)
    assert await rows.silent_s(HERE) == pytest.approx(3 * hour, abs=60)
    await rows.end(await taken(rows), NightState.SKIPPED, figures={})
    assert await rows.last_ended() == pytest.approx(time.time(), abs=60)


async def test_each_workspace_with_a_conversation_is_known(database: Database) -> None:
    rows = SqlNights(database)
    assert (await rows.workspaces())[0] == ()
    made = [
        {"workspace": name, "channel": Channel.WEB, "place": str(place), **WHO}
        for name in ("b", "a", "c")
        for place in range(3)
    ]
    await database.write(lambda c: c.execute(insert(conversations), made))
    names, now_s = await rows.workspaces()
    assert names == ("a", "b", "c")
    assert now_s > 1.7e9
