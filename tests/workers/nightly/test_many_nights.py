"""Many nights in a row, with two beats, while whoever carries them out is killed at random."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import date, timedelta
from pathlib import Path

import pytest

from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from core.nights import NightState, Step
from tests.workers.nightly import supervisor
from tests.workers.nightly.steps import commits, doubled, starts
from tests.workers.nightly.supervisor import HERE
from workers.nightly.night import STARTS

TWO = 2


class Nemesis:
    """Two supervisors, each of which rings for all slots when it starts, and is started again."""

    def __init__(self, url: str, data_dir: Path, slots: list[str], dice: random.Random) -> None:
        self._url, self._data_dir, self._slots, self._dice = url, data_dir, slots, dice
        self._alive: dict[int, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> "Nemesis":
        for place in range(TWO):
            await self._start(place)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._alive.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def strike(self) -> str:
        """Kill a supervisor, or stop it until its lease has lapsed, or kill the step itself."""
        place = self._dice.randrange(TWO)
        process = self._alive[place]
        steps = _children(process.pid)
        how = self._dice.choice(["supervisor", "stopped", *["step"] * bool(steps)])
        if how == "step":
            with suppress(ProcessLookupError):
                os.kill(steps[0], signal.SIGKILL)
        elif how == "stopped":
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(1.5 * supervisor.RHYTHM.held_s)
            os.kill(process.pid, signal.SIGCONT)
        else:
            process.kill()
            await process.wait()
            await self._start(place)
        return how

    async def _start(self, place: int) -> None:
        self._alive[place] = await supervisor.start(self._url, self._data_dir, self._slots)


def _children(pid: int) -> list[int]:
    stats = Path("/proc").glob("[0-9]*/stat")
    return [int(path.parent.name) for path in stats if _parent(path) == pid]


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


async def ordeal(url: str, data_dir: Path, *, nights: int, kills: int) -> None:
    seed = int(os.environ.get("DRAGOMAN_TEST_SEED", random.randrange(2**32)))
    print(f"DRAGOMAN_TEST_SEED={seed}", file=sys.stderr)
    dice = random.Random(seed)
    slots = [str(date(2027, 1, 1) + timedelta(days=number)) for number in range(nights)]
    struck: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        rows = SqlNights(await stack.enter_async_context(open_database(url)))

        async def ended() -> int:
            return sum(night.ended_at is not None for night in await rows.list(HERE))

        nemesis = await stack.enter_async_context(Nemesis(url, data_dir, slots, dice))
        while (done := await ended()) < nights:
            # Spread over the nights: each lets some more strikes pass.
            if struck.total() < kills and struck.total() * nights <= done * kills:
                await asyncio.sleep(dice.uniform(0.5, 2.5))
                struck[await nemesis.strike()] += 1
            await asyncio.sleep(0.1)
        every = await rows.list(HERE, limit=2 * nights)
    print(dict(struck), dict(Counter(str(night.state) for night in every)), file=sys.stderr)

    assert sorted(night.slot for night in every) == slots
    assert {night.state for night in every} <= {NightState.PUBLISHED, NightState.FAILED}
    published = {night.slot for night in every if night.state is NightState.PUBLISHED}
    assert max(Counter(commits(data_dir)).values()) == 1
    assert published <= set(commits(data_dir))
    assert doubled(data_dir) == []
    assert max(Counter(starts(data_dir)).values()) <= STARTS
    for night in every:
        if night.state is NightState.PUBLISHED:
            assert set(night.figures) == set(Step)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_some_nights_with_two_beats_and_kills_are_each_carried_out_once(
    postgres_database_url: str, tmp_path: Path
) -> None:
    await ordeal(postgres_database_url, tmp_path, nights=3, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_thirty_nights_with_two_beats_and_kills_are_each_carried_out_once(
    database_url: str, tmp_path: Path
) -> None:
    await ordeal(database_url, tmp_path, nights=30, kills=40)
