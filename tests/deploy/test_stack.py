"""The distributed form: two replicas, workers, a broker and a model server, killed under load."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from core.adapters.database import open_database
from core.turn import WorkspaceId
from deploy import stack
from deploy.programs import Kept, Program, is_ready
from dragoman.composition import open_core
from dragoman.settings import Settings, variables
from tests.crash.verdict import unfinished
from tests.crash.world import Way, open_world
from tests.deploy.customers import Crowd, judge, kept
from tests.patience import until
from tests.services import free_port

ROOT = Path(__file__).parents[2]
PAGE = """# Returns

You can return an item within 30 days of delivery. Items must be unused.
"""
# What is killed comes back after it has loaded an encoder, beside another that does so.
SETTLE_S = 300.0


def fake_model() -> Program:
    port = free_port()
    return Program(
        name="model",
        command=(sys.executable, "-m", "tests.fakes.model", str(port), "grounded"),
        folder=ROOT,
        ready=("127.0.0.1", port),
    )


async def teach(planned: stack.Plan, folder: Path) -> None:
    """Give the desk one page to answer from."""
    page = folder / "returns.md"
    page.write_text(PAGE)
    settings = Settings(
        data_dir=folder / "data", database_url=planned.database, demo=False, _env_file=None
    )
    async with open_core(settings, model=False) as core:
        await core.retrieval.knowledge.add(WorkspaceId("default"), [str(page)])


async def kill_each(victims: list[Kept], crowd: Crowd) -> None:
    """Kill one program after the other, each while questions come in and once it is back."""
    for victim in victims:
        await kill(victim, crowd, after=crowd.asked + 6)


async def kill(victim: Kept, crowd: Crowd, *, after: int) -> None:
    await until(lambda: crowd.asked >= after)
    pid, starts = victim.pid, victim.starts
    assert pid is not None, victim.last_words()
    os.killpg(pid, signal.SIGKILL)
    async with asyncio.timeout(SETTLE_S):
        while victim.starts == starts or not await is_ready(victim.program):
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
async def test_kills_under_load_lose_nothing_and_double_nothing(
    broker: str, postgres_database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    names = ["web-1", "worker-1", broker, "model", "web-2", "balancer"]
    async with open_world() as world:
        given = world.settings(Way.PUSHED, port) | {
            "demo": False,
            "database_url": postgres_database_url,
            "log_level": "warning",
        }
        given.pop("port")
        planned = await stack.plan(
            tmp_path,
            port=port,
            broker=broker,
            own=True,
            settings={variables()[name]: str(value) for name, value in given.items()},
            model=fake_model(),
        )
        await teach(planned, tmp_path)
        async with (
            stack.running(planned, tmp_path) as programs,
            open_database(planned.database) as database,
        ):
            crowd = Crowd(world, planned.url)
            killing = asyncio.create_task(kill_each([programs[name] for name in names], crowd))
            try:
                while not killing.done():
                    crowd.step()
                    await asyncio.sleep(0.3)
                await killing
                async with asyncio.timeout(SETTLE_S):
                    await crowd.leave()
                    while await kept(database) < crowd.asked or await unfinished(database):
                        await asyncio.sleep(0.2)
            finally:
                killing.cancel()
                crowd.go_away()
                replicas = [programs[name].program.address for name in ("web-1", "web-2")]
                verdict = await judge(crowd, database, replicas)
                print(verdict)
            # Updates came by webhook, which both replicas had set.
            assert world.telegram.updates.hook is not None
    assert (verdict.lost, verdict.doubled, verdict.kept) == (0, 0, verdict.asked)
    assert verdict.asked > 40
