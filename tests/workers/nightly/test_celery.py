"""Nights through a real Celery, on RabbitMQ and on Redis, whatever becomes of its messages."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from core.nights import NightState, Step
from tests.patience import until
from tests.services import free_port, rabbitmq, redis
from tests.workers.nightly import celery_worker
from tests.workers.nightly.celery_worker import write_slots
from tests.workers.nightly.steps import commits, plan, starts
from tests.workers.nightly.supervisor import HERE
from workers.celery_app import Queue, build_app

SLOT, NEXT = "2027-01-31", "2027-02-01"
BELLS = 20


@asynccontextmanager
async def worker(broker: str, url: str, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await celery_worker.start(broker, url, home)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.fixture(params=[rabbitmq, pytest.param(redis, marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as url:
        yield url


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


async def is_published(rows: SqlNights, slot: str) -> bool:
    nights = await rows.list(HERE)
    return any(night.slot == slot and night.state is NightState.PUBLISHED for night in nights)


def ring_often(broker: str) -> None:
    """As a broker does that delivers the same message again and again."""
    app = build_app(broker, lambda: None)  # type: ignore[arg-type,return-value]
    for _ in range(BELLS):
        app.send_task(f"dragoman.{Queue.TRAINING}", queue=str(Queue.TRAINING))
    app.close()


@pytest.mark.long
async def test_two_workers_with_a_beat_each_make_one_night_of_many_bells(
    broker: str, postgres_database_url: str, tmp_path: Path
) -> None:
    """The one whose process carries the night is killed, with all it has to say to the broker."""
    write_slots(tmp_path, SLOT)
    plan(tmp_path, Step.TRAIN, "hang")
    async with AsyncExitStack() as stack:
        rows = SqlNights(
            await stack.enter_async_context(open_database(postgres_database_url, pool_size=1))
        )
        first = await stack.enter_async_context(worker(broker, postgres_database_url, tmp_path))

        await until(lambda: f"{SLOT} train" in starts(tmp_path))
        await stack.enter_async_context(worker(broker, postgres_database_url, tmp_path))
        await asyncio.to_thread(ring_often, broker)
        family = psutil.Process(first.pid).children(recursive=True)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: not any(is_alive(process) for process in family))
        await until(lambda: is_published(rows, SLOT))
        await until(lambda: len((tmp_path / "rung").read_text()) > BELLS)
        assert [night.slot for night in await rows.list(HERE)] == [SLOT]
    assert commits(tmp_path) == [SLOT]
    assert sorted(starts(tmp_path)) == sorted(
        [*(f"{SLOT} {step}" for step in Step), f"{SLOT} {Step.TRAIN}"]
    )


def emptied(broker: str) -> int:
    """Throw away every message that waits, as a broker does which lost its disk; how many."""
    app = build_app(broker, lambda: None)  # type: ignore[arg-type,return-value]
    with app.connection_for_write() as connection:
        thrown = connection.default_channel.queue_purge(str(Queue.TRAINING))
    app.close()
    return int(thrown)


@pytest.mark.long
async def test_a_night_whose_bells_were_thrown_away_is_rung_for_again(
    broker: str, postgres_database_url: str, tmp_path: Path
) -> None:
    write_slots(tmp_path, SLOT)
    await asyncio.to_thread(ring_often, broker)
    assert await asyncio.to_thread(emptied, broker) == BELLS
    async with AsyncExitStack() as stack:
        rows = SqlNights(
            await stack.enter_async_context(open_database(postgres_database_url, pool_size=1))
        )
        await stack.enter_async_context(worker(broker, postgres_database_url, tmp_path))
        await until(lambda: is_published(rows, SLOT))
        await asyncio.to_thread(emptied, broker)
        write_slots(tmp_path, SLOT, NEXT)
        await until(lambda: is_published(rows, NEXT))
    assert commits(tmp_path) == [SLOT, NEXT]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("away_s", [0.0, 600.0])
async def test_a_night_needs_no_broker_once_it_was_rung(
    away_s: float, postgres_database_url: str, tmp_path: Path
) -> None:
    write_slots(tmp_path, SLOT)
    plan(tmp_path, Step.TRAIN, "nap")
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    async with AsyncExitStack() as stack:
        rows = SqlNights(
            await stack.enter_async_context(open_database(postgres_database_url, pool_size=1))
        )
        # It waits for a broker that is not there yet.
        await stack.enter_async_context(worker(url, postgres_database_url, tmp_path))
        with redis(port):
            await until(lambda: f"{SLOT} train" in starts(tmp_path))
        write_slots(tmp_path, SLOT, NEXT)
        await until(lambda: is_published(rows, SLOT))
        await asyncio.sleep(away_s)
        assert [night.slot for night in await rows.list(HERE)] == [SLOT]
        with redis(port):
            await until(lambda: is_published(rows, NEXT))
    assert commits(tmp_path) == [SLOT, NEXT]
    assert len(starts(tmp_path)) == 2 * len(Step)
