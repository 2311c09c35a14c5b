"""The turns of a held conversation: read, finished, or put back."""

import json
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, case, insert, literal, select, update

from core.adapters.database import Database, Now
from core.adapters.leases import held, lock
from core.adapters.outbox import advance, mark
from core.adapters.tables import conversations, inbox, messages, outbox
from core.errors import LeaseLost
from core.turn import (
    Address,
    Answer,
    Attachment,
    Author,
    Channel,
    Clarify,
    ConversationId,
    Handoff,
    Kind,
    Lease,
    Message,
    Owner,
    Served,
    Step,
    Turn,
    TurnId,
    WorkspaceId,
)

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

BURST_MESSAGES = 10
HISTORY_MESSAGES = 8
# BCP 47 for a text whose language nobody has determined.
UNDETERMINED = "und"


class SqlTurns:
    """The turns port over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep the turns in `database`."""
        self._database = database

    async def next(self, lease: Lease) -> Turn | None:
        """The oldest unserved message together with those that directly follow it."""

        def work(connection: Connection) -> Turn | None:
            conversation = (connection.execute(select(conversations).where(held(lease)))).first()
            if conversation is None:
                raise LeaseLost(f"conversation {lease.conversation}")
            rows = (
                connection.execute(
                    select(inbox)
                    .where(
                        inbox.c.conversation_id == lease.conversation, inbox.c.state == "pending"
                    )
                    .order_by(inbox.c.sent_at, inbox.c.id)
                    .limit(BURST_MESSAGES)
                )
            ).all()
            if not rows:
                return None
            return _turn(conversation, _burst(rows), _history(connection, lease))

        return await self._database.read(work)

    async def finish(
        self,
        lease: Lease,
        turn: Turn,
        served: Served | None,
        bodies: Sequence[str],
        *,
        begin: bool = False,
        error: str = "",
    ) -> Step:
        """Commit the outcome, its transcript and its parcels as one."""

        def work(connection: Connection) -> Step:
            conversation = lock(connection, lease)
            if not _close_rows(connection, turn, error):
                return advance(connection, lease, conversation)
            # If a person took over while this was written, the reply is no longer wanted.
            said = served if conversation.epoch == turn.epoch else None
            _close_conversation(connection, turn, said)
            _write_transcript(connection, turn, said, served)
            if said is not None and bodies:
                _write_parcels(connection, turn, bodies)
            step = advance(connection, lease, conversation)
            dubious = step.parcel is not None and step.parcel.dubious
            return mark(connection, step) if begin and not dubious else step

        return await self._database.write(work)

    async def put_back(self, lease: Lease, *, retry_in_s: float) -> None:
        """Let go of the conversation with its turn unserved; the attempt stays counted."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(conversations)
                .where(held(lease))
                .values(holder=None, held_until=None, due_at=Now() + retry_in_s)
            )

        await self._database.write(work)


def _burst(rows: Sequence[SqlRow]) -> Sequence[SqlRow]:
    """Messages are read in one go; anything else (a button) is a turn by itself."""
    if rows[0].kind not in (Kind.MESSAGE, Kind.FLOOD):
        return rows[:1]
    return list(takewhile(lambda row: row.kind == rows[0].kind, rows))


def _turn(
    conversation: SqlRow,
    rows: Sequence[SqlRow],
    history: tuple[Message, ...],
) -> Turn:
    return Turn(
        id=TurnId(rows[0].id),
        conversation=ConversationId(conversation.id),
        address=Address(
            workspace=WorkspaceId(conversation.workspace),
            channel=Channel(conversation.channel),
            place=conversation.place,
        ),
        text="\n".join(row.text for row in rows if row.text),
        kind=Kind(rows[0].kind),
        language=conversation.language,
        chosen=conversation.chosen,
        language_hint=next((row.language_hint for row in rows if row.language_hint), None),
        owner=Owner(conversation.owner),
        attachments=tuple(
            Attachment(**item) for row in rows for item in json.loads(row.attachments)
        ),
        history=history,
        rows=tuple((row.id, row.version) for row in rows),
        epoch=conversation.epoch,
    )


def _history(connection: Connection, lease: Lease) -> tuple[Message, ...]:
    rows = connection.execute(
        select(messages.c.author, messages.c.text, messages.c.language)
        .where(messages.c.conversation_id == lease.conversation)
        .order_by(messages.c.id.desc())
        .limit(HISTORY_MESSAGES)
    )
    newest_first = [
        Message(author=Author(row.author), text=row.text, language=row.language) for row in rows
    ]
    return tuple(reversed(newest_first))


def _close_conversation(connection: Connection, turn: Turn, said: Served | None) -> None:
    changes: dict[str, Any] = {"attempts": 0}
    if said is not None:
        changes |= _changes(turn, said)
    connection.execute(
        update(conversations).where(conversations.c.id == turn.conversation).values(changes)
    )


def _changes(turn: Turn, served: Served) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "language": served.language,
        "chosen": served.chosen or turn.chosen,
    }
    outcome = served.outcome
    if isinstance(outcome, Handoff) and turn.owner is not Owner.WAITING:
        changes |= {
            "owner": Owner.WAITING,
            "reason": outcome.reason,
            "waiting_since": Now(),
        }
    return changes


def _close_rows(connection: Connection, turn: Turn, error: str) -> bool:
    """Mark the turn's rows as served; False if one of them was edited since it was read."""
    ids = [row_id for row_id, _ in turn.rows]
    version = case(dict(turn.rows), value=inbox.c.id)
    closed = connection.execute(
        update(inbox)
        .where(inbox.c.id.in_(ids), inbox.c.version == version)
        .values(state="parked" if error else "done", error=error or None)
    )
    if closed.rowcount == len(ids):
        return True
    connection.execute(update(inbox).where(inbox.c.id.in_(ids)).values(state="pending"))
    return False


def _write_transcript(
    connection: Connection, turn: Turn, said: Served | None, served: Served | None
) -> None:
    language = served.language if served is not None else turn.language or UNDETERMINED
    if turn.kind is not Kind.CHOOSES_LANGUAGE:
        _copy_to_transcript(connection, turn, language)
    if said is not None:
        connection.execute(
            insert(messages).values(
                workspace=turn.address.workspace,
                conversation_id=turn.conversation,
                inbox_id=turn.id,
                author=Author.BOT,
                text=said.outcome.text,
                language=said.language,
                details=json.dumps(details(turn, said), ensure_ascii=False),
                created_at=Now(),
            )
        )


def _copy_to_transcript(connection: Connection, turn: Turn, language: str) -> None:
    said = {
        "workspace": inbox.c.workspace,
        "conversation_id": inbox.c.conversation_id,
        "inbox_id": inbox.c.id,
        "author": literal(Author.CUSTOMER.value),
        "text": inbox.c.text,
        "language": literal(language),
        "details": literal('{"attachments": ') + inbox.c.attachments + literal("}"),
        "created_at": inbox.c.received_at,
    }
    rows = (
        select(*said.values())
        .where(
            inbox.c.id.in_([row_id for row_id, _ in turn.rows]),
            (inbox.c.text != "") | (inbox.c.attachments != "[]"),
        )
        .order_by(inbox.c.sent_at, inbox.c.id)
    )
    connection.execute(insert(messages).from_select(list(said), rows))


def _write_parcels(connection: Connection, turn: Turn, bodies: Sequence[str]) -> None:
    shared = {
        "workspace": turn.address.workspace,
        "conversation_id": turn.conversation,
        "inbox_id": turn.id,
        "epoch": turn.epoch,
        "created_at": Now(),
    }
    connection.execute(
        insert(outbox).values(
            [{**shared, "part": part, "body": body} for part, body in enumerate(bodies)]
        )
    )


def details(turn: Turn, served: Served) -> dict[str, object]:
    """How a reply came about, in the form that the transcript and `dragoman ask` show."""
    outcome = served.outcome
    citations = outcome.citations if isinstance(outcome, Answer) else ()
    return {
        "turn": turn.id,
        "outcome": type(outcome).__name__.lower(),
        "reason": outcome.reason if isinstance(outcome, Handoff) else None,
        "citations": [
            {
                "document": passage.document,
                "title": passage.title,
                "passage": passage.text,
                "source": passage.source,
                "language": passage.language,
            }
            for passage in citations
        ],
        "choices": list(outcome.choices) if isinstance(outcome, Clarify) else [],
        "offer_languages": list(served.offer_languages),
        "verbatim": outcome.verbatim if isinstance(outcome, Answer) else False,
        "probability": served.probability,
        "model": served.model,
        "index": served.index,
        "timings_ms": served.timings_ms,
    }
