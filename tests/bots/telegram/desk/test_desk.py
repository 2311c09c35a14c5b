"""One process at a time shows what happens in the group."""

import asyncio

import pytest
from structlog.testing import capture_logs

from core.adapters.database import Database
from core.adapters.holds import Holds
from tests.bots.telegram.desk.world import CUSTOMER, PERSON, desk_group, open_world
from tests.patience import until


async def test_who_cannot_renew_the_lease_shows_nothing_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalls(*_: object) -> bool:
        await asyncio.Event().wait()
        return False

    async with open_world(database, with_desk=False) as world:
        desk = desk_group(world.api, database, world.desk, {}, held_s=0.9)
        with capture_logs() as logs:
            showing = asyncio.create_task(desk.run())
            try:
                await until(lambda: "telegram_desk_open" in [line["event"] for line in logs])
                with monkeypatch.context() as away:
                    away.setattr(Holds, "take", stalls)
                    await asyncio.sleep(1.5)
                    world.telegram.user_says(CUSTOMER, PERSON)
                    await world.customer_reads("to a person")
                    await asyncio.sleep(0.5)
                    assert not world.telegram.topics(world.group)
                await until(lambda: len(world.telegram.topics(world.group)) == 1)
            finally:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)
