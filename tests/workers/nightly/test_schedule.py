"""A workspace's night begins by its own clock, once, whoever rings and however often."""

import asyncio
from datetime import UTC, datetime, time

import pytest
from sqlalchemy import insert

from core.adapters.database import Database
from core.adapters.nights import SqlNights
from core.adapters.tables import conversations
from core.turn import Channel, WorkspaceId
from workers.nightly.schedule import WINDOW, Bell, slot_at

TWO = time(2, 0)


@pytest.mark.parametrize(
    ("now", "zone", "at", "slot"),
    [
        ("2027-01-31T01:59", "UTC", TWO, None),
        ("2027-01-31T02:00", "UTC", TWO, "2027-01-31"),
        ("2027-01-31T05:59", "UTC", TWO, "2027-01-31"),
        ("2027-01-31T06:00", "UTC", TWO, None),
        ("2027-01-30T17:00", "Asia/Tokyo", TWO, "2027-01-31"),
        ("2027-01-31T10:00", "America/Los_Angeles", TWO, "2027-01-31"),
        # The night before New Year ends in the new year, whenever it is asked for.
        ("2026-12-31T22:30", "UTC", time(22, 30), "2027-01-01"),
        ("2027-01-01T01:00", "UTC", time(22, 30), "2027-01-01"),
        # The clocks go from 2 to 3 and from 3 to 2.
        ("2027-03-28T00:59", "Europe/Berlin", time(2, 30), None),
        ("2027-03-28T01:30", "Europe/Berlin", time(2, 30), "2027-03-28"),
        ("2027-10-31T00:30", "Europe/Berlin", time(2, 30), "2027-10-31"),
        ("2027-10-31T01:30", "Europe/Berlin", time(2, 30), "2027-10-31"),
    ],
)
def test_a_night_is_named_after_the_day_on_which_it_ends(
    now: str, zone: str, at: time, slot: str | None
) -> None:
    assert slot_at(datetime.fromisoformat(now).replace(tzinfo=UTC), zone, at) == slot


async def test_two_bells_make_one_night_a_workspace(database: Database) -> None:
    made = [
        {
            "workspace": name,
            "channel": Channel.WEB,
            "place": "v1",
            "customer": "v1",
            "created_at": 0.0,
        }
        for name in ("berlin", "tokyo")
    ]
    await database.write(lambda c: c.execute(insert(conversations), made))
    now = datetime.now(UTC)

    async def zone_of(workspace: WorkspaceId) -> str:
        return "UTC"

    rows = SqlNights(database)
    # It began a moment ago; late at night, its slot is tomorrow's.
    bells = [Bell(rows, zone_of, at=now.time().replace(microsecond=0)) for _ in range(2)]
    assert sum(await asyncio.gather(*(bell.ring() for bell in bells * 5))) == 2
    for name in ("berlin", "tokyo"):
        (night,) = await rows.list(WorkspaceId(name))
        assert night.slot == (now.replace(microsecond=0) + WINDOW).date().isoformat()


async def test_no_night_begins_at_another_time(database: Database) -> None:
    here = {
        "workspace": "here",
        "channel": Channel.WEB,
        "place": "v1",
        "customer": "v1",
        "created_at": 0.0,
    }
    await database.write(lambda c: c.execute(insert(conversations), here))

    async def zone_of(workspace: WorkspaceId) -> str:
        return "UTC"

    hour = (datetime.now(UTC).hour + 12) % 24
    assert await Bell(SqlNights(database), zone_of, at=time(hour)).ring() == 0
