"""A company at work: customers in Telegram and Slack, agents in a Slack channel, nothing mocked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, Update, select, update

from bots.slack.channel import SlackChannel, SlackNeeds, SlackOptions, open_slack
from bots.telegram.api import TelegramApi
from bots.telegram.channel import TelegramChannel
from bots.telegram.files import TelegramFiles
from bots.telegram.sending import TelegramPort
from core.adapters.conversations import Conversations
from core.adapters.cursors import Cursors
from core.adapters.database import Database, Now, open_database
from core.adapters.detector import CombinedDetector
from core.adapters.generator import HttpGenerator
from core.adapters.holds import Holds
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.preferences import SqlPreferences
from core.adapters.tables import desk_threads, messages, outbox
from core.adapters.translator import DialogueTranslator
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.faithful import FaithfulTranslator
from core.interpreting import Interpreter
from core.ports import Files
from core.serving import Pace, Station
from core.turn import Channel, ConversationId, WorkspaceId
from dragoman.chat_desks import slack_desk
from dragoman.settings import Settings
from tests.core.takeover import PERSON, bot
from tests.fakes.model import FakeModel, Mood, fake_model
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.team import FakeMessage, FakePerson
from tests.fakes.telegram import FakeTelegram
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[4]
DESK, HOME = "C0DESK", WorkspaceId("default")
ANNA, BEN, OUTSIDER = "U0ANNA", "U0BEN", "U0OUTSIDER"
KENJI = 501

__all__ = ["ANNA", "BEN", "DESK", "KENJI", "OUTSIDER", "PERSON"]


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that a test turns; `channel` is Slack as the program runs it."""

    slack: FakeSlack
    telegram: FakeTelegram
    model: FakeModel
    database: Database
    settings: Settings
    channel: SlackChannel
    delivery: Delivery
    _seen: set[str] = field(default_factory=set)

    # -- the customer in Telegram -----------------------------------------------------------

    def customer_says(self, text: str, chat: int = KENJI) -> int:
        return self.telegram.user_says(chat, text, language_code="ja")

    def customer_reads(self, chat: int = KENJI) -> list[str]:
        return [message.text for message in self.telegram.messages(chat)]

    # -- the agents in Slack ----------------------------------------------------------------

    def card(self, number: int = 0) -> FakeMessage:
        """A card of the desk, oldest first."""
        return [m for m in self.slack.messages(DESK) if m.thread_ts is None][number]

    def thread(self, card: FakeMessage | None = None) -> list[FakeMessage]:
        """What of ours stands below a card."""
        root = (card or self.card()).ts
        return [m for m in self.slack.messages(DESK) if m.thread_ts == root]

    def read(self, card: FakeMessage | None = None) -> str:
        """Every word of ours in a thread, and on its card."""
        root = card or self.card()
        return "\n".join(words_of(message) for message in (root, *self.thread(root)))

    def press(self, action: str, user: str = ANNA, card: FakeMessage | None = None) -> None:
        self.slack.press(DESK, (card or self.card()).ts, f"dragoman_desk_{action}", user=user)

    def agent_says(self, text: str, user: str = ANNA, **more: Any) -> str:
        return self.slack.user_says(DESK, text, user=user, thread_ts=self.card().ts, **more)

    def buttons(self, card: FakeMessage | None = None) -> set[str]:
        return buttons_of(card or self.card())

    def reactions(self, ts: str) -> set[str]:
        found = self.slack.team.channels[DESK].messages[ts].reactions
        return {name for name, who in found.items() if who}

    # -- what happens -----------------------------------------------------------------------

    async def until(self, done: Callable[[], bool | Awaitable[bool]]) -> None:
        """Serve until something is true; whatever waits after a failure is hurried."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = done()
                if found if isinstance(found, bool) else await found:
                    return
                await self.hurry()
                await self.delivery.sweep()
                await asyncio.sleep(0.02)

    async def shown(self, *words: str) -> None:
        """Wait until the agents can read this."""
        await self.until(lambda: self._has_cards() and all(w in self.read() for w in words))

    async def told(self, *words: str, chat: int = KENJI) -> None:
        """Wait until the customer can read this."""
        await self.until(lambda: all(w in "\n".join(self.customer_reads(chat)) for w in words))

    async def settled(self) -> None:
        """Wait until every side knows everything."""
        await self.slack.push.idle()
        await self.until(self._is_settled)

    async def whispered(self, count: int = 1) -> list[dict[str, Any]]:
        """What was told to single agents, once there is that much."""
        await self.until(lambda: len(self.slack.api.ephemeral) >= count)
        return self.slack.api.ephemeral

    async def handed_over(self, text: str = PERSON) -> FakeMessage:
        """Let a customer ask for a person; the card."""
        self.customer_says(text)
        await self.until(self._has_cards)
        await self.settled()
        return self.card()

    async def claimed(self, user: str = ANNA) -> None:
        self.press("claim", user)
        await self.until(lambda: "resolve" in self.buttons() and "claim" not in self.buttons())

    async def hurry(self) -> None:
        late = update(desk_threads).where(desk_threads.c.due_at > Now()).values(due_at=Now())
        more = update(outbox).where(outbox.c.not_before > Now()).values(not_before=Now())
        for change in (late, more):
            await self.database.write(partial(_rows_changed, change))

    async def rows(self, table: Table) -> Sequence[Any]:
        everything = select(table).order_by(*table.primary_key)
        return await self.database.read(lambda c: c.execute(everything).all())

    async def lines(self) -> list[tuple[str, str, str | None, bool]]:
        """The transcript: who, what, how the other side reads it, and whether it is a note."""
        rows = await self.rows(messages)
        return [(r.author, r.text, r.translation, r.internal) for r in rows]

    async def conversation(self) -> ConversationId:
        rows = await self.rows(desk_threads)
        return ConversationId(rows[0].conversation_id)

    def _has_cards(self) -> bool:
        return any(m.thread_ts is None for m in self.slack.messages(DESK))

    async def _is_settled(self) -> bool:
        threads = await self.rows(desk_threads)
        parcels = await self.rows(outbox)
        unsent = [p for p in parcels if p.state in ("pending", "sending")]
        return not unsent and all(t.due_at is None and t.holder is None for t in threads)


def buttons_of(message: FakeMessage) -> set[str]:
    """What the desk's buttons under a message do."""
    found = (item for block in message.blocks for item in block.get("elements", []))
    return {
        item["action_id"].removeprefix("dragoman_desk_")
        for item in found
        if item["type"] == "button"
    }


def words_of(message: FakeMessage) -> str:
    """What a person reads of a message."""
    return "\n".join(_texts(message.blocks)) if message.blocks else message.text


def _texts(found: Any) -> list[str]:
    if isinstance(found, list):
        return [text for item in found for text in _texts(item)]
    if not isinstance(found, dict):
        return []
    own = [found["text"]] if isinstance(found.get("text"), str) else []
    return own + [text for key, value in found.items() for text in _texts(value)]


def people(slack: FakeSlack) -> None:
    """Anna reads German, Ben English; both are in the desk's channel."""
    slack.team.people = {
        ANNA: FakePerson(name="Anna", locale="de-DE"),
        BEN: FakePerson(name="Ben", locale="en-US"),
        OUTSIDER: FakePerson(name="Otto", locale="de-DE"),
    }
    slack.team.open(DESK, "channel").people += [ANNA, BEN]


def settings_for(slack: FakeSlack, telegram_url: str, folder: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=folder,
        workspace=HOME,
        slack_bot_token=slack.bot_token,
        slack_app_token=slack.app_token,
        slack_api_url=slack.api_url,
        slack_desk=DESK,
        telegram_api_url=telegram_url,
        desk_language="de",
    )


@asynccontextmanager
async def open_slack_desk(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    files: dict[Channel, Files] | None = None,
    **changes: Any,
) -> AsyncIterator[SlackChannel]:
    """Slack with its desk as the program opens it, at a pace for tests."""
    files = {} if files is None else files
    needs = slack_desk(
        settings,
        database,
        delivery,
        preferences=SqlPreferences(database, settings.preferences),
        files=files,
    )
    assert needs is not None
    options = SlackOptions(
        workspace=HOME,
        bot_token=settings.slack_bot_token.get_secret_value(),
        app_token=settings.slack_app_token.get_secret_value(),
        api_url=settings.slack_api_url,
    )
    conversations = Conversations(database)
    slack_needs = SlackNeeds(
        accept=delivery.accept,
        rate=delivery.rate,
        known=conversations.known,
        answers_agent=conversations.answers_agent,
        recent=conversations.recent,
        cursors=Cursors(database),
        holds=Holds(database),
        desk=replace(needs, **{"every_s": 0.0, "home_pause_s": 0.0, **changes}),
        files=files,
    )
    async with open_slack(options, slack_needs) as channel:
        files[Channel.SLACK] = channel.files
        yield channel


@asynccontextmanager
async def open_world(
    slack: FakeSlack,
    database_url: str,
    folder: Path,
    *,
    runs_desk: bool = True,
    telegram: FakeTelegram | None = None,
    **changes: Any,
) -> AsyncIterator[World]:
    """The company; without `runs_desk`, its Slack takes in and shows nothing."""
    async with AsyncExitStack() as stack:
        if telegram is None:
            telegram = await stack.enter_async_context(FakeTelegram())
        model = await stack.enter_async_context(fake_model())
        model.mood = Mood.TRANSLATES
        database = await stack.enter_async_context(open_database(database_url))
        people(slack)
        settings = settings_for(slack, telegram.url, folder)
        generator = await stack.enter_async_context(HttpGenerator(f"{model.url}/v1"))
        detector = CombinedDetector()
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=bot,
            ports={},
            presences={},
            pace=Pace(gather_s=0.0),
            default_language="ja",
            interpreter=Interpreter(
                translator=FaithfulTranslator(DialogueTranslator(generator), detector),
                detector=detector,
                desk_language=_german,
                default_language="ja",
            ),
        )
        delivery = Delivery(inbox=SqlInbox(database), leases=SqlLeases(database), station=station)
        files: dict[Channel, Files] = {}
        channel = await stack.enter_async_context(
            open_slack_desk(settings, database, delivery, files, **changes)
        )
        api = await stack.enter_async_context(TelegramApi(telegram.token, telegram.url))
        files[Channel.TELEGRAM] = TelegramFiles(api)
        customers = TelegramChannel(
            api,
            workspace=HOME,
            accept=delivery.accept,
            rate=delivery.rate,
            move=Conversations(database).move,
            holds=Holds(database),
            languages=(),
            public_url="",
        )
        station.ports.update({Channel.SLACK: channel.port})
        station.ports.update({Channel.TELEGRAM: TelegramPort(api, files)})
        await stack.enter_async_context(delivery)
        runs = (channel.run, customers.run) if runs_desk else (customers.run,)
        before = slack.connections_opened
        await stack.enter_async_context(_running(*runs))
        if runs_desk:
            await slack.connected(before + 1)
        yield World(
            slack=slack,
            telegram=telegram,
            model=model,
            database=database,
            settings=settings,
            channel=channel,
            delivery=delivery,
        )


@asynccontextmanager
async def _running(*runs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(run()) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _rows_changed(change: Update, connection: Connection) -> int:
    return connection.execute(change).rowcount


async def _german(workspace: WorkspaceId) -> str:
    return "de"
