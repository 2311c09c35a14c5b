"""What the gauges show."""

import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from core.errors import Unavailable
from core.nights import NightState
from core.turn import WorkspaceId
from dragoman.metrics import Gauges, night_gauges
from tests.databases import sqlite_at


async def test_they_tell_whether_the_database_answers() -> None:
    answers = False

    async def read() -> None:
        if not answers:
            raise Unavailable("database", "gone")

    gauges = Gauges(read, every_s=0.0)
    with pytest.raises(Unavailable):
        await gauges.look()
    assert REGISTRY.get_sample_value("dragoman_database_up") == 0
    answers = True
    await gauges.look()
    assert REGISTRY.get_sample_value("dragoman_database_up") == 1


async def test_they_tell_when_a_night_last_ended_unless_none_is_to_come(tmp_path: Path) -> None:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        nights = SqlNights(database)
        await nights.ring(WorkspaceId("here"), "2027-01-31")
        lease = await nights.take(holder="one", held_s=60)
        assert lease is not None
        await nights.end(lease, NightState.SKIPPED, figures={})
        for learns, told in ((True, time.time()), (False, 0.0)):
            await night_gauges(nights, learns=learns).look()
            shown = REGISTRY.get_sample_value("dragoman_last_night_ended_seconds")
            assert shown == pytest.approx(told, abs=60)
