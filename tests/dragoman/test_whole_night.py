"""A night as it is in earnest: conversations, a broker, a worker's children, a better version."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.night_conversations import write
from core.adapters.database import Database, open_database
from core.adapters.nights import SqlNights
from core.adapters.versions import Versions
from core.nights import NightState, Step, VersionState
from core.turn import WorkspaceId
from retrieval.opening import open_retriever
from tests.desk import command, environment
from tests.dragoman import fortnight
from tests.patience import until
from tests.services import rabbitmq, redis
from workers.celery_app import Queue, build_app

HERE = WorkspaceId("default")
BELLS = 5
NIGHT_S = 400


@pytest.fixture(params=[rabbitmq, pytest.param(redis, marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as url:
        yield url


@asynccontextmanager
async def worker(env: Mapping[str, str]) -> AsyncIterator[None]:
    """One whose beat rings as well, and to which the same bell is rung again and again."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dragoman", "worker", "--queues", "training", "--beat"), env=env
    )
    try:
        app = build_app(env["DRAGOMAN_BROKER_URL"], lambda: None)  # type: ignore[arg-type,return-value]
        for _ in range(BELLS):
            app.send_task(f"dragoman.{Queue.TRAINING}", queue=str(Queue.TRAINING))
        app.close()
        yield
    finally:
        process.terminate()
        await process.wait()


async def shop(database: Database, home: Path) -> Path:
    """Articles, indexed by an encoder that has seen no customer, and what customers asked."""
    base = fortnight.build_base(home / "made")
    async with open_retriever(database, home, encoder=base) as retrieval:
        await retrieval.knowledge.put(HERE, fortnight.documents())
    rows = fortnight.rows()
    assert await database.write(lambda c: write(c, HERE, rows, time.time())) == len(rows)
    return base


async def is_over(database: Database) -> bool:
    return any(night.ended_at is not None for night in await SqlNights(database).list(HERE))


def ask(env: Mapping[str, str]) -> Mapping[str, object]:
    done = command("ask", fortnight.UNSEEN, "--json", env=env)
    assert done.returncode == 0, done.stderr
    told: Mapping[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.long
@pytest.mark.timeout(2 * NIGHT_S)
async def test_a_worker_learns_from_a_fortnight_in_six_languages(
    broker: str, postgres_database_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_database_url) as database:
        env = environment(
            tmp_path,
            database_url=postgres_database_url,
            broker_url=broker,
            encoder=await shop(database, tmp_path),
            precision=fortnight.PRECISION,
            nights="true",
            night_at=datetime.now(UTC).strftime("%H:%M"),
        )
        before = await asyncio.to_thread(ask, env)
        async with worker(env):
            await until(lambda: is_over(database), within_s=NIGHT_S)
        (night,) = await SqlNights(database).list(HERE)
        assert (night.state, night.reason) == (NightState.PUBLISHED, "")
        made = await Versions(database).list(HERE)
    after = await asyncio.to_thread(ask, env)

    judged = night.figures[Step.EVALUATE]["encoder"]
    assert set(judged["languages"]) == set(fortnight.LANGUAGES)
    assert judged["after"]["right"] > judged["before"]["right"]
    assert judged["after"]["handed_over"] < judged["before"]["handed_over"]
    # Agents wrote the articles' words, which these customers now get at once.
    assert judged["languages"]["en"]["after"]["chrf"] > 80
    assert (before["outcome"], after["outcome"]) == ("handoff", "answer")
    live = [version.name for version in made if version.state is VersionState.LIVE]
    assert live == [f"encoder-{night.slot}"]
