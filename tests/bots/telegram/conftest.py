"""A desk behind the bot that only collects, and the bot itself over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from bots.telegram.api import TelegramApi
from bots.telegram.intake import Intake
from core.adapters.database import SqliteDatabase, open_database
from core.adapters.holds import Holds
from core.errors import Unavailable
from core.turn import Address, Inbound, WorkspaceId
from tests.databases import sqlite_at
from tests.fakes.telegram import FakeTelegram

WORKSPACE = WorkspaceId("acme")


@dataclass
class Desk:
    """What delivery would keep; `broken` is how many next tries fail as a lost database would."""

    inbounds: list[Inbound] = field(default_factory=list)
    ratings: list[tuple[str, int, bool]] = field(default_factory=list)
    moves: list[tuple[str, str]] = field(default_factory=list)
    tries: int = 0
    broken: int = 0

    async def accept(self, inbound: Inbound) -> bool:
        self.tries += 1
        if self.broken > 0:
            self.broken -= 1
            raise Unavailable("database", "gone")
        if any(inbound.event_id == known.event_id for known in self.inbounds):
            return False
        self.inbounds.append(inbound)
        return True

    async def rate(self, address: Address, turn: int, *, helpful: bool) -> bool:
        self.ratings.append((address.place, turn, helpful))
        return True

    async def move(self, address: Address, place: str) -> bool:
        self.moves.append((address.place, place))
        return True

    @property
    def texts(self) -> list[str]:
        return [inbound.text for inbound in self.inbounds]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        yield server


@pytest.fixture
async def api(telegram: FakeTelegram) -> AsyncIterator[TelegramApi]:
    async with TelegramApi(telegram.token, telegram.url) as connected:
        yield connected


@pytest.fixture
def intake(api: TelegramApi, desk: Desk) -> Intake:
    return Intake(api, WORKSPACE, accept=desk.accept, rate=desk.rate, move=desk.move)


@pytest.fixture
async def holds(tmp_path: Path) -> AsyncIterator[Holds]:
    async with open_database(sqlite_at(tmp_path / "holds.db")) as database:
        yield Holds(database)


@pytest.fixture
def idle_holds() -> Holds:
    """For a channel that takes no lease, since it does not poll."""
    return Holds(SqliteDatabase(create_engine("sqlite://")))
