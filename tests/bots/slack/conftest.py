"""A Slack channel of ours beside a fake Slack, with a desk that writes down what it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bots.server import build_app, serving
from bots.slack.channel import SlackChannel, SlackNeeds, SlackOptions, open_slack
from core.adapters.cursors import Cursors
from core.adapters.database import Database, open_database
from core.adapters.holds import Holds
from core.adapters.vault import Vault
from core.errors import Unavailable
from core.turn import Address, Channel, Inbound, WorkspaceId
from tests.databases import sqlite_at
from tests.fakes.slack import FakeSlack
from tests.patience import PATIENCE_S

HOME = WorkspaceId("home")


@dataclass(slots=True)
class Desk:
    """Keeps what it accepts, each event once, like the inbox."""

    taken: dict[str, Inbound] = field(default_factory=dict)
    refused: list[Inbound] = field(default_factory=list)
    ratings: list[tuple[str, int, bool]] = field(default_factory=list)
    fault: Exception | None = None
    trips: set[str] = field(default_factory=set)
    unkept: set[str] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def inbounds(self) -> list[Inbound]:
        return list(self.taken.values())

    @property
    def texts(self) -> list[str]:
        return [inbound.text for inbound in self.inbounds]

    async def accept(self, inbound: Inbound) -> bool:
        async with self._changed:
            self._changed.notify_all()
            if self.fault is not None:
                self.refused.append(inbound)
                raise self.fault
            if inbound.text in self.trips:
                self.refused.append(inbound)
                raise ZeroDivisionError("a bug")
            if inbound.text in self.unkept:
                raise Unavailable("database", "gone")
            # Longer than any socket needs: what is acknowledged before is acknowledged too early.
            await asyncio.sleep(0.001)
            if inbound.event_id in self.taken:
                return False
            self.taken[inbound.event_id] = inbound
            return True

    async def rate(self, address: Address, turn: int, *, helpful: bool) -> bool:
        async with self._changed:
            self.ratings.append((address.place, turn, helpful))
            self._changed.notify_all()
        return True

    async def known(self, address: Address, *, before: float | None = None) -> bool:
        told = [inbound.sent_at for inbound in self.inbounds if inbound.address == address]
        return bool(told) and (before is None or min(told) <= before)

    async def answers_agent(self, address: Address, *, root: str, said: str) -> bool:
        return False

    async def recent(
        self, workspace: WorkspaceId, channel: Channel, within_s: float
    ) -> tuple[str, ...]:
        mine = (i for i in self.inbounds if i.address.workspace == workspace)
        return tuple(dict.fromkeys(inbound.address.place for inbound in mine))

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(done)


@dataclass(slots=True, kw_only=True)
class Rig:
    """Everything that a test turns."""

    slack: FakeSlack
    desk: Desk
    database: Database
    options: SlackOptions
    secret: bytes = field(default_factory=Fernet.generate_key)

    @asynccontextmanager
    async def channel(self, **changes: object) -> AsyncIterator[SlackChannel]:
        """A channel that can send, and does not run."""
        needs = SlackNeeds(
            accept=self.desk.accept,
            rate=self.desk.rate,
            known=self.desk.known,
            answers_agent=self.desk.answers_agent,
            recent=self.desk.recent,
            cursors=Cursors(self.database),
            holds=Holds(self.database),
            vault=Vault(self.database, self.secret),
        )
        options = replace(self.options, **changes)  # type: ignore[arg-type]  # fields by name
        async with open_slack(options, needs) as channel:
            yield channel

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator[SlackChannel]:
        """A channel that runs, connected if it is to be."""
        async with self.channel(**changes) as channel:
            before = self.slack.connections_opened
            task = asyncio.create_task(channel.run())
            try:
                if replace(self.options, **changes).app_token:  # type: ignore[arg-type]  # as above
                    await self.slack.connected(before + 1)
                yield channel
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def over_http(self, **changes: object) -> AsyncIterator[tuple[SlackChannel, str]]:
        """A channel behind the real web server, told to the fake Slack."""
        given = {"app_token": "", "signing_secret": self.slack.signing_secret} | changes
        async with AsyncExitStack() as stack:
            channel = await stack.enter_async_context(self.channel(**given))
            app = build_app(channel.routes, ready=_ready)
            url = await stack.enter_async_context(serving(app, host="127.0.0.1", port=0))
            self.slack.push.events_url = f"{url}/slack/events"
            self.slack.push.interactions_url = f"{url}/slack/interactions"
            yield channel, url


async def _ready() -> dict[str, str | None]:
    return {}


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as running:
        yield running


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    options = SlackOptions(
        workspace=HOME,
        bot_token=slack.bot_token,
        app_token=slack.app_token,
        api_url=slack.api_url,
    )
    async with open_database(sqlite_at(tmp_path / "slack.db")) as database:
        yield Rig(slack=slack, desk=Desk(), database=database, options=options)
