"""A desk shows what happened: every event, in order, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from core.adapters.database import Database, Now
from core.adapters.desk_threads import SqlThreads
from core.adapters.tables import desk_events, desk_lines, desk_threads
from core.cases import Act, EventKind, ThreadLease
from core.errors import LeaseLost, Rejected, Unavailable
from core.mirror import Mirror
from core.turn import Channel, ConversationId
from tests.contracts import desk_port
from tests.core.takeover import ADDRESS, PERSON, WORKSPACE, Rig, open_rig, rows_of
from tests.fakes.desk import FakeDesk
from tests.patience import PATIENCE_S, until


@asynccontextmanager
async def mirrored(
    database: Database, desk: FakeDesk, channel: Channel = Channel.SLACK
) -> AsyncIterator[Mirror]:
    threads = SqlThreads(database, WORKSPACE, channel)
    async with Mirror(channel, desk, threads, poll_s=0.01) as mirror:
        yield mirror


async def all_shown(database: Database) -> bool:
    threads = await rows_of(database, desk_threads)
    return bool(threads) and all(row.due_at is None and row.holder is None for row in threads)


async def held_conversation(rig: Rig) -> ConversationId:
    where = await rig.says(PERSON)
    await rig.desk.change(rig.agents[0], where, Act.CLAIM)
    return where


async def test_a_desk_shows_a_case_with_what_was_said_and_then_each_event_in_order(
    database: Database,
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig:
        await rig.says("first of all")
        where = await rig.says(PERSON)
        async with mirrored(database, desk):
            await until(lambda: bool(desk.opened))
            anna, *_ = rig.agents
            await rig.desk.change(anna, where, Act.CLAIM)
            await rig.says("one")
            await rig.desk.note(anna, where, "hm", desk="web", event_id="1")
            await rig.desk.reply(anna, where, "two", event_id="1")
            await rig.idle()
            await rig.desk.change(anna, where, Act.RESOLVE)
            await rig.idle()
            await until(lambda: all_shown(database))
    [(_, case, lines)] = desk.opened
    assert (case.conversation, case.reason) == (where, "asked")
    assert [line.text for line in lines] == [
        "first of all",
        "bot: first of all",
        PERSON,
        "to a person",
    ]
    shown = desk.events_of(where)
    assert [event.kind for event in shown if event.kind is not EventKind.DELIVERED] == [
        "claimed",
        "message",
        "note",
        "message",
        "resolved",
    ]
    assert [event.line.text for event in shown if event.line] == ["one", "hm", "two", "two"]
    kept = select(func.count()).select_from(desk_lines).where(desk_lines.c.channel == Channel.SLACK)
    assert await database.read(lambda connection: connection.scalar(kept)) == 6


@pytest.mark.parametrize(
    "fault",
    [
        (Unavailable("slack", retry_after_s=0.01), False),
        (TimeoutError(), False),
        (TimeoutError(), True),
        (ValueError("a bug"), False),
    ],
)
async def test_what_fails_is_shown_later_and_nothing_overtakes_it(
    database: Database, fault: tuple[Exception, bool]
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig:
        where = await held_conversation(rig)
        for number in range(4):
            await rig.says(f"{number}")
        desk.faults = [fault, fault]
        async with mirrored(database, desk):
            await _hurry(database, desk, where, 5)
    shown = [event.id for event in desk.events_of(where)]
    assert shown == sorted(shown)
    # Once for sure, and again only where nobody could tell.
    assert len(set(shown)) == 5
    assert len(shown) == (7 if fault[1] else 5)


async def _hurry(database: Database, desk: FakeDesk, where: int, count: int) -> None:
    """Do not wait for the pauses after a failure."""
    due = update(desk_threads).where(desk_threads.c.due_at > Now()).values(due_at=Now())
    async with asyncio.timeout(PATIENCE_S):
        while len({event.id for event in desk.events_of(where)}) < count:
            await database.write(lambda connection: connection.execute(due).rowcount)
            await asyncio.sleep(0.01)


async def test_who_is_told_of_what_was_shown_finds_it_kept(database: Database) -> None:
    told = asyncio.Event()
    threads = SqlThreads(database, WORKSPACE, Channel.SLACK)
    async with open_rig(database) as rig:
        await rig.says(PERSON)
        async with Mirror("staff", FakeDesk(), threads, poll_s=0.01, kept=told.set):
            await until(told.is_set)
            [thread] = await rows_of(database, desk_threads)
            assert thread.place


async def test_what_a_platform_will_never_take_does_not_keep_the_rest_back(
    database: Database,
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig:
        where = await held_conversation(rig)
        await rig.says("one")
        async with mirrored(database, desk):
            await until(lambda: len(desk.events_of(where)) == 2)
            desk.faults = [(Rejected("too long"), False)]
            await rig.says("two")
            await rig.says("three")
            await until(lambda: all_shown(database))
    texts = [event.line.text for event in desk.events_of(where) if event.line]
    assert texts == ["one", "three"]


async def test_a_thread_that_was_deleted_is_made_anew_and_goes_on_where_it_was(
    database: Database,
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig:
        where = await held_conversation(rig)
        async with mirrored(database, desk):
            await rig.says("one")
            await until(lambda: len(desk.events_of(where)) == 2)
            desk.delete("place-1")
            await rig.says("two")
            await until(lambda: len(desk.opened) == 2)
            await until(lambda: len(desk.shown["place-2"]) == 1)
    _, _, lines = desk.opened[1]
    assert [line.text for line in lines][-1] == "one"
    [event] = desk.shown["place-2"]
    assert event.line is not None
    assert event.line.text == "two"


async def test_a_broken_thread_and_a_dead_desk_delay_nobody_else(database: Database) -> None:
    desk, other = FakeDesk(), FakeDesk()
    async with open_rig(database) as rig:
        first = await rig.says(PERSON)
        second = await rig.says(PERSON, address=replace(ADDRESS, place="visitor-2"))
        desk.broken = {first}
        other.broken = {first, second}
        async with mirrored(database, desk), mirrored(database, other, Channel.TELEGRAM):
            anna, *_ = rig.agents
            for where in (first, second):
                await rig.desk.change(anna, where, Act.CLAIM)
                await rig.desk.reply(anna, where, f"to {where}", event_id=f"{where}")
            await rig.idle()
            await until(lambda: len(desk.events_of(second)) >= 2)
    assert {f"to {first}", f"to {second}"} <= set(rig.port.texts)
    assert desk.events_of(first) == []
    assert other.opened == []


async def test_a_second_case_goes_on_in_the_same_thread(database: Database) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig, mirrored(database, desk):
        where = await held_conversation(rig)
        # A case that ends before anybody looks has no thread.
        await until(lambda: bool(desk.opened))
        await rig.desk.change(rig.agents[0], where, Act.RESOLVE)
        await rig.idle()
        await until(lambda: all_shown(database))
        await rig.says("meanwhile")
        await rig.says(PERSON)
        await until(lambda: len(desk.events_of(where)) == 3)
    assert len(desk.opened) == 1
    said = [line.text for line in desk.events_of(where)[-1].lines]
    assert said[-4:] == ["meanwhile", "bot: meanwhile", PERSON, "to a person"]
    # What led to the first stands there already.
    assert said.count(PERSON) == 1
    assert [event.kind for event in desk.events_of(where)] == ["claimed", "resolved", "opened"]


async def test_a_note_written_meanwhile_hides_nothing_of_what_was_said_before_it(
    database: Database,
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig, mirrored(database, desk):
        where = await held_conversation(rig)
        # A case that ends before anybody looks has no thread.
        await until(lambda: bool(desk.opened))
        await rig.desk.change(rig.agents[0], where, Act.RESOLVE)
        await rig.idle()
        await rig.says("meanwhile")
        await rig.desk.note(rig.agents[0], where, "calls often", desk="web", event_id="n")
        await until(lambda: all_shown(database))
        await rig.says(PERSON)
        await until(lambda: len(desk.events_of(where)) == 4)
    *_, note, opened = desk.events_of(where)
    assert (note.kind, opened.kind) == ("note", "opened")
    said = [line.text for line in opened.lines]
    assert said[-4:] == ["meanwhile", "bot: meanwhile", PERSON, "to a person"]
    # It stands there already.
    assert "calls often" not in said


async def test_whose_lease_lapsed_can_change_nothing_any_more(database: Database) -> None:
    async with open_rig(database) as rig:
        where = await held_conversation(rig)
        await rig.says("one")
    threads = SqlThreads(database, WORKSPACE, Channel.SLACK)
    [old] = await threads.claim_due(holder="dead", held_s=-1.0, limit=5)
    [new] = await threads.claim_due(holder="me", held_s=60.0, limit=5)
    assert await threads.claim_due(holder="third", held_s=60.0, limit=5) == ()
    showing = await threads.next(new)
    assert showing is not None
    assert showing.event is not None
    for late in (
        threads.next(old),
        threads.opened(old, "mine", held_s=60.0),
        threads.shown(old, showing.event.id, "ref", held_s=60.0),
    ):
        with pytest.raises(LeaseLost):
            await late
    await threads.put_back(old, retry_in_s=0.0, error="late")
    await threads.opened(new, "place", held_s=60.0)
    assert await threads.conversation_at("place") == where
    assert await threads.conversation_at("elsewhere") is None
    await _show_all(threads, new)
    assert await threads.claim_due(holder="me", held_s=60.0, limit=5) == ()


async def _show_all(threads: SqlThreads, lease: ThreadLease) -> None:
    while (showing := await threads.next(lease)) is not None:
        assert showing.event is not None
        await threads.shown(lease, showing.event.id, "", held_s=60.0)


async def test_no_event_is_missed_that_comes_while_the_last_one_is_being_shown(
    database: Database,
) -> None:
    desk = FakeDesk()
    async with open_rig(database) as rig, mirrored(database, desk), mirrored(database, desk):
        anna, *_ = rig.agents
        wheres = [
            await rig.says(PERSON, address=replace(ADDRESS, place=f"visitor-{n}")) for n in range(5)
        ]
        await asyncio.gather(
            *(
                rig.desk.note(anna, where, f"{n}", desk="web", event_id=f"{where}/{n}")
                for n in range(20)
                for where in wheres
            )
        )
        await until(lambda: all_shown(database))
        notes = [
            event.id
            for where in wheres
            for event in desk.events_of(where)
            if event.kind is EventKind.NOTE
        ]
        kept = [row.id for row in await rows_of(database, desk_events) if row.kind == "note"]
    assert sorted(notes) == kept
    assert len(kept) == 100


async def test_the_fake_keeps_what_every_desk_promises() -> None:
    desk = FakeDesk()

    async def texts(place: str) -> str:
        before = [line for at, _, lines in desk.opened if at == place for line in lines]
        lines = [*before, *(event.line for event in desk.shown[place] if event.line)]
        return "\n".join(f"{line.text} {line.translation or ''}" for line in lines)

    async def delete(place: str) -> None:
        desk.delete(place)

    await desk_port.each_conversation_has_a_place_of_its_own(desk)
    await desk_port.what_was_said_before_is_there_and_the_original_beside_its_translation(
        desk, texts
    )
    await desk_port.everything_that_can_happen_can_be_shown_and_shown_again(desk)
    await desk_port.a_place_that_was_deleted_is_told_apart(desk, delete)
    await desk_port.nobody_is_called_by_what_a_customer_writes(desk, texts)
