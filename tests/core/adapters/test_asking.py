"""A report is posted once, whoever else shows the desk and however it ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.asking import Asking
from core.adapters.decisions import Decisions
from core.adapters.holds import Holds
from core.nights import Decision
from core.turn import Channel
from tests.databases import sqlite_at
from tests.deciding import Night, open_night
from tests.fakes.deciding import HOME
from tests.patience import until


class SlowDesk:
    """Implements `DecisionPort`; a report stands there long before its sender hears of it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.posted = 0
        self.shown = 0

    async def post(self, decision: Decision) -> str:
        self.posted += 1
        await self.gate.wait()
        return "here"

    async def show(self, place: str, decision: Decision) -> None:
        self.shown += 1


class CountedHolds(Holds):
    """Real ones, which know how often somebody tried."""

    tries = 0

    async def take(self, name: str, holder: str, for_s: float) -> bool:
        self.tries += 1
        return await super().take(name, holder, for_s)


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    async with open_night(sqlite_at(tmp_path / "desk.db"), tmp_path) as opened:
        await opened.waits()
        yield opened


def asking(night: Night, holds: Holds) -> Asking:
    return Asking(Decisions(night.database, HOME, Channel.TELEGRAM), holds, poll_s=0.02)


async def test_two_processes_post_it_once(night: Night) -> None:
    desk, holds = SlowDesk(), CountedHolds(night.database)
    async with asking(night, Holds(night.database)).keep(desk):
        await until(lambda: desk.posted)
        async with asking(night, holds).keep(desk):
            await until(lambda: holds.tries or desk.posted > 1)
            desk.gate.set()
            await until(lambda: desk.shown)
    assert desk.posted == 1


async def test_a_desk_that_stops_while_it_posts_does_not_post_again(night: Night) -> None:
    desk, this = SlowDesk(), asking(night, Holds(night.database))

    async def run() -> None:
        async with this.keep(desk):
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    await until(lambda: desk.posted)
    running.cancel()
    await asyncio.sleep(0)
    desk.gate.set()
    await asyncio.gather(running, return_exceptions=True)
    async with this.keep(desk):
        await until(lambda: desk.shown)
    assert desk.posted == 1
