"""Kill -9 between a send and its commit: agents see everything, in order, at least once."""

import asyncio
import json
import signal
import sys

import pytest

from core.adapters.database import Database, open_database
from core.crashpoints import DESK_NAMES
from tests.bots.telegram.desk.world import (
    CUSTOMER,
    World,
    desk_group,
    open_world,
)
from tests.patience import PATIENCE_S

WORDS = [f"line {number}." for number in range(6)]


async def killed(world: World, database_url: str, name: str, after: int) -> None:
    """Let a process of its own show the desk until it dies at a named place."""
    told = {
        "name": name,
        "after": str(after),
        "database_url": database_url,
        "token": world.telegram.token,
        "api_url": world.telegram.url,
    }
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bots.telegram.desk.victim", json.dumps(told))
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await victim.wait() == -signal.SIGKILL
    finally:
        if victim.returncode is None:
            victim.kill()
        await victim.wait()


@pytest.mark.long
@pytest.mark.parametrize("name", DESK_NAMES)
async def test_a_desk_that_was_killed_goes_on_where_it_was(database_url: str, name: str) -> None:
    async with (
        open_database(database_url) as database,
        open_world(database, with_desk=False) as world,
    ):
        world.telegram.user_says(CUSTOMER, "a person, please")
        await world.customer_reads("to a person")
        for word in WORDS:
            world.telegram.user_says(CUSTOMER, word)
        await world.idle()
        await killed(world, database_url, name, 1)
        await shown_by_another(world, database)


async def shown_by_another(world: World, database: Database) -> None:
    desk = desk_group(world.api, database, world.desk, {}, held_s=0.5)
    showing = asyncio.create_task(desk.run())
    try:
        # A topic whose making nobody could keep is left behind; the last is the one that counts.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                thread = max(world.telegram.topics(world.group), default=0)
                text = "\n".join(world.said(thread))
                if all(word in text for word in WORDS):
                    break
                await asyncio.sleep(0.05)
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    last = [text.rindex(word) for word in WORDS]
    assert last == sorted(last)
