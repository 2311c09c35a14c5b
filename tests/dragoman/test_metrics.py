"""What the gauges show."""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from core.adapters.conversations import Conversations
from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from core.errors import Unavailable
from core.nights import NightState
from core.turn import WorkspaceId
from dragoman.health import keeps
from dragoman.metrics import database_gauge, night_gauges, queue_gauges
from tests.databases import read_only, sqlite_at
from tests.patience import until


def database_up() -> float | None:
    return REGISTRY.get_sample_value("dragoman_database_up")


async def test_a_server_that_only_lets_us_read_is_not_up(
    postgres_database_url: str, postgres_url: str
) -> None:
    async with open_database(postgres_database_url) as database:
        async with read_only(postgres_url, postgres_database_url):
            # The first finds its connection cut; the next has one, to a server that refuses.
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await database_gauge(partial(keeps, database)).look()
                assert database_up() == 0
            await queue_gauges(Conversations(database)).look()
            assert database_up() == 0

        async def up() -> bool:
            with suppress(Unavailable):
                await database_gauge(partial(keeps, database)).look()
            return database_up() == 1

        # Whoever has been connected meanwhile stays refused, and has to connect anew.
        await until(up)


async def test_a_database_on_a_full_disk_is_not_up(small_disk: Path) -> None:
    async with open_database(f"sqlite:///{small_disk / 'dragoman.db'}") as database:
        await database_gauge(partial(keeps, database)).look()
        assert database_up() == 1
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * 2_000_000)
        with pytest.raises(Unavailable, match="full"):
            await database_gauge(partial(keeps, database)).look()
        assert database_up() == 0
        filler.unlink()
        await database_gauge(partial(keeps, database)).look()
        assert database_up() == 1


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
