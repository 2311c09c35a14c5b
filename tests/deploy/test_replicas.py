"""Two replicas behind the balancer, each killed while customers write: nothing lost or doubled."""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.adapters.database import Database, open_database
from core.adapters.tables import inbox
from deploy.programs import Kept, Program, keeping
from tests.crash.verdict import judge, records, unfinished
from tests.crash.world import Way, World, open_world
from tests.patience import until
from tests.services import free_port

ROOT = Path(__file__).parents[2]
COUNT, CUSTOMERS = 90, 15
START_S = 240.0


def replica(name: str, settings: dict[str, object], data_dir: Path) -> Program:
    """The desk of the crash tests, which answers without a model."""
    port = free_port()
    told = {
        "data_dir": str(data_dir),
        "settings": settings | {"port": port},
        "resend_unknown": False,
        "crash_at": "",
        "crash_after": 0,
    }
    return Program(
        name=name,
        command=(sys.executable, "-m", "tests.crash.victim", json.dumps(told)),
        folder=ROOT,
        ready=("127.0.0.1", port),
        path="/healthz",
    )


def balancer(port: int, replicas: list[Program]) -> Program:
    upstreams = [program.address.removeprefix("http://") for program in replicas]
    here = f"127.0.0.1:{port}"
    return Program(
        name="balancer",
        command=(sys.executable, "-m", "deploy.balancer", here, *upstreams),
        folder=ROOT,
        ready=("127.0.0.1", port),
    )


async def ask_while_killing(world: World, victims: list[Kept]) -> None:
    """A third of the questions before each kill, and the next victim once the last is back."""
    dice = random.Random(7)
    for number in range(COUNT):
        if number in (COUNT // 3, 2 * COUNT // 3):
            victim = victims[number // (COUNT // 3) - 1]
            await asyncio.gather(*(each.ready(START_S) for each in victims))
            assert victim.pid is not None
            os.killpg(victim.pid, signal.SIGKILL)
        world.ask(number, dice.randrange(1, 1 + CUSTOMERS))
        await asyncio.sleep(0.03)


async def settled(database: Database) -> bool:
    arrived = await database.read(
        lambda connection: connection.scalar(select(func.count()).select_from(inbox))
    )
    return (arrived or 0) >= COUNT and await unfinished(database) == 0


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_either_replica_may_die(postgres_database_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with open_world() as world, open_database(postgres_database_url) as database:
        settings = world.settings(Way.PUSHED, port) | {"database_url": postgres_database_url}
        replicas = [replica(f"web-{number}", settings, tmp_path) for number in (1, 2)]
        programs = [*replicas, balancer(port, replicas)]
        async with keeping(programs, tmp_path / "log") as kept:
            await asyncio.gather(*(each.ready(START_S) for each in kept.values()))
            await until(lambda: world.telegram.updates.hook is not None)
            victims = [kept["web-1"], kept["web-2"]]
            await ask_while_killing(world, victims)
            async with asyncio.timeout(300):
                while not await settled(database):
                    await asyncio.sleep(0.1)
            # The others may have settled it all before the last one is started again.
            await asyncio.gather(*(victim.ready(START_S) for victim in victims))
            assert all(victim.starts == 2 for victim in victims)
        verdict = judge(world, await records(database))
    broken = ("lost", "doubled", "out of order", "unknown, not in the queue")
    assert {name: verdict[name] for name in broken} == dict.fromkeys(broken, 0), verdict
    assert verdict["asked"] == COUNT
