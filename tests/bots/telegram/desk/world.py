"""A whole desk over a real database: a bot, customers, and agents in a forum of the same bot."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bots.slack.channel import SlackNeeds, SlackOptions, open_slack
from bots.telegram.api import TelegramApi
from bots.telegram.channel import TelegramChannel
from bots.telegram.desk.desk import DeskGroup
from bots.telegram.desk.hands import Does
from bots.telegram.desk.port import Reads, TelegramDesk
from bots.telegram.files import TelegramFiles
from bots.telegram.limits import Limit, Limits
from bots.telegram.presence import TelegramPresence
from bots.telegram.sending import TelegramPort
from core.adapters.accounts import Accounts, NewAccount
from core.adapters.cases import Cases
from core.adapters.conversations import Conversations
from core.adapters.cursors import Cursors
from core.adapters.database import Database
from core.adapters.deciding import Decider
from core.adapters.desk import Desk
from core.adapters.desk_ahead import DeskAhead
from core.adapters.desk_places import DeskPlaces
from core.adapters.desk_threads import SqlThreads
from core.adapters.holds import Holds
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.suggestions import Suggestions
from core.adapters.turns import SqlTurns
from core.cases import Case
from core.delivery import Delivery
from core.faithful import FaithfulTranslator
from core.interpreting import Interpreter
from core.mirror import Mirror
from core.ports import Files, ShowPartial, Threads
from core.preferences import Preferences
from core.serving import Pace, Station
from core.staff import Account, Role
from core.turn import (
    Answer,
    Channel,
    Handoff,
    Kind,
    Reason,
    Served,
    Turn,
    WorkspaceId,
)
from tests.core.takeover import is_idle
from tests.fakes.phrasebook import Phrasebook
from tests.fakes.ports import FakeDetector
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram, FloodLimits, Shown
from tests.fakes.telegram.forum import ICONS
from tests.fakes.telegram.world import Topic
from tests.patience import PATIENCE_S, until

WORKSPACE = WorkspaceId("default")
GROUP = -1_001_234_567_890
CUSTOMER = 1001
ANNA, BEN = 501, 502
PERSON = "a person, please"
JAPANESE = "注文 SD-48213 がまだ届きません。担当者と話したいです。"
IN_GERMAN = "Die Bestellung SD-48213 ist noch nicht da. Ich möchte mit jemandem sprechen."
GERMAN = "Ich habe beim Versender nachgefragt: Sie kommt morgen vor 18:00."
IN_JAPANESE = "運送会社に確認しました。明日 18:00 までに届きます。"
# Whatever else is written counts as German, which the desk reads.
TONGUES = {"注文": "ja", "ありがとう": "ja", "運送": "ja"}
PLENTY = Limit(count=10_000, per_s=1.0)


async def bot(turn: Turn, show: ShowPartial) -> Served:
    """Hand over to who asks for a person, and repeat what everybody else says."""
    language = "ja" if "注文" in turn.text else turn.language or "en"
    outcome: Handoff | Answer = Answer(text=f"bot: {turn.text}", citations=())
    if turn.kind is Kind.WANTS_PERSON or PERSON in turn.text or "担当者" in turn.text:
        urgent = 2 if "urgent" in turn.text else 0
        outcome = Handoff(reason=Reason.ASKED, text="to a person", priority=urgent)
    return Served(outcome=outcome, language=language, probability=1.0)


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that a test turns."""

    telegram: FakeTelegram
    database: Database
    delivery: Delivery
    desk: Desk
    cases: Cases
    api: TelegramApi
    desk_group: DeskGroup
    group: int = GROUP
    slack: FakeSlack | None = None

    async def topic(self, number: int = 1, *, group: int | None = None) -> int:
        """The thread of the topic that was made as the `number`-th; waits for its card."""
        chat = group or self.group

        def made() -> list[int]:
            there = self.telegram.world.chats
            threads = sorted(there[chat].topics) if chat in there else []
            return [thread for thread in threads if self.said(thread, group=chat)]

        await until(lambda: len(made()) >= number)
        return made()[number - 1]

    def look(self, thread: int) -> Topic:
        """A topic's name, icon and door."""
        return self.telegram.topics(self.group)[thread]

    def said(self, thread: int, *, group: int | None = None) -> list[str]:
        """What the desk has written in a topic, the card first."""
        return [message.text for message in self.shown(thread, group=group)]

    def shown(self, thread: int, *, group: int | None = None) -> tuple[Shown, ...]:
        return self.telegram.in_topic(group or self.group, thread)

    async def reads(self, thread: int, text: str, *, group: int | None = None) -> None:
        """Wait until a topic holds this text."""
        await until(lambda: any(text in said for said in self.said(thread, group=group)))

    def writes(self, thread: int, text: str, user: int = ANNA, **more: object) -> int:
        """An agent writes in a topic; the message's id."""
        given: dict[str, object] = {"language_code": "de", **more}
        return self.telegram.user_says(
            self.group,
            text,
            user=user,
            thread=thread,
            **given,  # type: ignore[arg-type]  # fields by name
        )

    def comes_again(self, number: int, **changes: object) -> None:
        """What an agent wrote is delivered once more, with these fields changed."""
        message = self.telegram.world.messages[self.group, number]
        self.telegram.updates.add("message", {**message, **changes})

    async def presses(self, thread: int, label: str, user: int = ANNA) -> str:
        """An agent presses the newest button of a topic with that label; what they are told."""
        fitting = [
            (message.message_id, data)
            for message in self.shown(thread)
            for text, data in message.buttons
            if label in text
        ]
        assert fitting, f"no button says {label!r}"
        return await self.pressed(*fitting[-1], user=user)

    async def pressed(self, message: int, data: str, user: int = ANNA) -> str:
        """An agent presses this; what they are told."""
        query = self.telegram.press(self.group, message, data, user=user, language_code="de")
        notices = self.telegram.methods.notices
        await until(lambda: query in notices)
        return notices[query]

    async def claimed(self, thread: int, user: int = ANNA) -> None:
        """An agent claims a topic's conversation, and everybody sees it."""
        assert await self.presses(thread, "🙋", user) == ""
        await self.looks(thread, ICONS["💬"])

    async def looks(self, thread: int, icon: str) -> None:
        """Wait until a topic has this icon."""
        await until(lambda: self.look(thread).icon == icon)

    async def customer_reads(self, text: str, chat: int = CUSTOMER) -> None:
        await until(lambda: any(text in m.text for m in self.telegram.messages(chat)))

    def customer_read(self, chat: int = CUSTOMER) -> str:
        return "\n".join(message.text for message in self.telegram.messages(chat))

    async def handed_over(self, text: str = PERSON, chat: int = CUSTOMER) -> int:
        """A customer asks for a person; the thread of the topic that is made for it."""
        before = len(self.telegram.topics(self.group))
        self.telegram.user_says(chat, text)
        return await self.topic(before + 1)

    async def held(self, user: int = ANNA) -> int:
        """The thread of a conversation that an agent has."""
        thread = await self.handed_over()
        await self.claimed(thread, user)
        return thread

    async def all_cases(self) -> tuple[Case, ...]:
        return tuple(waiting.case for waiting in await self.cases.list(WORKSPACE))

    async def colleague(self, name: str = "Cora") -> Account:
        """An agent who works from another desk."""
        people = Accounts(self.database)
        new = NewAccount(name=name, role=Role.AGENT, language="en", login=name.lower())
        account = await people.get(WORKSPACE, await people.create(WORKSPACE, new))
        assert account is not None
        return account

    async def idle(self) -> None:
        """Wait until nothing is on its way to a customer."""
        async with asyncio.timeout(PATIENCE_S):
            while not await is_idle(self.database) or self.telegram.updates.pending:
                await self.delivery.sweep()
                await asyncio.sleep(0.01)


async def _preferences(workspace: WorkspaceId) -> Preferences:
    return Preferences(desk_language="de", time_zone="Europe/Berlin")


async def _language(workspace: WorkspaceId) -> str:
    return "de"


def desk_group(
    api: TelegramApi,
    database: Database,
    desk: Desk,
    files: Mapping[Channel, Files],
    *,
    held_s: float = 15.0,
    decider: Decider | None = None,
) -> DeskGroup:
    def mirror(port: TelegramDesk, threads: Threads) -> Mirror:
        return Mirror("telegram", port, threads, poll_s=0.02, held_s=2 * held_s)

    places = DeskPlaces(database, WORKSPACE, Channel.TELEGRAM)
    return DeskGroup(
        api,
        GROUP,
        reads=Reads(
            workspace=WORKSPACE,
            ahead=DeskAhead(database),
            places=places,
            cursors=Cursors(database),
            preferences=_preferences,
        ),
        does=Does(
            workspace=WORKSPACE,
            desk=desk,
            cases=Cases(database),
            places=places,
            suggestions=Suggestions(database),
            language=_language,
        ),
        accounts=Accounts(database),
        threads=SqlThreads(database, WORKSPACE, Channel.TELEGRAM),
        holds=Holds(database),
        files=files,
        mirror=mirror,
        decider=decider,
        held_s=held_s,
    )


@asynccontextmanager
async def open_world(
    database: Database,
    *,
    limits: Limits | None = None,
    flood: FloodLimits | None = None,
    with_slack: bool = False,
    with_desk: bool = True,
    decider: Decider | None = None,
) -> AsyncIterator[World]:
    """Everything runs: polling, delivery, and the desk in the forum unless told otherwise."""
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(FakeTelegram(limits=flood))
        telegram.open_forum(GROUP, ANNA, BEN)
        fast = Limits(per_chat=PLENTY, per_group=PLENTY, overall=PLENTY)
        api = await stack.enter_async_context(
            TelegramApi(telegram.token, telegram.url, limits=limits or fast)
        )
        files: dict[Channel, Files] = {Channel.TELEGRAM: TelegramFiles(api)}
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=bot,
            ports={Channel.TELEGRAM: TelegramPort(api, files)},
            presences={Channel.TELEGRAM: TelegramPresence(api)},
            pace=Pace(gather_s=0.0),
            default_language="en",
            interpreter=Interpreter(
                translator=FaithfulTranslator(Phrasebook(), FakeDetector(TONGUES, otherwise="de")),
                detector=FakeDetector(TONGUES, otherwise="de"),
                desk_language=_language,
            ),
        )
        delivery = Delivery(inbox=SqlInbox(database), leases=SqlLeases(database), station=station)
        desk = Desk(database, wake=delivery.wake)
        group = desk_group(api, database, desk, files, decider=decider)
        channel = TelegramChannel(
            api,
            workspace=WORKSPACE,
            accept=delivery.accept,
            rate=delivery.rate,
            move=Conversations(database).move,
            holds=Holds(database),
            languages=("en",),
            desk=group if with_desk else None,
        )
        slack = await _slack(stack, database, delivery, station, files) if with_slack else None
        await stack.enter_async_context(delivery)
        task = asyncio.create_task(channel.run())
        try:
            yield World(
                telegram=telegram,
                database=database,
                delivery=delivery,
                desk=desk,
                cases=Cases(database),
                api=api,
                slack=slack,
                desk_group=group,
            )
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _slack(
    stack: AsyncExitStack,
    database: Database,
    delivery: Delivery,
    station: Station,
    files: dict[Channel, Files],
) -> FakeSlack:
    slack = await stack.enter_async_context(FakeSlack())
    conversations = Conversations(database)
    options = SlackOptions(
        workspace=WORKSPACE,
        bot_token=slack.bot_token,
        app_token=slack.app_token,
        api_url=slack.api_url,
    )
    needs = SlackNeeds(
        accept=delivery.accept,
        rate=delivery.rate,
        known=conversations.known,
        answers_agent=conversations.answers_agent,
        recent=conversations.recent,
        cursors=Cursors(database),
        holds=Holds(database),
        files=files,
    )
    channel = await stack.enter_async_context(open_slack(options, needs))
    station.ports[Channel.SLACK], files[Channel.SLACK] = channel.port, channel.files
    task = asyncio.create_task(channel.run())

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
    await slack.connected()
    return slack
