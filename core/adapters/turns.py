"""The turns of a held conversation: read, finished, or put back."""

import json
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, literal, select, update

from core.adapters.database import Database, Now
from core.adapters.leases import HELD, lock, of
from core.adapters.outbox import advance, begin_new
from core.adapters.tables import conversations, inbox, messages, outbox
from core.errors import LeaseLost
from core.turn import (
    LAST_TRY,
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

    async def next(self, lease: Lease, *, last_try: bool = False) -> Turn | None:
        """The oldest unserved message together with those that directly follow it."""

        def work(connection: Connection) -> Turn | None:
            rows = connection.execute(_UNSERVED, of(lease)).all()
            if not rows:
                raise LeaseLost(f"conversation {lease.conversation}")
            if rows[0].turn is None:
                return None
            return _turn(_burst(rows), _history(connection, lease))

        def note_and_work(connection: Connection) -> Turn | None:
            connection.execute(_NOTE_LAST_TRY, of(lease))
            return work(connection)

        if last_try:
            return await self._database.write(note_and_work)
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
            conversation = lock(connection, lease, answered=True)
            if not _close_rows(connection, turn, error):
                return advance(connection, lease, conversation)
            # If a person took over while this was written, the reply is no longer wanted.
            said = served if conversation.epoch == turn.epoch else None
            _write_transcript(connection, turn, said, served)
            if said is not None:
                _note_outcome(connection, turn, said)
                _write_parcels(connection, turn, bodies)
            step = begin_new(connection, lease, conversation) if begin else None
            return step or advance(connection, lease, conversation)

        return await self._database.write(work)

    async def put_back(self, lease: Lease, *, retry_in_s: float) -> None:
        """Let go of the conversation with its turn unserved; the attempt stays counted."""

        def work(connection: Connection) -> None:
            connection.execute(_PUT_BACK, {**of(lease), "retry_in_s": retry_in_s})

        await self._database.write(work)


def _burst(rows: Sequence[SqlRow]) -> Sequence[SqlRow]:
    """Messages are read in one go; anything else (a button) is a turn by itself."""
    if rows[0].kind not in (Kind.MESSAGE, Kind.FLOOD):
        return rows[:1]
    return list(takewhile(lambda row: row.kind == rows[0].kind, rows))


def _turn(rows: Sequence[SqlRow], history: tuple[Message, ...]) -> Turn:
    first = rows[0]
    return Turn(
        id=TurnId(first.turn),
        conversation=ConversationId(first.conversation),
        address=Address(
            workspace=WorkspaceId(first.workspace),
            channel=Channel(first.channel),
            place=first.place,
        ),
        text="\n".join(row.text for row in rows if row.text),
        kind=Kind(first.kind),
        customer=first.customer,
        language=first.language,
        chosen=first.chosen,
        language_hint=next((row.language_hint for row in rows if row.language_hint), None),
        owner=Owner(first.owner),
        attachments=tuple(
            Attachment(**item) for row in rows for item in json.loads(row.attachments)
        ),
        history=history,
        rows=tuple((row.turn, row.version) for row in rows),
        epoch=first.epoch,
    )


def _history(connection: Connection, lease: Lease) -> tuple[Message, ...]:
    rows = connection.execute(_LAST_MESSAGES, {"conversation": lease.conversation})
    newest_first = [
        Message(author=Author(row.author), text=row.text, language=row.language) for row in rows
    ]
    return tuple(reversed(newest_first))


def _note_outcome(connection: Connection, turn: Turn, said: Served) -> None:
    """Keep what the reply changes about the conversation."""
    chosen = said.chosen or turn.chosen
    noted = {"conversation": turn.conversation, "language": said.language, "chosen": chosen}
    if isinstance(said.outcome, Handoff) and turn.owner is not Owner.WAITING:
        connection.execute(_HAND_OVER, {**noted, "reason": said.outcome.reason})
    elif (said.language, chosen) != (turn.language, turn.chosen):
        connection.execute(_NOTE, noted)


def _close_rows(connection: Connection, turn: Turn, error: str) -> bool:
    """Mark the turn's rows as served; False if one of them was edited since it was read."""
    closed = {"state": "parked" if error else "done", "error": error or None}
    for row, version in turn.rows:
        read = {"row": row, "read_version": version}
        if not connection.execute(_CLOSE, {**closed, **read}).rowcount:
            connection.execute(_REOPEN, {"rows": [row for row, _ in turn.rows]})
            return False
    return True


def _write_transcript(
    connection: Connection, turn: Turn, said: Served | None, served: Served | None
) -> None:
    language = served.language if served is not None else turn.language or UNDETERMINED
    if turn.kind is not Kind.CHOOSES_LANGUAGE:
        for row, _ in turn.rows:
            connection.execute(_COPY_TO_TRANSCRIPT, {"row": row, "spoken": language})
    if said is not None:
        line = {
            "workspace": turn.address.workspace,
            "conversation_id": turn.conversation,
            "inbox_id": turn.id,
            "author": Author.BOT,
            "text": said.outcome.text,
            "language": said.language,
            "details": json.dumps(details(turn, said), ensure_ascii=False),
        }
        connection.execute(_ADD_TO_TRANSCRIPT, line)


def _write_parcels(connection: Connection, turn: Turn, bodies: Sequence[str]) -> None:
    shared = {
        "workspace": turn.address.workspace,
        "conversation_id": turn.conversation,
        "inbox_id": turn.id,
        "epoch": turn.epoch,
    }
    for part, body in enumerate(bodies):
        connection.execute(_ADD_PARCEL, {**shared, "part": part, "body": body})


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


# Statements are built once: putting one together costs far more than running it.
_UNSERVED = (
    select(
        conversations.c.id.label("conversation"),
        conversations.c.workspace,
        conversations.c.channel,
        conversations.c.place,
        conversations.c.customer,
        conversations.c.language,
        conversations.c.chosen,
        conversations.c.owner,
        conversations.c.epoch,
        inbox.c.id.label("turn"),
        inbox.c.version,
        inbox.c.kind,
        inbox.c.text,
        inbox.c.language_hint,
        inbox.c.attachments,
    )
    .select_from(
        conversations.outerjoin(
            inbox,
            and_(inbox.c.conversation_id == conversations.c.id, inbox.c.state == "pending"),
        )
    )
    .where(HELD)
    .order_by(inbox.c.sent_at, inbox.c.id)
    .limit(BURST_MESSAGES)
)
_NOTE_LAST_TRY = update(conversations).where(HELD).values(attempts=LAST_TRY)
_LAST_MESSAGES = (
    select(messages.c.author, messages.c.text, messages.c.language)
    .where(messages.c.conversation_id == bindparam("conversation"))
    .order_by(messages.c.id.desc())
    .limit(HISTORY_MESSAGES)
)
_PUT_BACK = (
    update(conversations)
    .where(HELD)
    .values(holder=None, held_until=None, due_at=Now() + bindparam("retry_in_s"))
)
_NOTE = update(conversations).where(conversations.c.id == bindparam("conversation"))
_HAND_OVER = _NOTE.values(owner=Owner.WAITING, waiting_since=Now())
_CLOSE = update(inbox).where(
    inbox.c.id == bindparam("row"), inbox.c.version == bindparam("read_version")
)
_REOPEN = update(inbox).where(inbox.c.id.in_(bindparam("rows"))).values(state="pending")
_TO_COPY = {
    "workspace": inbox.c.workspace,
    "conversation_id": inbox.c.conversation_id,
    "inbox_id": inbox.c.id,
    "author": literal(Author.CUSTOMER.value),
    "text": inbox.c.text,
    "language": bindparam("spoken", type_=messages.c.language.type),
    "details": literal('{"attachments": ') + inbox.c.attachments + literal("}"),
    "created_at": inbox.c.received_at,
}
_COPY_TO_TRANSCRIPT = insert(messages).from_select(
    list(_TO_COPY),
    select(*_TO_COPY.values()).where(
        inbox.c.id == bindparam("row"),
        (inbox.c.text != "") | (inbox.c.attachments != "[]"),
    ),
)
_ADD_TO_TRANSCRIPT = insert(messages).values(created_at=Now())
_ADD_PARCEL = insert(outbox).values(created_at=Now())
