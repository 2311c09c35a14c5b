"""People take over: claimed once, answered in the customer's language, given back cleanly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from core.adapters.absences import Absences
from core.adapters.accounts import Accounts
from core.adapters.database import Database, Now
from core.adapters.inbox import SqlInbox
from core.adapters.tables import (
    conversations,
    desk_events,
    handoffs,
    inbox,
    messages,
    outbox,
)
from core.adapters.turns import SqlTurns
from core.cases import Act, Case, DeskLine, EventId, Filter, Refused, Why
from core.errors import Rejected, Unavailable
from core.hours import Expected
from core.phrases import Phrase, say
from core.ports import ShowPartial
from core.staff import Account, AccountId, Role
from core.turn import (
    Attachment,
    Author,
    ConversationId,
    Handoff,
    Inbound,
    Kind,
    Owner,
    Parcel,
    Reason,
    Served,
    Turn,
    TurnId,
    Words,
    WorkspaceId,
)
from tests.core.takeover import (
    ADDRESS,
    PERSON,
    WORKSPACE,
    Rig,
    bot,
    open_rig,
    rows_of,
)
from tests.fakes.port import FakePort
from tests.fakes.translator import FakeTranslator, backwards


@asynccontextmanager
async def unserved(database: Database) -> AsyncIterator[None]:
    """Let nothing be served meanwhile."""

    async def write(**values: object) -> None:
        change = update(conversations).values(**values)
        await database.write(lambda connection: connection.execute(change).rowcount)

    await write(holder="another", held_until=Now() + 600)
    yield
    await write(holder=None, held_until=None, due_at=0.0)


@asynccontextmanager
async def hurried(database: Database) -> AsyncIterator[None]:
    """Let nothing wait between two tries."""
    due = update(conversations).where(
        conversations.c.holder.is_(None), conversations.c.due_at.is_not(None)
    )

    async def hurry() -> None:
        while True:
            await database.write(lambda connection: connection.execute(due.values(due_at=0.0)))
            await asyncio.sleep(0.01)

    hurrying = asyncio.create_task(hurry())
    try:
        yield
    finally:
        hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)


async def claimed(rig: Rig) -> tuple[Account, ConversationId]:
    """A conversation in which the first agent has taken over, and the customer was told."""
    anna, *_ = rig.agents
    where = await rig.says(PERSON)
    await rig.desk.change(anna, where, Act.CLAIM)
    await rig.idle()
    return anna, where


async def edit(
    rig: Rig,
    agent: Account,
    where: ConversationId,
    text: str,
    version: float,
    *,
    files_stay: bool = False,
) -> Case | Refused:
    """Change the reply "1"; each version is an event of its own."""
    return await rig.desk.edit(
        agent,
        where,
        text,
        reply="1",
        event_id=f"edit {version}",
        version=version,
        files_stay=files_stay,
    )


async def replied(rig: Rig, where: ConversationId) -> DeskLine:
    """The one reply of an agent, as the transcript has it."""
    [line] = [line for line in await rig.cases.lines(WORKSPACE, where) if line.name]
    return line


class Chat(FakePort):
    """A chat in which each file is a message, and each part of a text between slashes."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, str] = {}

    @property
    def shown(self) -> list[str]:
        return list(self.messages.values())

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        files = served.outcome.attachments if isinstance(served.outcome, Words) else ()
        return (*(file.ref for file in files), *filter(None, served.outcome.text.split("/")))

    async def send(self, parcel: Parcel) -> str:
        ref = parcel.replaces or await super().send(parcel)
        if parcel.replaces and ref not in self.messages:
            raise Rejected("message to edit not found")
        if parcel.body:
            self.messages[ref] = parcel.body
        else:
            del self.messages[ref]
        return ref


async def test_two_agents_claim_at_once_and_the_first_wins(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, ben, *_ = rig.agents
        where = await rig.says(PERSON)
        both = await asyncio.gather(
            rig.desk.change(anna, where, Act.CLAIM), rig.desk.change(ben, where, Act.CLAIM)
        )
        [won] = [done for done in both if isinstance(done, Case)]
        [lost] = [done for done in both if isinstance(done, Refused)]
        assert lost == Refused(why=Why.TAKEN, holder=won.agent_name)
        # Who has it may claim it as often as they like; nothing is told twice.
        holder = anna if won.agent == anna.id else ben
        assert isinstance(await rig.desk.change(holder, where, Act.CLAIM), Case)
        await rig.idle()
    assert rig.port.texts == ["to a person", say(Phrase.PERSON_JOINED, "ja")]
    kinds = [row.kind for row in await rows_of(database, desk_events)]
    assert kinds == ["opened", "claimed"]


async def test_each_side_reads_its_own_language_and_both_originals_are_kept(
    database: Database,
) -> None:
    async with open_rig(database, translator=FakeTranslator()) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.says("日本 kara 42")
        await rig.desk.reply(anna, where, "Guten Tag 17", event_id="1")
        await rig.idle()
        lines = await rig.cases.lines(WORKSPACE, where)
    assert rig.port.texts[2:] == [backwards("Guten Tag 17")]
    asked, answered = lines[-2:]
    assert (asked.author, asked.text, asked.language) == (Author.CUSTOMER, "日本 kara 42", "ja")
    assert (asked.translation, asked.translation_language) == (backwards("日本 kara 42"), "de")
    assert (answered.author, answered.text, answered.language) == ("agent", "Guten Tag 17", "de")
    assert answered.translation == backwards("Guten Tag 17")
    assert (answered.translation_language, answered.name) == ("ja", "Anna")


@pytest.mark.parametrize("fault", [None, Rejected("ja to de"), Unavailable("translator")])
async def test_what_nobody_can_translate_goes_out_as_it_is_and_both_sides_are_told(
    database: Database, fault: Exception | None
) -> None:
    translator = FakeTranslator() if fault else None
    if translator is not None:
        translator.fault = fault
    async with open_rig(database, translator=translator) as rig:
        anna, where = await claimed(rig)
        await rig.says("日本")
        await rig.desk.reply(anna, where, "Guten Tag", event_id="1")
        await rig.idle()
        lines = await rig.cases.lines(WORKSPACE, where)
    assert rig.port.texts[-1] == f"{say(Phrase.UNTRANSLATED, 'ja')}\n\nGuten Tag"
    assert [line.translation for line in lines[-2:]] == [None, None]
    assert all(line.fault for line in lines[-2:])


async def test_a_reply_that_ends_each_try_arrives_as_it_was_written(database: Database) -> None:
    translator = FakeTranslator()
    async with open_rig(database, translator=translator) as rig:
        anna, where = await claimed(rig)
        translator.fault = ValueError("a bug")
        async with hurried(database):
            await rig.desk.reply(anna, where, "Guten Tag", event_id="1")
            await rig.idle()
        [*_, line] = await rig.cases.lines(WORKSPACE, where)
    assert rig.port.texts[-1] == f"{say(Phrase.UNTRANSLATED, 'ja')}\n\nGuten Tag"
    assert (line.text, line.translation, bool(line.fault)) == ("Guten Tag", None, True)


async def test_what_ends_each_try_takes_no_conversation_from_the_person_who_has_it(
    database: Database,
) -> None:
    translator = FakeTranslator()
    async with open_rig(database, translator=translator) as rig:
        anna, where = await claimed(rig)
        said = list(rig.port.texts)
        translator.fault = ValueError("a bug")
        async with hurried(database):
            await rig.says("日本")
        [*_, line] = await rig.cases.lines(WORKSPACE, where)
        [case] = await rig.cases.list(WORKSPACE)
    assert rig.port.texts == said
    assert (case.case.owner, case.case.agent, case.case.ended_at) == (Owner.HUMAN, anna.id, None)
    assert len(await rows_of(database, handoffs)) == 1
    # The agent reads it as it was written, and is told so.
    assert (line.text, line.translation, bool(line.fault)) == ("日本", None, True)
    assert [row.state for row in await rows_of(database, inbox)][-1] == "parked"


async def test_a_turn_that_is_given_up_after_a_claim_leaves_the_agent_the_conversation(
    database: Database,
) -> None:
    turns = SqlTurns(database)
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says("hello")
        inbound = Inbound(address=ADDRESS, event_id="2", customer="customer-1", text="again")
        accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=600.0)
        assert accepted is not None
        assert accepted.lease is not None
        turn = await turns.next(accepted.lease)
        assert turn is not None
        assert turn.owner is Owner.BOT
        await rig.desk.change(anna, where, Act.CLAIM)
        sorry = Handoff(reason=Reason.FAULT, text="sorry")
        served = Served(outcome=sorry, language="ja", probability=0.0)
        await turns.finish(accepted.lease, turn, served, ("sorry",), error="given up")
        [row] = await rows_of(database, conversations)
        [case] = await rows_of(database, handoffs)
        [*_, parcel] = await rows_of(database, outbox)
    assert (row.owner, row.handoff_id, case.account_id) == ("human", case.id, anna.id)
    assert parcel.state == "dropped"


@pytest.mark.parametrize("fault", [None, Unavailable("translator")])
async def test_an_agent_reads_what_a_customer_changed_in_their_own_language(
    database: Database, fault: Exception | None
) -> None:
    translator = FakeTranslator()
    async with open_rig(database, translator=translator) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.says("日本 kara 42")
        translator.fault = fault
        sent = len(rig.port.sent)
        changed = Inbound(
            address=ADDRESS,
            event_id="edit",
            customer="customer-1",
            kind=Kind.EDIT,
            text="日本 kara 43",
            message_ref=f"message-{rig.number}",
            version=2.0,
        )
        # Late, twice, and in the wrong order.
        for change in (changed, replace(changed, event_id="late", text="x", version=1.0), changed):
            await rig.delivery.accept(change)
        await rig.idle()
        [*_, line] = await rig.cases.lines(WORKSPACE, where)
        events = [row for row in await rows_of(database, desk_events) if row.message_id == line.id]
    assert line.text == "日本 kara 43"
    assert line.translation == (None if fault else backwards("日本 kara 43"))
    assert bool(line.fault) == bool(fault)
    assert line.edited_at is not None
    assert [event.kind for event in events] == ["message", "edited"]
    assert len(rig.port.sent) == sent


async def test_an_edit_that_changes_no_words_is_told_to_nobody_and_a_removal_is(
    database: Database,
) -> None:
    async with open_rig(database, translator=FakeTranslator()) as rig:
        _, where = await claimed(rig)
        await rig.says("日本 kara 42")
        bold = Inbound(
            address=ADDRESS,
            event_id="edit",
            customer="customer-1",
            kind=Kind.EDIT,
            text="日本 kara 42",
            message_ref=f"message-{rig.number}",
            version=3.0,
        )
        # What is older than it changes nothing any more.
        for change in (bold, replace(bold, event_id="late", text="x", version=2.0)):
            await rig.delivery.accept(change)
        await rig.idle()
        [*_, line] = await rig.cases.lines(WORKSPACE, where)
        assert (line.text, line.translation) == ("日本 kara 42", backwards("日本 kara 42"))
        assert line.edited_at is None
        # A photo without words has none either when it is taken back.
        photo = replace(
            bold,
            event_id="photo",
            kind=Kind.MESSAGE,
            text="",
            message_ref="photo",
            attachments=(Attachment(kind="photo", ref="p"),),
        )
        gone = replace(photo, event_id="gone", kind=Kind.EDIT, version=4.0, attachments=())
        for change in (photo, gone):
            await rig.delivery.accept(change)
            await rig.idle()
        kinds = [row.kind for row in await rows_of(database, desk_events)]
    assert kinds[-3:] == ["message", "message", "deleted"]


async def test_what_a_customer_changes_twice_is_read_as_it_says_last(database: Database) -> None:
    async with open_rig(database, translator=FakeTranslator()) as rig:
        where = await rig.says(PERSON)
        await rig.says("日本 kara 1")
        async with unserved(database):
            for version, text in ((2.0, "日本 kara 2"), (3.0, "日本 kara 3")):
                changed = Inbound(
                    address=ADDRESS,
                    event_id=f"edit {version}",
                    customer="customer-1",
                    kind=Kind.EDIT,
                    text=text,
                    message_ref=f"message-{rig.number}",
                    version=version,
                )
                await rig.delivery.accept(changed)
        await rig.idle()
        *_, line, _ = await rig.cases.lines(WORKSPACE, where)
        kept = [row.text for row in await rows_of(database, inbox)]
    assert (line.text, line.translation) == ("日本 kara 3", backwards("日本 kara 3"))
    # Nothing was answered anew, and nothing of what the customer took out is kept.
    assert rig.port.texts == ["to a person", "bot: 日本 kara 1"]
    assert "日本 kara 2" not in kept


async def test_a_takeover_in_mid_generation_silences_the_bot(database: Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        begun.set()
        await go_on.wait()
        return await bot(turn, show)

    async with open_rig(database, answer=slow, translator=FakeTranslator()) as rig:
        anna, *_ = rig.agents
        saying = asyncio.create_task(rig.says("日本 desu"))
        await begun.wait()
        [row] = await rows_of(database, conversations)
        claimed = await rig.desk.change(anna, row.id, Act.CLAIM)
        assert isinstance(claimed, Case)
        assert claimed.reason == "taken"
        go_on.set()
        await saying
        [line] = [
            line for line in await rig.cases.lines(WORKSPACE, row.id) if line.author == "customer"
        ]
    # What the bot was about to answer is the agent's to read now, in their language.
    assert line.translation == backwards("日本 desu")
    assert rig.port.texts == [say(Phrase.PERSON_JOINED, "ja")]


async def test_an_answer_that_a_takeover_stopped_is_struck_out_and_the_agent_owes_one(
    database: Database,
) -> None:
    port = FakePort()
    async with open_rig(database, port=port) as rig:
        anna, *_ = rig.agents
        where = await rig.says("hello")
        port.faults = [(Unavailable("web", retry_after_s=60.0), False)]
        asking = asyncio.create_task(rig.says("where is my parcel"))
        while "pending" not in [row.state for row in await rows_of(database, outbox)]:
            await asyncio.sleep(0.01)
        await rig.desk.change(anna, where, Act.CLAIM)
        await asking
        lines = await rig.cases.lines(WORKSPACE, where)
        [row] = await rows_of(database, conversations)
        events = await rig.cases.events(WORKSPACE, after=EventId(0))
    assert port.texts == ["bot: hello", say(Phrase.PERSON_JOINED, "ja")]
    [struck] = [line for line in lines if line.deleted_at is not None]
    assert struck.text == "bot: where is my parcel"
    assert row.waiting_since is not None
    assert [event.line for event in events if event.kind == "undelivered"] == [struck]


async def test_while_a_person_has_it_the_bot_is_silent_and_after_the_return_it_answers(
    database: Database,
) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.says("one")
        await rig.desk.change(anna, where, Act.RETURN)
        await rig.idle()
        await rig.says("two")
        [row] = await rows_of(database, conversations)
    assert rig.port.texts == [
        "to a person",
        say(Phrase.PERSON_JOINED, "ja"),
        say(Phrase.BOT_RETURNED, "ja"),
        "bot: two",
    ]
    assert (row.owner, row.handoff_id, row.waiting_since) == ("bot", None, None)


async def test_words_sent_just_before_a_resolution_still_arrive_and_before_its_notice(
    database: Database,
) -> None:
    port = FakePort()
    async with open_rig(database, port=port) as rig:
        anna, where = await claimed(rig)
        port.faults = [(Unavailable("web", retry_after_s=0.05), False)] * 3
        for number in range(3):
            await rig.desk.reply(anna, where, f"日本 {number}", event_id=str(number))
        await rig.desk.change(anna, where, Act.RESOLVE)
        await rig.idle()
    assert port.texts[2:5] == ["日本 0", "日本 1", "日本 2"]
    assert port.texts[5].startswith(say(Phrase.RESOLVED, "ja"))
    assert len(port.texts) == 6


async def test_an_agent_hears_that_words_arrived_though_the_lease_went_meanwhile(
    database: Database,
) -> None:
    class Slow(FakePort):
        async def send(self, parcel: Parcel) -> str:
            if parcel.body == "日本":
                lapses = update(conversations).values(
                    holder="another", held_until=Now(), fence=conversations.c.fence + 1
                )
                await database.write(lambda connection: connection.execute(lapses))
            return await super().send(parcel)

    async with open_rig(database, port=Slow()) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        await rig.idle()
    assert rig.port.texts[-1] == "日本"
    kinds = [row.kind for row in await rows_of(database, desk_events)]
    assert kinds.count("delivered") == 1


async def test_a_redelivered_reply_changes_nothing(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, ben, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        for _ in range(3):
            assert isinstance(await rig.desk.reply(anna, where, "日本", event_id="1"), Case)
        # The same number from another desk's customer is another event.
        await rig.says("日本 2")
        await rig.idle()
        refused = await rig.desk.reply(ben, where, "me too", event_id="2")
    assert rig.port.texts.count("日本") == 1
    assert refused == Refused(why=Why.TAKEN, holder="Anna")


async def test_other_words_under_a_known_key_are_refused_unless_the_first_were_edited(
    database: Database,
) -> None:
    said_otherwise = Refused(why=Why.SAID_OTHERWISE)
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        assert await rig.desk.reply(anna, where, "日本 2", event_id="1") == said_otherwise
        # A platform brings the original again after its edit, and an edit as if it were new.
        await edit(rig, anna, where, "日本 3", 2.0)
        for text, version in (("日本", 0.0), ("日本 3", 2.0)):
            done = await rig.desk.reply(anna, where, text, event_id="1", version=version)
            assert isinstance(done, Case)
        note = {"desk": "console", "event_id": "1"}
        for text in ("he is rude", "he is rude"):
            assert isinstance(await rig.desk.note(anna, where, text, **note), Case)
        assert await rig.desk.note(anna, where, "he is kind", **note) == said_otherwise
        await rig.idle()
        lines = [line for line in await rig.cases.lines(WORKSPACE, where) if line.name]
    assert {line.text for line in lines} == {"日本 3", "he is rude"}
    assert "日本 2" not in rig.port.texts


@pytest.mark.parametrize(
    ("state", "why"),
    [(Owner.WAITING, Why.NOT_CLAIMED), (Owner.BOT, Why.WITH_BOT), (Owner.CLOSED, Why.CLOSED)],
)
async def test_who_does_not_hold_the_conversation_is_told_why_they_cannot_write(
    database: Database, state: Owner, why: Why
) -> None:
    async with open_rig(database) as rig:
        anna, *_, vera = rig.agents
        where = await rig.says(PERSON)
        if state is not Owner.WAITING:
            act = Act.RETURN if state is Owner.BOT else Act.RESOLVE
            assert isinstance(await rig.desk.change(anna, where, act), Case)
        await rig.idle()
        sent = len(rig.port.texts)
        assert await rig.desk.reply(anna, where, "hello", event_id="1") == Refused(why=why)
        assert await rig.desk.change(vera, where, Act.CLAIM) == Refused(why=Why.ONLY_READS)
        await rig.idle()
        assert len(rig.port.texts) == sent
        assert await rig.desk.reply(anna, where, "  ", event_id="2") == Refused(why=Why.EMPTY)


async def test_no_desk_reaches_into_another_workspace(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        stranger = replace(anna, workspace=WorkspaceId("other"))
        unknown = Refused(why=Why.UNKNOWN)
        for act in (Act.CLAIM, Act.RETURN, Act.RESOLVE, Act.SNOOZE, Act.WAKE):
            assert await rig.desk.change(stranger, where, act) == unknown
        assert await rig.desk.reply(stranger, where, "hi", event_id="1") == unknown
        assert await rig.desk.note(stranger, where, "hi", desk="web", event_id="1") == unknown
        other = WorkspaceId("other")
        assert await rig.cases.list(other) == ()
        assert await rig.cases.lines(other, where) == ()
        assert await rig.cases.get(other, where) is None
        assert await rig.cases.latest(other) == 0


async def test_a_note_is_kept_once_and_becomes_no_turn_and_no_parcel(database: Database) -> None:
    seen: list[str] = []

    async def remember(turn: Turn, show: ShowPartial) -> Served:
        seen.extend(message.text for message in turn.history)
        return await bot(turn, show)

    async with open_rig(database, answer=remember) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        turns, parcels = await rows_of(database, inbox), await rows_of(database, outbox)
        for _ in range(2):
            await rig.desk.note(anna, where, "he is rude", desk="slack", event_id="C1/1.0")
        [note] = [line for line in await rig.cases.lines(WORKSPACE, where) if line.internal]
        assert (note.text, note.name) == ("he is rude", "Anna")
        assert await rows_of(database, inbox) == turns
        assert await rows_of(database, outbox) == parcels
        # Nor does the bot's model get to know it.
        await rig.says("next")
    assert PERSON in seen
    assert "he is rude" not in seen


async def test_what_was_kept_as_a_reply_becomes_no_note_by_a_second_delivery(
    database: Database,
) -> None:
    """However the deliveries overlap: the second may have looked before the first was kept."""
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "hello", event_id="slack:1")
        again = {"desk": "slack", "event_id": "1", "reply": "slack:1"}
        assert await rig.desk.note(anna, where, "hello", **again) is None
        other = again | {"event_id": "2", "reply": "slack:2"}
        assert not isinstance(await rig.desk.note(anna, where, "hm", **other), Refused | None)
        await rig.idle()
        lines = [line for line in await rig.cases.lines(WORKSPACE, where) if line.name]
    assert {(line.text, line.internal) for line in lines} == {("hello", False), ("hm", True)}
    assert len(lines) == 2


async def test_what_was_kept_as_a_note_becomes_no_reply_by_a_second_delivery(
    database: Database,
) -> None:
    """Looked at before the claim by one, and after it by the other."""
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.note(anna, where, "hm", desk="slack", event_id="1")
        await rig.desk.change(anna, where, Act.CLAIM)
        done = await rig.desk.reply(anna, where, "hm", event_id="slack:1", note=("slack", "1"))
        assert done == Refused(why=Why.NOT_CLAIMED)
        await rig.desk.reply(anna, where, "hello", event_id="slack:2", note=("slack", "2"))
        await rig.idle()
        lines = [line for line in await rig.cases.lines(WORKSPACE, where) if line.name]
    assert {(line.text, line.internal) for line in lines} == {("hm", True), ("hello", False)}


async def test_an_edit_changes_what_the_customer_sees_and_a_removal_takes_it_back(
    database: Database,
) -> None:
    async with open_rig(database, translator=FakeTranslator()) as rig:
        anna, ben, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "Guten Tga", event_id="1")
        await rig.idle()
        sent = rig.port.sent[-1]
        assert await edit(rig, ben, where, "x", 2.0) == Refused(why=Why.NOT_YOURS)
        await edit(rig, anna, where, "Guten Tag", 2.0)
        await edit(rig, anna, where, "Guten Tag", 2.0)
        await rig.idle()
        await edit(rig, anna, where, "", 3.0)
        await rig.idle()
        [line] = [line for line in await rig.cases.lines(WORKSPACE, where) if line.name]
    changes = [(parcel.body, parcel.replaces) for parcel in rig.port.sent if parcel.replaces]
    ref = f"ref-{sent.id}"
    assert changes == [(backwards("Guten Tag"), ref), ("", ref)]
    assert line.deleted_at is not None
    assert line.edited_at is not None
    kinds = [row.kind for row in await rows_of(database, desk_events)]
    assert [kind for kind in kinds if kind != "delivered"][-2:] == ["edited", "deleted"]


async def test_an_edit_of_what_is_not_sent_yet_is_sent_instead(database: Database) -> None:
    translator = FakeTranslator()
    async with open_rig(database, translator=translator) as rig:
        anna, where = await claimed(rig)
        translator.delay_s = 0.2
        await rig.desk.reply(anna, where, "Guten Tga", event_id="1")
        while not translator.asked or "Tga" not in translator.asked[-1]:
            await asyncio.sleep(0.01)
        await edit(rig, anna, where, "Guten Tag", 2.0)
        await rig.idle()
    assert rig.port.texts[2:] == [backwards("Guten Tag")]


@pytest.mark.parametrize("waits", [False, True])
async def test_of_edits_that_come_in_any_order_the_newest_stands(
    database: Database, waits: bool
) -> None:
    """Where the reply `waits`, the edits come before it is served."""
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        async with unserved(database) if waits else nullcontext():
            await rig.desk.reply(anna, where, "日本 1", event_id="1")
            for version in (3.0, 3.0, 2.0):
                if not waits:
                    await rig.idle()
                done = await edit(rig, anna, where, f"日本 {version:.0f}", version)
                assert isinstance(done, Case)
        await rig.idle()
        line = await replied(rig, where)
    assert line.text == rig.port.texts[-1] == "日本 3"
    assert "日本 2" not in rig.port.texts
    assert rig.port.texts.count("日本 3") == 1


async def test_a_reply_that_was_first_heard_of_as_an_edit_is_not_undone_by_an_older_one(
    database: Database,
) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "日本 3", event_id="1", version=3.0)
        await rig.idle()
        await edit(rig, anna, where, "日本 2", 2.0)
        await rig.idle()
    assert rig.port.texts[-1] == "日本 3"


async def test_files_stay_beside_changed_words_and_go_when_the_reply_is_taken_back(
    database: Database,
) -> None:
    port = Chat()
    files = (Attachment(kind="file", ref="F1"), Attachment(kind="file", ref="F2"))
    async with open_rig(database, port=port) as rig:
        anna, where = await claimed(rig)
        before = list(port.shown)
        await rig.desk.reply(anna, where, "日本", event_id="1", attachments=files)
        await rig.idle()
        for version, text in ((2.0, "日本 2"), (3.0, "")):
            await edit(rig, anna, where, text, version, files_stay=True)
            await rig.idle()
            line = await replied(rig, where)
            assert (line.text, line.attachments, line.deleted_at) == (text, files, None)
            assert port.shown == [*before, "F1", "F2", *filter(None, [text])]
        await edit(rig, anna, where, "", 4.0)
        await rig.idle()
        assert (await replied(rig, where)).deleted_at is not None
    assert port.shown == before


async def test_a_reply_with_a_file_that_is_taken_back_in_time_is_never_sent(
    database: Database,
) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        file = Attachment(kind="file", ref="F1")
        async with unserved(database):
            await rig.desk.reply(anna, where, "日本", event_id="1", attachments=[file])
            await edit(rig, anna, where, "", 2.0)
        await rig.idle()
        assert rig.port.texts == ["to a person", say(Phrase.PERSON_JOINED, "ja")]
        # Said after all, it is there for everybody.
        await edit(rig, anna, where, "日本 2", 3.0)
        await rig.idle()
        line = await replied(rig, where)
    assert rig.port.texts[-1] == line.text == "日本 2"


async def test_a_reply_that_edits_make_longer_and_shorter_is_there_once_and_goes_as_a_whole(
    database: Database,
) -> None:
    port = Chat()
    async with open_rig(database, port=port) as rig:
        anna, where = await claimed(rig)
        before = list(port.shown)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        one, two, three = "日本 1", "日本 1/日本 2", "日本 1/日本 2/日本 3"
        for version, text in enumerate((two, one, three, two, "", three, one, ""), 2):
            await rig.idle()
            await edit(rig, anna, where, text, version)
            await rig.idle()
            assert port.shown == [*before, *filter(None, text.split("/"))]
            assert ((await replied(rig, where)).deleted_at is None) == bool(text)


async def test_an_edit_of_what_was_refused_is_dropped_and_the_desk_knows_why(
    database: Database,
) -> None:
    port = FakePort()
    async with open_rig(database, port=port) as rig:
        anna, where = await claimed(rig)
        port.faults = [(Rejected("the customer has blocked the bot"), False)]
        await rig.desk.reply(anna, where, "日本", event_id="1")
        await rig.idle()
        await edit(rig, anna, where, "日本 2", 2.0)
        await rig.idle()
        events = await rig.cases.events(WORKSPACE, after=await rig.cases.latest(WORKSPACE))
        assert events == ()
        told = [
            event
            for event in await rig.cases.events(WORKSPACE, after=EventId(0))
            if event.kind == "undelivered"
        ]
    assert len(port.texts) == 2
    [event] = told
    assert event.line is not None
    assert event.line.text in ("日本", "日本 2")
    assert "blocked" in event.details


async def test_an_agent_who_is_gone_loses_the_conversation_to_the_queue(
    database: Database,
) -> None:
    async def idle_s(workspace: WorkspaceId) -> float:
        return 60.0

    async with open_rig(database) as rig:
        anna, ben, *_ = rig.agents
        absences = Absences(database, idle_s, wake=rig.delivery.wake, look_every_s=0.0)
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        await rig.idle()
        await _pass(database, 3600)
        # The customer has the last word to say: nobody waits for the agent.
        await absences.look()
        assert (await rows_of(database, conversations))[0].owner == "human"
        await rig.says("are you there?")
        await absences.look()
        assert (await rows_of(database, conversations))[0].owner == "human"
        await _pass(database, 61)
        # Who reads, or is writing, is there; another's reading is no sign of life.
        await rig.desk.alive(anna, where)
        await absences.look()
        assert (await rows_of(database, conversations))[0].owner == "human"
        await _pass(database, 61)
        await rig.desk.alive(ben, where)
        await asyncio.gather(absences.look(), absences.look())
        await rig.idle()
        [row] = await rows_of(database, conversations)
        assert row.owner == "waiting"
        assert rig.port.texts[-1] == say(Phrase.PERSON_AWAY, "ja")
        assert rig.port.texts.count(rig.port.texts[-1]) == 1
        assert await rig.desk.reply(anna, where, "sorry", event_id="2") == Refused(
            why=Why.NOT_CLAIMED
        )
        taken = await rig.desk.change(ben, where, Act.CLAIM)
        assert isinstance(taken, Case)
        assert taken.agent_name == "Ben"


async def test_an_agent_who_reads_or_writes_is_not_taken_for_gone(database: Database) -> None:
    async def idle_s(workspace: WorkspaceId) -> float:
        return 60.0

    async with open_rig(database) as rig:
        anna, ben, *_ = rig.agents
        absences = Absences(database, idle_s, wake=rig.delivery.wake, look_every_s=0.0)
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await _pass(database, 3600)
        await rig.desk.alive(anna, where)
        await absences.look()
        assert (await rows_of(database, conversations))[0].owner == "human"
        await _pass(database, 3600)
        await rig.desk.alive(ben, where)
        await absences.look()
        assert (await rows_of(database, conversations))[0].owner == "waiting"


async def test_whose_agent_is_away_is_told_when_to_expect_another(database: Database) -> None:
    async def idle_s(workspace: WorkspaceId) -> float:
        return 60.0

    async def expects(workspace: WorkspaceId, language: str) -> Expected:
        return Expected(text=f"By Monday ({language}).", due_at=2_000_000_000.0)

    async with open_rig(database, expects=expects) as rig:
        anna, where = await claimed(rig)
        assert (await rows_of(database, handoffs))[0].due_at is None
        await _pass(database, 61)
        await Absences(database, idle_s, wake=rig.delivery.wake, look_every_s=0.0).look()
        await rig.idle()
        assert rig.port.texts[-1] == f"{say(Phrase.PERSON_AWAY, 'ja')}By Monday (ja)."
        [case] = await rows_of(database, handoffs)
        assert (case.account_id, case.due_at) == (None, 2_000_000_000.0)
        # Nobody is told so who hears that somebody is there.
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.idle()
        assert rig.port.texts[-1] == say(Phrase.PERSON_JOINED, "ja")


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.VIEWER}], ids=str)
async def test_whom_an_agent_had_who_leaves_waits_for_another(
    database: Database, change: dict[str, str | bool]
) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        other = await rig.says(PERSON, address=replace(ADDRESS, place="visitor-2"))
        await rig.desk.change(anna, other, Act.CLAIM)
        await rig.desk.change(anna, other, Act.SNOOZE, snooze_s=600)
        ended = await rig.says(PERSON, address=replace(ADDRESS, place="visitor-3"))
        await rig.desk.change(anna, ended, Act.CLAIM)
        await rig.desk.change(anna, ended, Act.RESOLVE)
        await rig.idle()
        await Accounts(database).change(WORKSPACE, anna.id, role=Role.AGENT)
        assert await rig.cases.list(WORKSPACE, Filter.WAITING) == ()
        await Accounts(database).change(WORKSPACE, anna.id, **change)
        await rig.idle()
        waiting = await rig.cases.list(WORKSPACE, Filter.WAITING)
        assert {each.case.conversation for each in waiting} == {where, other}
        assert all(each.case.agent is None for each in waiting)
        # Who has had their answer waits for none, and is not told of any.
        owed = {each.case.conversation for each in waiting if each.case.waiting_since}
        assert owed == {other}
        assert rig.port.texts.count(say(Phrase.PERSON_AWAY, "ja")) == 1
        owners = [row.owner for row in await rows_of(database, conversations)]
        assert owners == ["waiting", "waiting", "closed"]
        await rig.says("one more thing")
        case = await rig.cases.get(WORKSPACE, where)
        assert case is not None
        assert case.waiting_since
        assert isinstance(await rig.desk.change(rig.agents[1], where, Act.CLAIM), Case)


async def test_an_agent_puts_a_conversation_back_in_the_queue(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        ben, cora = rig.agents[1:3]
        await rig.desk.reply(anna, where, "日本", event_id="1")
        await rig.idle()
        taken = Refused(why=Why.TAKEN, holder="Anna")
        assert await rig.desk.change(ben, where, Act.RELEASE) == taken
        done = await rig.desk.change(anna, where, Act.RELEASE)
        assert isinstance(done, Case)
        assert (done.owner, done.agent, done.ended_at) == (Owner.WAITING, None, None)
        await rig.idle()
        assert rig.port.texts[-2:] == ["日本", say(Phrase.STILL_WAITING, "ja")]
        event = (await rows_of(database, desk_events))[-1]
        assert (event.kind, event.account_id) == ("released", anna.id)
        again = await rig.desk.change(anna, where, Act.RELEASE)
        assert again == Refused(why=Why.NOT_CLAIMED)
        assert isinstance(await rig.desk.change(ben, where, Act.CLAIM), Case)
        # An admin need not wait for who is away.
        assert isinstance(await rig.desk.change(cora, where, Act.RELEASE), Case)


@pytest.mark.parametrize("act", [Act.RETURN, Act.RESOLVE, Act.RELEASE])
async def test_an_admin_who_names_another_than_has_it_ends_nothing(
    database: Database, act: Act
) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        ben, cora = rig.agents[1:3]
        taken = Refused(why=Why.TAKEN, holder="Anna")
        # Who presses at the same time as another has not seen that it is theirs.
        for who, over in ((ben, anna.id), (cora, AccountId(0)), (cora, ben.id)):
            assert await rig.desk.change(who, where, act, over=over) == taken
        assert isinstance(await rig.desk.change(cora, where, act, over=anna.id), Case)


async def test_an_admin_takes_over_from_a_colleague_whom_they_name(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        ben, cora = rig.agents[1:3]
        taken = Refused(why=Why.TAKEN, holder="Anna")
        assert await rig.desk.change(ben, where, Act.CLAIM, over=anna.id) == taken
        # Who presses at the same time as another has not seen that it is theirs.
        assert await rig.desk.change(cora, where, Act.CLAIM) == taken
        assert await rig.desk.change(cora, where, Act.CLAIM, over=ben.id) == taken
        done = await rig.desk.change(cora, where, Act.CLAIM, over=anna.id)
        assert isinstance(done, Case)
        assert (done.agent_name, len(await rows_of(database, handoffs))) == ("Cora", 1)
        lost = await rig.desk.reply(anna, where, "still me", event_id="1")
        assert lost == Refused(why=Why.TAKEN, holder="Cora")


async def _pass(database: Database, seconds: float) -> None:
    """Let time go by in the database."""

    def work(connection: Connection) -> None:
        for column, table in (
            ("active_at", handoffs),
            ("snoozed_until", handoffs),
            ("waiting_since", conversations),
        ):
            connection.execute(update(table).values({column: table.c[column] - seconds}))

    await database.write(work)


async def test_a_snoozed_case_is_hidden_until_its_time_or_until_the_customer_writes(
    database: Database,
) -> None:
    async def idle_s(workspace: WorkspaceId) -> float:
        return 1e9

    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        absences = Absences(database, idle_s, wake=rig.delivery.wake, look_every_s=0.0)
        where = await rig.says(PERSON)
        for wakes in ("time", "customer", "agent"):
            await rig.desk.change(anna, where, Act.SNOOZE, snooze_s=600)
            counts = await rig.cases.counts(WORKSPACE)
            assert (counts[Filter.OPEN], counts[Filter.SNOOZED]) == (0, 1)
            if wakes == "time":
                await absences.look()
                assert await rig.cases.list(WORKSPACE) == ()
                await _pass(database, 601)
                await absences.look()
            elif wakes == "customer":
                await rig.says("hello?")
            else:
                await rig.desk.change(anna, where, Act.WAKE)
            assert len(await rig.cases.list(WORKSPACE)) == 1, wakes


async def test_the_inbox_is_in_order_of_urgency_and_waiting(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, ben, *_ = rig.agents
        where = [
            await rig.says(f"{PERSON} {n}", address=replace(ADDRESS, place=f"visitor-{n}"))
            for n in range(4)
        ]
        urgent = update(handoffs).where(handoffs.c.conversation_id == where[2]).values(priority=2)
        await database.write(lambda connection: connection.execute(urgent))
        await rig.desk.change(anna, where[0], Act.CLAIM)
        await rig.desk.change(ben, where[1], Act.CLAIM)
        await rig.desk.change(ben, where[3], Act.RESOLVE)

        async def shown(which: Filter) -> list[int]:
            listed = await rig.cases.list(WORKSPACE, which, agent=anna.id)
            return [item.case.conversation for item in listed]

        assert await shown(Filter.OPEN) == [where[2], where[0], where[1]]
        assert await shown(Filter.WAITING) == [where[2]]
        assert await shown(Filter.MINE) == [where[0]]
        assert await shown(Filter.OTHERS) == [where[1]]
        assert await shown(Filter.ENDED) == [where[3]]
        counts = await rig.cases.counts(WORKSPACE, agent=anna.id)
        assert counts == {"open": 3, "waiting": 1, "mine": 1, "others": 1, "snoozed": 0}
        [first, *_] = await rig.cases.list(WORKSPACE)
        assert first.last_message == f"{PERSON} 2"


@pytest.mark.parametrize("how", ["pressed", "typed", "other digits", "keycap"])
async def test_a_customer_rates_after_the_resolution(database: Database, how: str) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.change(anna, where, Act.RESOLVE)
        await rig.idle()
        assert rig.port.texts[-1].endswith(say(Phrase.RATE_US, "ja"))
        text = {"pressed": "4", "typed": "4!", "other digits": "٤", "keycap": "4\ufe0f\u20e3"}[how]
        await rig.says(text, kind=Kind.RATES if how == "pressed" else Kind.MESSAGE)
        assert rig.port.texts[-1] == say(Phrase.RATING_THANKS, "ja")
        [case] = await rows_of(database, handoffs)
        assert (case.rating, case.comment) == (4, None)
        [row] = await rows_of(database, conversations)
        assert row.owner == "closed"
        kinds = [row.kind for row in await rows_of(database, desk_events)]
        assert kinds[-1] == "rated"


async def test_people_are_told_once_that_the_customer_has_left(database: Database) -> None:
    async with open_rig(database) as rig:
        await rig.says("to the bot only")
        await rig.delivery.leave(ADDRESS)
        await rig.delivery.leave(replace(ADDRESS, place="nowhere"))
        assert await rows_of(database, desk_events) == []
        await claimed(rig)
        for _ in range(2):
            await rig.delivery.leave(ADDRESS)
        kinds = [row.kind for row in await rows_of(database, desk_events)]
        assert kinds == ["opened", "claimed", "left"]


@pytest.mark.parametrize("said", [True, False], ids=["what asked is said", "by an older page"])
async def test_a_case_is_rated_after_the_customer_has_come_back(
    database: Database, said: bool
) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        asked = []
        for _ in range(2 if said else 1):
            where = await rig.says(PERSON)
            await rig.desk.change(anna, where, Act.CLAIM)
            await rig.desk.change(anna, where, Act.RESOLVE)
            await rig.idle()
            asked.append(TurnId((await rows_of(database, inbox))[-1].id))
        await rig.says(PERSON)
        lines = len(await rows_of(database, messages))
        await rig.says("4", kind=Kind.RATES, target=asked[0] if said else None)
        first, *others = await rows_of(database, handoffs)
        assert (first.rating, {each.rating for each in others}) == (4, {None})
        assert rig.port.texts[-1] == say(Phrase.RATING_THANKS, "ja")
        assert [row.kind for row in await rows_of(database, desk_events)][-1] == "rated"
        # The digit and our thanks, of which the people who have the next case are not told.
        assert len(await rows_of(database, messages)) == lines + 2


async def test_a_press_on_stars_that_rates_nothing_says_nothing(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, where = await claimed(rig)
        lines = len(await rows_of(database, messages))
        # No such turn, one of the customer's own, and none.
        for target in (TurnId(2**64), TurnId((await rows_of(database, inbox))[0].id), None):
            await rig.says("4", kind=Kind.RATES, target=target)
        assert len(await rows_of(database, messages)) == lines
        assert [row.kind for row in await rows_of(database, desk_events)][-1] == "claimed"
        assert await rig.cases.list(WORKSPACE, Filter.MINE, agent=anna.id)
        assert (await rows_of(database, handoffs))[0].conversation_id == where


async def test_a_comment_on_a_rating_is_kept_and_opens_no_new_case(database: Database) -> None:
    async def unsure(turn: Turn, show: ShowPartial) -> Served:
        if PERSON in turn.text:
            return await bot(turn, show)
        outcome = Handoff(reason=Reason.NO_KNOWLEDGE, text="not sure")
        return Served(outcome=outcome, language="ja", probability=0.0)

    async with open_rig(database, answer=unsure) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.change(anna, where, Act.RESOLVE)
        await rig.idle()
        await rig.says("5")
        await rig.says("She was kind")
        [case] = await rows_of(database, handoffs)
        assert (case.rating, case.comment) == (5, "She was kind")
        assert rig.port.texts[-1] == say(Phrase.FEEDBACK_THANKS, "ja")
        await rig.says("And my parcel?")
        assert len(await rows_of(database, handoffs)) == 2


async def test_whoever_writes_again_after_a_resolution_starts_anew_with_the_bot(
    database: Database,
) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.change(anna, where, Act.RESOLVE)
        await rig.idle()
        await rig.says("where is my parcel")
        assert rig.port.texts[-1] == "bot: where is my parcel"
        [row] = await rows_of(database, conversations)
        assert (row.owner, row.handoff_id) == ("bot", None)
        await rig.says(PERSON)
        assert len(await rows_of(database, handoffs)) == 2


async def test_events_come_in_the_order_in_which_they_are_committed(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = [
            await rig.says(PERSON, address=replace(ADDRESS, place=f"visitor-{n}")) for n in range(6)
        ]
        seen: list[int] = []
        done = asyncio.Event()

        async def watch() -> None:
            after = EventId(0)
            while True:
                last = done.is_set()
                for event in await rig.cases.events(WORKSPACE, after=after):
                    seen.append(event.id)
                    after = event.id
                if last:
                    return
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(rig.desk.change(anna, each, Act.CLAIM) for each in where))
        await asyncio.gather(
            *(
                rig.desk.note(anna, each, "n", desk="web", event_id=f"{each}-{n}")
                for each in where
                for n in range(5)
            )
        )
        await rig.idle()
        done.set()
        await watching
        ids = [row.id for row in await rows_of(database, desk_events)]
    assert seen == ids
    assert len(ids) == 6 + 6 + 30


async def test_the_transcript_says_when_and_by_whom(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "日本", event_id="1")
        await rig.idle()
        case = await rig.cases.get(WORKSPACE, where)
        now = await database.read(lambda connection: connection.scalar(select(Now())))
    assert case is not None
    assert case.first_answer_at is not None
    assert now is not None
    assert case.opened_at <= (case.claimed_at or 0) <= case.first_answer_at <= now
    assert case.waiting_since is None
    assert len(await rows_of(database, messages)) == 4
