"""However much was said before, what a message or an agent sets off finds its rows by an index."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from core.adapters.absences import Absences
from core.adapters.cases import Cases
from core.adapters.conversations import Conversations
from core.adapters.database import Database, open_database
from core.adapters.desk_threads import SqlThreads
from core.adapters.leases import SqlLeases
from core.adapters.retention import _KINDS, Retention
from core.adapters.tables import conversations, handoffs, outbox
from core.cases import Act, EventId
from core.errors import Unavailable
from core.turn import Channel, ConversationId, Inbound, Kind, WorkspaceId
from tests.core.takeover import ADDRESS, PERSON, WORKSPACE, Rig, open_rig
from tests.databases import Heard, listening
from tests.patience import until

# A past in which each conversation has two messages, each with its reply, on a desk.
CONVERSATIONS, TURNS = 3_000, 6_000
_HERE = f"'{WORKSPACE}'"
_PAST = (
    (CONVERSATIONS, "conversations (workspace, channel, place, customer, created_at)",
     f"select {_HERE}, 'web', 'place-' || i, 'customer-' || i, 1.0"),
    (TURNS, "inbox (workspace, channel, event_id, conversation_id, message_ref, kind, text, state,"
     " sent_at, received_at)",
     f"select {_HERE}, 'web', 'past-' || i, 1 + i % {CONVERSATIONS}, 'past-' || i, 'message', '?',"
     " 'done', 1.0, 1.0"),
    (TURNS, "messages (workspace, conversation_id, inbox_id, author, text, language, created_at)",
     f"select {_HERE}, 1 + i % {CONVERSATIONS}, i, 'customer', '?', 'en', 1.0"),
    (TURNS, "outbox (workspace, conversation_id, inbox_id, part, epoch, body, state, created_at)",
     f"select {_HERE}, 1 + i % {CONVERSATIONS}, i, 0, 0, '!', 'sent', 1.0"),
    (CONVERSATIONS, "handoffs (workspace, conversation_id, reason, customer_language, opened_at,"
     " ended_at)", f"select {_HERE}, i, 'asked', 'en', 1.0, 2.0"),
    (TURNS, "desk_events (workspace, conversation_id, handoff_id, kind, message_id, created_at)",
     f"select {_HERE}, 1 + i % {CONVERSATIONS}, 1 + i % {CONVERSATIONS}, 'message', i, 1.0"),
    (CONVERSATIONS, "desk_threads (workspace, channel, conversation_id, place)",
     f"select {_HERE}, 'slack', i, 'C1/' || i"),
    (TURNS, "desk_lines (workspace, channel, ref, event_id, message_id)",
     f"select {_HERE}, 'slack', 'ref-' || i, i, i"),
)  # fmt: skip
_NUMBERS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})"
_GROWING = "conversations|inbox|messages|outbox|handoffs|desk_events|desk_threads|desk_lines"
# As PostgreSQL and SQLite say it.
_SCAN = re.compile(rf"Seq Scan on ({_GROWING})\b|^SCAN ({_GROWING})\b", re.MULTILINE)


def _remember(connection: Connection) -> None:
    for count, into, rows in _PAST:
        numbers = _NUMBERS.format(count=count)
        connection.execute(text(f"{numbers} insert into {into} {rows} from n"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        await opened.write(_remember)
        if not database_url.startswith("sqlite"):
            # As its autovacuum does before long.
            await opened.write(lambda connection: connection.execute(text("analyze")).rowcount)
        yield opened


async def plans(database: Database, heard: Heard) -> Mapping[str, str]:
    """How the database carries out each statement, by its text."""

    def work(connection: Connection) -> Mapping[str, str]:
        explain = "explain" if connection.dialect.name == "postgresql" else "explain query plan"
        found = {}
        for statement, parameters in dict(heard).items():
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            found[statement] = "\n".join(str(row[-1]) for row in rows)
        return found

    return await database.read(work)


async def _pending(rig: Rig, where: ConversationId) -> bool:
    wanted = select(outbox.c.id).where(
        outbox.c.conversation_id == where, outbox.c.state == "pending"
    )
    return await rig.database.read(lambda connection: connection.scalar(wanted)) is not None


def _said(number: int, words: str, **changes: Any) -> Inbound:
    return Inbound(
        **{
            "address": ADDRESS,
            "event_id": f"event-{number}",
            "customer": "customer-1",
            "text": words,
            "message_ref": f"message-{number}",
            **changes,
        }
    )


async def _a_day_at_the_desk(rig: Rig) -> None:
    """A takeover, an answer and its edit, a customer's edit, and a reply that is stopped."""
    anna, *_ = rig.agents
    await rig.delivery.accept(_said(1, PERSON))
    await rig.port.until(1)
    here = select(conversations.c.id).where(
        conversations.c.workspace == WORKSPACE,
        conversations.c.channel == ADDRESS.channel,
        conversations.c.place == ADDRESS.place,
    )
    where = ConversationId(await rig.database.read(lambda c: c.execute(here).scalar_one()))
    await rig.desk.change(anna, where, Act.CLAIM)
    await rig.desk.reply(anna, where, "Guten Tga", event_id="1")
    await rig.port.until(3)
    await rig.desk.edit(anna, where, "Guten Tag", reply="1", event_id="2", version=1.0)
    await rig.port.until(4)
    edited = _said(2, f"{PERSON}!", kind=Kind.EDIT, message_ref="message-1", version=1.0)
    await rig.delivery.accept(edited)
    await rig.desk.change(anna, where, Act.RETURN)
    await rig.port.until(5)
    rig.port.faults = [(Unavailable("web", retry_after_s=60.0), False)]
    await rig.delivery.accept(_said(3, "where is my parcel"))
    await until(lambda: _pending(rig, where))
    await rig.desk.change(anna, where, Act.CLAIM)
    await rig.port.until(6)


async def test_a_message_and_an_agent_never_have_the_whole_past_read(database: Database) -> None:
    async with open_rig(database) as rig:
        with listening() as heard:
            await _a_day_at_the_desk(rig)
    assert any("deleted_at" in statement for statement, _ in heard)
    scans = {
        statement: plan
        for statement, plan in (await plans(database, heard)).items()
        if _SCAN.search(plan)
    }
    assert scans == {}


async def test_what_is_due_is_found_by_its_index(database: Database) -> None:
    with listening() as heard:
        await SqlLeases(database).due(10)
        threads = SqlThreads(database, WORKSPACE, Channel.SLACK)
        await threads.claim_due(holder="me", held_s=30.0, limit=5)
        await Conversations(database).backlog()
    by_time = [
        plan
        for statement, plan in (await plans(database, heard)).items()
        if re.search(r"due_at <=", statement)
    ]
    assert len(by_time) == 3
    for plan in by_time:
        assert re.search(r"ix_(conversations|desk_threads)_due_at\b", plan), plan
        assert not _SCAN.search(plan), plan


async def test_who_looks_for_silent_agents_and_for_old_cases_reads_few_conversations(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.retention.BATCH", 20)

    async def idle_s(workspace: WorkspaceId) -> float:
        return 60.0

    async def wake(conversation: ConversationId) -> None:
        pass

    retention = Retention(database, 3_600.0)
    retention._kind = [kind.table for kind in _KINDS].index(handoffs)
    with listening() as heard:
        await Absences(database, idle_s, wake=wake).look()
        await retention.look()
    found = {
        statement: plan
        for statement, plan in (await plans(database, heard)).items()
        if "conversations.handoff_id" in statement
    }
    assert len(found) == 3
    assert {statement: plan for statement, plan in found.items() if _SCAN.search(plan)} == {}


async def test_what_an_inbox_shows_is_read_by_a_few_statements_and_not_from_all_that_ended(
    database: Database,
) -> None:
    cases = Cases(database)
    with listening() as heard:
        await cases.counts(WORKSPACE)
    for plan in (await plans(database, heard)).values():
        assert not _SCAN.search(plan), plan
    assert len(heard) == 1
    with listening() as heard:
        assert len(await cases.events(WORKSPACE, after=EventId(0), limit=100)) == 100
    assert len(heard) == 3
