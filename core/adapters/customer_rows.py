"""All rows that are about one customer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, or_, select, update

from core.adapters.cursors import forget, leave_unread
from core.adapters.ledger import Person
from core.adapters.tables import (
    accounts,
    conversations,
    desk_events,
    desk_lines,
    desk_threads,
    handoffs,
    identities,
    inbox,
    messages,
    outbox,
    preferences,
    proposals,
)

# A desk that is at work waits meanwhile.
_AT_A_TIME = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What there is of somebody.

    `conversations` are those that they began or wrote in; `shared` counts those in which somebody
    else wrote too. `rows` counts by table. `agent` is their name if they work here as well;
    `articles` are those that admins published out of their cases.
    """

    conversations: tuple[int, ...]
    rows: dict[str, int]
    shared: int = 0
    agent: str = ""
    articles: tuple[str, ...] = ()


def held(connection: Connection, person: Person, ids: Sequence[int] | None = None) -> Held:
    """What there is of somebody, or of some of their conversations."""
    found = tuple(_conversations(connection, person) if ids is None else ids)
    cases = select(handoffs.c.id).where(handoffs.c.conversation_id.in_(found))
    published = select(proposals.c.id, proposals.c.document_id).where(
        proposals.c.handoff_id.in_(cases), proposals.c.state == "approved"
    )
    works_here = (
        select(accounts.c.name)
        .join(identities, identities.c.account_id == accounts.c.id)
        .where(
            identities.c.workspace == person.workspace,
            identities.c.channel == person.channel,
            identities.c.ref == person.id,
        )
    )
    return Held(
        conversations=found,
        rows=_counts(connection, found),
        shared=_shared(connection, person, found),
        agent=connection.scalar(works_here) or "",
        articles=tuple(
            row.document_id or f"desk/{row.id}" for row in connection.execute(published)
        ),
    )


def some_of(table: Table, conversation: int) -> Callable[[Connection], int]:
    """Work that deletes a few of a conversation's rows; it returns 0 once there are none."""
    some = select(table.c.id).where(table.c.conversation_id == conversation).limit(_AT_A_TIME)
    # Whoever changes what belongs to a conversation locks it first.
    lock = select(conversations.c.id).where(conversations.c.id == conversation).with_for_update()

    def work(connection: Connection) -> int:
        connection.execute(lock)
        ids = connection.scalars(some).all()
        connection.execute(delete(table).where(table.c.id.in_(ids)))
        return len(ids)

    return work


def delete_conversation(connection: Connection, conversation: int, until: float) -> None:
    """Delete a conversation with all that hangs on it; what was said `until` then stays gone."""
    leave_unread(connection, conversation, until)
    forget(connection, [conversation])
    connection.execute(delete(conversations).where(conversations.c.id == conversation))


def unlist(connection: Connection, person: Person) -> None:
    """Take somebody off the list of customers whom people answer."""
    mine = (
        preferences.c.workspace == person.workspace,
        preferences.c.name == "handover_customers",
    )
    # Somebody else may be taken off at the same time.
    listed = connection.scalar(select(preferences.c.value).where(*mine).with_for_update())
    names = json.loads(listed) if listed else []
    if person.id in names:
        left = json.dumps([name for name in names if name != person.id], ensure_ascii=False)
        connection.execute(update(preferences).where(*mine).values(value=left))


def _conversations(connection: Connection, person: Person) -> Sequence[int]:
    wrote = select(inbox.c.conversation_id).where(
        inbox.c.workspace == person.workspace,
        inbox.c.channel == person.channel,
        inbox.c.customer == person.id,
    )
    theirs = select(conversations.c.id).where(
        conversations.c.workspace == person.workspace,
        conversations.c.channel == person.channel,
        or_(conversations.c.customer == person.id, conversations.c.id.in_(wrote)),
    )
    return connection.scalars(theirs.order_by(conversations.c.id)).all()


def _shared(connection: Connection, person: Person, found: Sequence[int]) -> int:
    others_wrote = (
        select(inbox.c.id)
        .where(inbox.c.conversation_id == conversations.c.id, inbox.c.customer != person.id)
        .exists()
    )
    by_others = or_(conversations.c.customer != person.id, others_wrote)
    return _count(connection, conversations, conversations.c.id.in_(found) & by_others)


def _counts(connection: Connection, found: Sequence[int]) -> dict[str, int]:
    rows = {"conversations": len(found)}
    for table in (inbox, messages, outbox, handoffs, desk_events, desk_threads):
        rows[table.name] = _count(connection, table, table.c.conversation_id.in_(found))
    said = select(messages.c.id).where(messages.c.conversation_id.in_(found))
    events = select(desk_events.c.id).where(desk_events.c.conversation_id.in_(found))
    shown = or_(desk_lines.c.message_id.in_(said), desk_lines.c.event_id.in_(events))
    cases = select(handoffs.c.id).where(handoffs.c.conversation_id.in_(found))
    rows["desk_lines"] = _count(connection, desk_lines, shown)
    rows["proposals"] = _count(connection, proposals, proposals.c.handoff_id.in_(cases))
    return rows


def _count(connection: Connection, table: Table, which: Any) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(which)) or 0)
