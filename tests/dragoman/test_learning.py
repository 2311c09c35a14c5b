"""Nights as an operator meets them: by hand, beside the desk, and through a worker."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from core.adapters.canaries import Canaries
from core.adapters.database import Database, open_database
from core.adapters.nights import SqlNights
from core.adapters.preferences import SqlPreferences
from core.adapters.tables import canaries, conversations
from core.adapters.versions import Versions
from core.errors import Misconfigured
from core.nights import NightState, Step
from core.turn import Channel, WorkspaceId
from dragoman import learning
from dragoman.learning import keep_learning, keep_watching
from dragoman.settings import Settings
from dragoman.worker import work
from tests.core.adapters.test_versions import made
from tests.databases import sqlite_at
from tests.patience import until
from tests.workers.nightly import supervisor
from tests.workers.nightly.steps import plan, starts
from workers.nightly.night import Supervisor

HERE = WorkspaceId("default")
ROW = {
    "workspace": HERE,
    "channel": Channel.WEB,
    "place": "v1",
    "customer": "v1",
    "created_at": 0.0,
}
BY_HAND = ("-m", "dragoman.night", "run", "--slot", "by-hand", "--json")


def variables(data_dir: Path, **more: str) -> Mapping[str, str]:
    """The environment of a command whose night begins now."""
    now = datetime.now(UTC)
    return {
        "PATH": "/usr/bin:/bin",
        "DRAGOMAN_DATA_DIR": str(data_dir),
        "DRAGOMAN_NIGHT_AT": now.strftime("%H:%M"),
        "OMP_NUM_THREADS": "1",
        **more,
    }


async def command(*words: str, env: Mapping[str, str]) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    output, told = await process.communicate()
    return process.returncode, output.decode(), told.decode()


async def has_skipped(database: Database) -> bool:
    states = [night.state for night in await SqlNights(database).list(HERE)]
    return states == [NightState.SKIPPED]


@pytest.mark.long
async def test_a_night_by_hand_tells_its_steps_and_its_end(tmp_path: Path) -> None:
    sqlite_at(tmp_path / "dragoman.db")
    code, output, told = await command(*BY_HAND, env=variables(tmp_path))
    assert code == 0, told
    night = json.loads(output)
    assert (night["slot"], night["state"]) == ("by-hand", NightState.SKIPPED)
    assert "learnt from" in night["reason"]
    for event in ("night_step_started", "night_step_ended", "night_ended"):
        assert event in told
    # The same name again is the same night.
    code, output, _ = await command(*BY_HAND, env=variables(tmp_path))
    assert json.loads(output) == night


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_night_by_hand_that_is_stopped_is_taken_up_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """Not even by the desk that carries it out already."""
    monkeypatch.setattr(learning, "CHILD", supervisor.CHILD)
    looked, carry_one = asyncio.Event(), Supervisor.carry_one

    async def carry(self: Supervisor, of: tuple[WorkspaceId, str] | None = None) -> bool:
        looked.set()
        return await carry_one(self, of)

    monkeypatch.setattr(Supervisor, "carry_one", carry)
    plan(tmp_path, Step.CURATE, "hang", "hang")
    settings = Settings(data_dir=tmp_path, database_url=sqlite_at(tmp_path / "dragoman.db"))
    async with open_database(settings.database) as database:
        nights = SqlNights(database)
        if elsewhere:
            await nights.ring(HERE, "by-hand")
            assert await nights.take(holder="desk", held_s=60)
        by_hand = asyncio.create_task(learning.learn_now(settings, "", "by-hand"))
        await looked.wait()
        await until(lambda: elsewhere or bool(starts(tmp_path)))
        by_hand.cancel()
        with pytest.raises(asyncio.CancelledError):
            await by_hand
        assert await nights.take(holder="desk", held_s=60) is None
        (night,) = await nights.list(HERE)
    assert (night.state, night.reason) == (NightState.SKIPPED, "stopped by hand")


@pytest.mark.long
async def test_a_desk_without_a_broker_learns_by_itself(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, nights=True, night_at=datetime.now(UTC).strftime("%H:%M")
    )
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await database.write(lambda c: c.execute(insert(conversations), ROW))
        async with keep_learning(
            settings, database, SqlPreferences(database, settings.preferences)
        ):
            await until(lambda: has_skipped(database))


@pytest.mark.parametrize("words", [{"nights": False}, {"broker_url": "redis://127.0.0.1/0"}])
async def test_a_desk_leaves_nights_to_workers_or_to_nobody(
    tmp_path: Path, words: dict[str, object]
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        night_at=datetime.now(UTC).strftime("%H:%M"),
        **{"nights": True, **words},  # type: ignore[arg-type]  # test shorthand
    )
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await database.write(lambda c: c.execute(insert(conversations), ROW))
        before = asyncio.all_tasks()
        async with keep_learning(
            settings, database, SqlPreferences(database, settings.preferences)
        ):
            assert asyncio.all_tasks() == before


async def test_whoever_serves_customers_watches_what_is_on_trial(tmp_path: Path) -> None:
    """One that began long ago and served nobody is the quickest to be decided."""
    long_ago = {"since": 0.0, "after_message": 0}
    row = {"workspace": HERE, "kind": "encoder", "name": "e1", "share": 0.1, **long_ago}
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await Versions(database).add(HERE, made("e1"))
        await database.write(lambda c: c.execute(insert(canaries), row))
        async with keep_watching(Settings(data_dir=tmp_path), database):
            await until(lambda: _is_over(database))


async def test_words_of_nights_go_when_they_are_old_though_no_night_comes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, nights=False, keep_days=7)
    nights, at = tmp_path / "nights" / HERE, time.time()
    for number in range(9):
        night = nights / f"night-{number}"
        (night / "data").mkdir(parents=True)
        for name in ("data/train.jsonl", "sample.html", "origins.jsonl", "curate.json"):
            (night / name).write_text("{}")
        os.utime(night / "curate.json", (at, at - number * 86_400 - 60))
    (tmp_path / "models" / HERE / "encoder-night-8").mkdir(parents=True)

    async def forgot() -> bool:
        return not (nights / "night-8/data").exists()

    async with (
        open_database(sqlite_at(tmp_path / "dragoman.db")) as database,
        keep_watching(settings, database),
    ):
        await until(forgot)
    assert (nights / "night-6/data/train.jsonl").exists()
    assert [path.name for path in (nights / "night-7").iterdir()] == ["curate.json"]
    left = sorted(path.name for path in (nights / "night-8").iterdir())
    assert left == ["curate.json", "origins.jsonl"], "what still may serve can be traced"


async def _is_over(database: Database) -> bool:
    return not await Canaries(database).running()


async def test_a_worker_without_a_broker_says_what_to_do(tmp_path: Path) -> None:
    code, _, told = await command("-m", "dragoman", "worker", env=variables(tmp_path))
    assert code == 2
    assert "needs DRAGOMAN_BROKER_URL" in told
    assert "Traceback" not in told


def test_a_worker_knows_its_queues(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, broker_url="redis://127.0.0.1/0")
    with pytest.raises(Misconfigured, match="mail is no queue; turns, indexing, training are"):
        work(settings, "turns, mail", beat=False, concurrency=1)
