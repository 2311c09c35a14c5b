"""Nights of learning: beside the running desk, beside a worker's queues, or one by hand."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, time
from typing import Any

from core.adapters.database import Database, open_database
from core.adapters.nights import SqlNights
from core.adapters.preferences import SqlPreferences
from core.errors import Misconfigured
from core.hours import zone_of
from core.nights import Night, NightState, Order
from core.turn import WorkspaceId
from dragoman.settings import WORKSPACE, Settings
from workers.nightly.child import Limits
from workers.nightly.night import Supervisor
from workers.nightly.old_nights import forget_words
from workers.nightly.schedule import Bell
from workers.nightly.watching import Watcher

CHILD = (sys.executable, "-P", "-m", "dragoman.night")
LOOK_S = 0.5
FORGET_S = 3_600.0
STOPPED = "stopped by hand"

_OVER = (
    NightState.PUBLISHED,
    NightState.REFUSED,
    NightState.SKIPPED,
    NightState.FAILED,
    NightState.WAITING,
)


class Learning:
    """What carries nights out, as the settings say."""

    def __init__(self, settings: Settings, database: Database, preferences: SqlPreferences) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._preferences = preferences
        self.nights = SqlNights(database)
        self.bell = Bell(self.nights, self._zone_of, at=time.fromisoformat(settings.night_at))
        self.supervisor = Supervisor(
            self.nights,
            self._order_of,
            command=CHILD,
            limits=Limits(
                memory_bytes=settings.night_memory_mb * 1_000_000,
                # The other half is for who writes to us at night.
                threads=max(1, (os.cpu_count() or 1) // 2),
            ),
        )

    async def _zone_of(self, workspace: WorkspaceId) -> str:
        return (await self._preferences.of(workspace)).time_zone

    async def _order_of(self, workspace: WorkspaceId, slot: str) -> Order:
        settings = self._settings
        return Order(
            workspace=workspace,
            slot=slot,
            database=settings.database,
            data_dir=settings.data_dir,
            encoder=settings.encoder,
            model=settings.model,
            model_url=settings.model_url,
            model_key=settings.model_api_key.get_secret_value(),
            default_language=settings.default_language,
            precision=(await self._preferences.of(workspace)).precision,
            approve=settings.night_approval,
            canary_share=settings.canary_share,
            signing_key=settings.sealing_key().decode(),
        )


@asynccontextmanager
async def keep_learning(
    settings: Settings, database: Database, preferences: SqlPreferences
) -> AsyncIterator[None]:
    """Learn every night, for as long as the block lasts; where there is a broker, workers do."""
    if not settings.nights or settings.broker_url:
        yield
        return
    learning = Learning(settings, database, preferences)
    async with _running(learning.bell.keep(), learning.supervisor.keep()):
        yield


@asynccontextmanager
async def keep_watching(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Watch what nights left, for as long as the block lasts, also without nights.

    What is on trial is judged, and words go that are older than they are kept.
    """
    async with _running(Watcher(database).keep(), _forgetting(settings)):
        yield


async def _forgetting(settings: Settings) -> None:
    while True:
        for place in (settings.data_dir / "nights").glob("*"):
            await asyncio.to_thread(
                forget_words,
                settings.data_dir,
                WorkspaceId(place.name),
                keep_days=settings.keep_days,
            )
        await asyncio.sleep(FORGET_S)


async def carry_nights(settings: Settings, stop: asyncio.Event) -> None:
    """Carry out nights that are due until told to stop; a worker's tasks ring for them."""
    async with open_database(settings.database) as database:
        preferences = SqlPreferences(database, settings.preferences)
        async with _running(Learning(settings, database, preferences).supervisor.keep()):
            await stop.wait()


async def ring(settings: Settings) -> int:
    """Make the nights that are due; how many were not there yet.

    Raises: Unavailable: the database does not answer.
    """
    async with open_database(settings.database, pool_size=1) as database:
        preferences = SqlPreferences(database, settings.preferences)
        return await Learning(settings, database, preferences).bell.ring()


async def learn_now(settings: Settings, workspace: str, slot: str) -> Night:
    """Carry one night out, and wait for its end; another process may be faster.

    Whoever ends the wait has stopped the night, also where another process carries it.
    Raises: Misconfigured, Unavailable: the workspace's name, the database.
    """
    name = workspace or settings.workspace
    if not re.fullmatch(WORKSPACE, name):
        raise Misconfigured("a workspace is named by letters, digits, - and _ only")
    async with open_database(settings.database) as database:
        preferences = SqlPreferences(database, settings.preferences)
        learning = Learning(settings, database, preferences)
        of = WorkspaceId(name)
        if not slot:
            zone = zone_of((await preferences.of(of)).time_zone)
            slot = datetime.now(zone).strftime("%Y-%m-%d-%H%M%S")
        await learning.nights.ring(of, slot)
        try:
            return await _carried_out(learning, of, slot)
        except asyncio.CancelledError:
            await learning.nights.stop(of, slot, reason=STOPPED)
            raise


async def _carried_out(learning: Learning, of: WorkspaceId, slot: str) -> Night:
    while True:
        await learning.supervisor.carry_one((of, slot))
        night = next(night for night in await learning.nights.list(of) if night.slot == slot)
        if night.state in _OVER:
            return night
        await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
