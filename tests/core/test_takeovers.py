"""Customers, agents, a bot and dying processes at random: nothing lost, doubled, or leaked."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import Connection, select, update

from core.adapters.absences import Absences
from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import Database, open_database
from core.adapters.desk import Desk
from core.adapters.desk_threads import SqlThreads
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.tables import (
    conversations,
    desk_events,
    desk_threads,
    handoffs,
    inbox,
    messages,
    outbox,
)
from core.adapters.transcript import Transcript
from core.cases import Act, Case, Refused, Why
from core.delivery import Delivery
from core.errors import Unavailable
from core.flood import Allowance
from core.mirror import Mirror
from core.staff import Account, Role
from core.turn import Address, Author, Channel, ConversationId, Inbound, Parcel, WorkspaceId
from tests.core.takeover import PERSON, station
from tests.fakes.desk import FakeDesk
from tests.fakes.port import FakePort
from tests.patience import PATIENCE_S

T = TypeVar("T")

CUSTOMERS, AGENTS = 3, 2
STEPS = 80
CUSTOMER, AGENT = st.integers(0, CUSTOMERS - 1), st.integers(0, AGENTS - 1)
WEIGHTS = {
    "writes": 8,
    "wants a person": 2,
    "claim": 4,
    "claim at once": 3,
    "reply": 9,
    "reply of anybody": 2,
    "redeliver": 2,
    "note": 4,
    "return": 2,
    "resolve": 1,
    "snooze": 1,
    "wake": 1,
    "lapse": 1,
    "dies soon": 3,
    "time passes": 4,
    "settle": 1,
}
STEP = st.sampled_from([step for step, weight in WEIGHTS.items() for _ in range(weight)])
_numbers = itertools.count(1)


class Mortal:
    """A database as a process sees it that dies at its n-th write, before or after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dead = False
        self.lives: int | None = None
        self.commits_last = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self.lives is not None:
            self.lives -= 1
            if self.lives <= 0 and not self.dead:
                self.dead = True
                if self.commits_last:
                    await self._database.write(work)
        self._must_live()
        return await self._database.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        self._must_live()
        return await self._database.read(work)

    async def check(self) -> str:
        return await self._database.check()

    def _must_live(self) -> None:
        if self.dead:
            raise Unavailable("database", "this process is dead")


class Outlet(FakePort):
    """One process's way to the platform, which it cannot reach once it is dead."""

    def __init__(self, platform: FakePort, life: Mortal) -> None:
        super().__init__()
        self._platform, self._life = platform, life

    async def send(self, parcel: Parcel) -> str:
        if self._life.dead:
            raise Unavailable("web", "this process is dead")
        return await self._platform.send(parcel)

    async def find(self, parcel: Parcel) -> str | None:
        return await self._platform.find(parcel)


@dataclass(slots=True)
class Told:
    """What one conversation must come to; `taken` is how much it was sent when agents took it."""

    place: str
    asked: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    taken: int | None = None


class Takeovers:
    """One random history on a workspace of its own."""

    def __init__(self, database: Database) -> None:
        number = next(_numbers)
        self.database = database
        self.workspace = WorkspaceId(f"w{number}")
        self.told = [Told(f"visitor-{number}-{n}") for n in range(CUSTOMERS)]
        self.platform, self.staff = FakePort(), FakeDesk()
        self.agents: list[Account] = []
        self.last_reply: tuple[Account, ConversationId, str, str] | None = None

    async def begin(self) -> None:
        people = Accounts(self.database)
        for n in range(AGENTS):
            new = NewAccount(name=f"agent {n}", role=Role.AGENT, language="ja")
            account = await people.get(self.workspace, await people.create(self.workspace, new))
            assert account is not None
            self.agents.append(account)
        await self._start()
        for customer in range(CUSTOMERS):
            await self.says(customer, person=True)

    async def _start(self) -> None:
        self.life = Mortal(self.database)
        outlet = Outlet(self.platform, self.life)
        self.delivery = Delivery(
            inbox=SqlInbox(self.life),
            leases=SqlLeases(self.life),
            station=station(self.life, outlet),
            # What is beyond it is kept and not answered one by one; other tests see to that.
            allowance=Allowance(burst=10_000, per_minute=10_000, clock_s=time.monotonic),
        )
        threads = SqlThreads(self.life, self.workspace, Channel.SLACK)
        self.mirror = Mirror("staff", self.staff, threads, poll_s=0.01)
        await self.delivery.__aenter__()
        await self.mirror.__aenter__()
        # Agents write from a process of their own, which lives.
        self.desk = Desk(self.database, wake=self.delivery.wake)

    async def will_die(self, lives: int, *, commits_last: bool) -> None:
        self.life.lives, self.life.commits_last = lives, commits_last

    async def die(self) -> None:
        """Let the process end where it stands, and another find what it left behind."""
        self.life.dead = True
        # Who stops waits for what could not be recorded; who is killed does not.
        for _, task in self.delivery._serving.values():
            task.cancel()
        await self.delivery.__aexit__(None, None, None)
        await self.mirror.__aexit__(None, None, None)
        mine = conversations.c.workspace == self.workspace
        lapse = update(conversations).where(mine, conversations.c.holder.is_not(None))
        threads = update(desk_threads).where(
            desk_threads.c.workspace == self.workspace, desk_threads.c.holder.is_not(None)
        )
        await self._write(lapse.values(held_until=0.0, due_at=0.0))
        await self._write(threads.values(held_until=0.0, due_at=0.0))
        await self._start()

    async def _write(self, statement: Any) -> None:
        def write(connection: Connection) -> int:
            return connection.execute(statement).rowcount

        try:
            await self.database.write(write)
        except Unavailable:
            # PostgreSQL ended one of two that waited for each other; the other one is through.
            await self.database.write(write)

    async def says(self, customer: int, *, person: bool) -> None:
        told, number = self.told[customer], next(_numbers)
        text = f"{PERSON} c{number}" if person else f"c{number}"
        inbound = Inbound(
            address=Address(workspace=self.workspace, channel=Channel.WEB, place=told.place),
            event_id=f"event-{number}",
            customer=told.place,
            text=text,
            message_ref=f"message-{number}",
        )
        # The platform sends again what nobody confirmed.
        while True:
            try:
                await self.delivery.accept(inbound)
            except Unavailable:
                await self.die()
            else:
                break
        told.asked.append(text)

    async def where(self, customer: int) -> ConversationId | None:
        wanted = select(conversations.c.id).where(
            conversations.c.workspace == self.workspace,
            conversations.c.place == self.told[customer].place,
        )
        found = await self.database.read(lambda connection: connection.scalar(wanted))
        return ConversationId(found) if found is not None else None

    async def claim(self, customer: int, *, at_once: bool) -> None:
        where, told = await self.where(customer), self.told[customer]
        if where is None:
            return
        rivals = self.agents if at_once else self.agents[:1]
        done = await asyncio.gather(
            *(self.desk.change(agent, where, Act.CLAIM) for agent in rivals)
        )
        won = [each for each in done if isinstance(each, Case)]
        lost = [each for each in done if isinstance(each, Refused)]
        assert len(won) <= 1
        assert all(each.why is Why.TAKEN for each in lost)
        assert won or lost
        if won and told.taken is None:
            told.taken = len(self._sent(told))

    async def _holder(self, where: ConversationId) -> Account:
        """Who has it; anybody if nobody does."""
        wanted = select(handoffs.c.account_id).where(
            handoffs.c.conversation_id == where, handoffs.c.ended_at.is_(None)
        )
        found = await self.database.read(lambda connection: connection.scalar(wanted))
        return next((each for each in self.agents if each.id == found), self.agents[0])

    async def act(self, agent: int | None, customer: int, act: Act) -> None:
        where, told = await self.where(customer), self.told[customer]
        if where is None:
            return
        who = self.agents[agent] if agent is not None else await self._holder(where)
        done = await self.desk.change(who, where, act, snooze_s=3600.0)
        if isinstance(done, Case) and act in (Act.RETURN, Act.RESOLVE):
            self._check_silence(told)
            told.taken = None

    async def reply(self, agent: int | None, customer: int) -> None:
        where, number = await self.where(customer), next(_numbers)
        if where is None:
            return
        who = self.agents[agent] if agent is not None else await self._holder(where)
        text = f"r{number}"
        done = await self.desk.reply(who, where, text, event_id=text)
        if isinstance(done, Case):
            self.told[customer].replies.append(text)
            self.last_reply = (who, where, text, text)

    async def redeliver(self) -> None:
        if self.last_reply is not None:
            agent, where, text, event_id = self.last_reply
            assert isinstance(await self.desk.reply(agent, where, text, event_id=event_id), Case)

    async def note(self, agent: int, customer: int) -> None:
        where, number = await self.where(customer), next(_numbers)
        if where is not None:
            await self.desk.note(
                self.agents[agent], where, f"secret {number}", desk="web", event_id=f"{number}"
            )

    async def lapse(self) -> None:
        """Let every agent have been silent for long."""

        async def idle_s(workspace: WorkspaceId) -> float:
            return 60.0 if workspace == self.workspace else 1e12

        long_ago = update(handoffs).where(handoffs.c.workspace == self.workspace)
        waits = update(conversations).where(
            conversations.c.workspace == self.workspace,
            conversations.c.waiting_since.is_not(None),
        )
        await self._write(long_ago.values(active_at=1.0))
        await self._write(waits.values(waiting_since=1.0))
        before = await self._owners()
        absences = Absences(self.database, idle_s, wake=self.delivery.wake, look_every_s=0.0)
        await absences.look()
        after = await self._owners()
        for told in self.told:
            if (before.get(told.place), after.get(told.place)) == ("human", "waiting"):
                self._check_silence(told)
                told.taken = None

    async def _owners(self) -> dict[str, str]:
        wanted = select(conversations.c.place, conversations.c.owner).where(
            conversations.c.workspace == self.workspace
        )
        rows = await self.database.read(lambda connection: connection.execute(wanted).all())
        return {row.place: row.owner for row in rows}

    def _sent(self, told: Told) -> list[str]:
        return [parcel.body for parcel in self.platform.sent if parcel.address.place == told.place]

    def _check_silence(self, told: Told) -> None:
        """While people had it the bot said nothing, but for what was under way."""
        if told.taken is not None:
            after = self._sent(told)[told.taken :]
            by_bot = [text for text in after if text.startswith(("bot:", "to a person"))]
            assert len(by_bot) <= 1, after

    async def settle(self) -> None:
        """Let everything come to its end."""
        if self.life.lives is not None or self.life.dead:
            await self.die()
        mine = (
            select(inbox.c.id).where(
                inbox.c.workspace == self.workspace, inbox.c.state == "pending"
            ),
            select(outbox.c.id).where(
                outbox.c.workspace == self.workspace, outbox.c.state.in_(("pending", "sending"))
            ),
            select(conversations.c.id).where(
                conversations.c.workspace == self.workspace, conversations.c.holder.is_not(None)
            ),
            select(desk_threads.c.id).where(
                desk_threads.c.workspace == self.workspace, desk_threads.c.due_at.is_not(None)
            ),
        )
        soon = update(desk_threads).where(
            desk_threads.c.workspace == self.workspace, desk_threads.c.due_at.is_not(None)
        )
        due = update(conversations).where(
            conversations.c.workspace == self.workspace, conversations.c.due_at.is_not(None)
        )
        async with asyncio.timeout(PATIENCE_S):
            while any(
                await self.database.read(
                    lambda connection: [connection.scalar(each.limit(1)) for each in mine]
                )
            ):
                await self._write(due.values(due_at=0.0))
                await self._write(soon.values(due_at=0.0))
                await self.delivery.sweep()
                await asyncio.sleep(0.005)

    async def judge(self) -> None:
        """Hold what everybody saw against what was said."""
        for told in self.told:
            self._check_silence(told)
            await self._judge_conversation(told)
        await self._judge_desk()

    async def _judge_conversation(self, told: Told) -> None:
        sent = self._sent(told)
        assert [text for text in sent if text.startswith("r")] == told.replies
        assert not any("secret" in text for text in sent)
        address = Address(workspace=self.workspace, channel=Channel.WEB, place=told.place)
        lines = await Transcript(self.database).lines(address)
        assert [line.text for line in lines if line.author is Author.CUSTOMER] == told.asked
        assert not any("secret" in line.text for line in lines)
        answered = Counter(
            word for text in sent if text.startswith("bot: ") for word in text.split()[1:]
        )
        assert all(count == 1 for count in answered.values()), sent
        seen = await self._seen_by_people(told)
        for text in told.asked:
            assert answered[text.split()[-1]] or text in seen, (text, sent)
        # Nobody is told that the customer has read what they were never sent.
        assert [
            line.text
            for line in lines
            if line.author is Author.BOT and line.text and line.text not in sent
        ] == []

    async def _seen_by_people(self, told: Told) -> set[str]:
        """What a desk shows as news, what led to a handoff, and what people found to answer."""
        news = select(desk_events.c.message_id).where(desk_events.c.message_id.is_not(None))
        struck = select(messages.c.inbox_id).where(
            messages.c.author == Author.BOT, messages.c.deleted_at.is_not(None)
        )
        wanted = (
            select(messages.c.text)
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .where(
                conversations.c.workspace == self.workspace,
                conversations.c.place == told.place,
                messages.c.id.in_(news)
                | messages.c.text.contains(PERSON)
                | messages.c.inbox_id.in_(struck),
            )
        )
        rows = await self.database.read(lambda connection: connection.execute(wanted).all())
        # A reply to several messages names them all; it hangs on the first.
        stopped = {
            word for row in rows if row.text.startswith("bot: ") for word in row.text.split()
        }
        return {row.text for row in rows} | stopped | await self._gathered(told)

    async def _gathered(self, told: Told) -> set[str]:
        """Messages that were served in one go with the wish for a person."""
        wanted = (
            select(messages.c.text, messages.c.id)
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .where(conversations.c.workspace == self.workspace, conversations.c.place == told.place)
            .order_by(messages.c.id)
        )
        rows = await self.database.read(lambda connection: connection.execute(wanted).all())
        found: set[str] = set()
        burst: list[str] = []
        for row in rows:
            if row.text == "to a person":
                found |= set(burst)
            burst = [*burst, row.text] if row.text.split()[-1].startswith("c") else []
        return found

    async def _judge_desk(self) -> None:
        wanted = (
            select(desk_events.c.id, desk_events.c.conversation_id, desk_events.c.kind)
            .where(desk_events.c.workspace == self.workspace)
            .order_by(desk_events.c.id)
        )
        rows = await self.database.read(lambda connection: connection.execute(wanted).all())
        for where in {row.conversation_id for row in rows}:
            shown = [event.id for event in self.staff.events_of(where)]
            each_once = [number for number, _ in itertools.groupby(shown)]
            happened = [row.id for row in rows if row.conversation_id == where]
            if not shown:
                continue
            # From the place's beginning on, in order; twice only in a row, after a death.
            assert each_once == happened[happened.index(each_once[0]) :], (shown, happened)

    async def end(self) -> None:
        await self.delivery.__aexit__(None, None, None)
        await self.mirror.__aexit__(None, None, None)


class Machine(RuleBasedStateMachine):
    """Steps that run on the loop and the database of the test."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    happened: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.story = Takeovers(self.database)
        self.run("began", self.story.begin())

    def run(self, name: str, step: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await step
                if self.story.life.dead:
                    self.happened["died"] += 1
                    await self.story.die()

        self.happened[name] += 1
        self.runner.run(bounded())

    # One rule with weights: of several, hypothesis would leave some out of each history.
    @rule(step=STEP, agent=AGENT, customer=CUSTOMER, number=st.integers(0, 4))
    def step(self, step: str, agent: int, customer: int, number: int) -> None:
        story = self.story
        steps: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "writes": lambda: story.says(customer, person=False),
            "wants a person": lambda: story.says(customer, person=True),
            "claim": lambda: story.claim(customer, at_once=False),
            "claim at once": lambda: story.claim(customer, at_once=True),
            "reply": lambda: story.reply(None, customer),
            "reply of anybody": lambda: story.reply(agent, customer),
            "redeliver": story.redeliver,
            "note": lambda: story.note(agent, customer),
            "return": lambda: story.act(None, customer, Act.RETURN),
            "resolve": lambda: story.act(None, customer, Act.RESOLVE),
            "snooze": lambda: story.act(agent, customer, Act.SNOOZE),
            "wake": lambda: story.act(agent, customer, Act.WAKE),
            "lapse": story.lapse,
            "dies soon": lambda: story.will_die(number + 1, commits_last=bool(agent)),
            "time passes": lambda: asyncio.sleep(number * 0.01),
            "settle": story.settle,
        }
        self.run(step, steps[step]())

    def teardown(self) -> None:
        async def finish() -> None:
            try:
                await self.story.settle()
                await self.story.judge()
                self.happened["replies arrived"] += sum(len(t.replies) for t in self.story.told)
            finally:
                await self.story.end()

        self.run("judged", finish())


@pytest.mark.long
@pytest.mark.timeout(600)
def test_whatever_happens_nothing_is_lost_doubled_or_leaked(database_url: str) -> None:
    live_through(database_url, examples=6)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_in_two_thousand_operations_nothing_is_lost_doubled_or_leaked(database_url: str) -> None:
    live_through(database_url, examples=25)


def live_through(database_url: str, *, examples: int) -> None:
    """So many random histories, judged one by one."""
    with asyncio.Runner() as runner:
        opened = open_database(database_url)
        database = runner.run(opened.__aenter__())
        try:
            Machine.runner, Machine.database, Machine.happened = runner, database, Counter()
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
    happened = Machine.happened
    print(happened)
    # A history in which nothing happens proves nothing.
    assert sum(happened[step] for step in WEIGHTS) >= examples * STEPS // 2
    assert happened["replies arrived"] >= 2 * examples
    assert happened["died"] >= examples // 2
    assert happened["note"] >= examples
