"""The turns of a held conversation: read, finished, or put back."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, select, update

from core.adapters.database import Database, Now
from core.adapters.handoffs import OF_DESK
from core.adapters.leases import HELD, lock, of
from core.adapters.outbox import advance, begin_new
from core.adapters.tables import accounts, conversations, desk_events, handoffs, inbox, messages
from core.adapters.transcribing import write, write_parcels
from core.errors import LeaseLost
from core.turn import (
    LAST_TRY,
    Address,
    Agent,
    Attachment,
    Author,
    Channel,
    ConversationId,
    Heard,
    Kind,
    Lease,
    Message,
    Owner,
    Served,
    Step,
    Survey,
    Turn,
    TurnId,
    WorkspaceId,
)

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

BURST_MESSAGES = 10
HISTORY_MESSAGES = 8


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
            turn = _turn(_burst(rows), _history(connection, lease))
            return _with_people(connection, turn, rows[0])

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
        heard: Heard | None = None,
        begin: bool = False,
        error: str = "",
    ) -> Step | None:
        """Commit the outcome, its transcript and its parcels as one; None if it is out of date."""

        def work(connection: Connection) -> Step | None:
            conversation = lock(connection, lease, answered=True)
            # If it changed hands meanwhile, the reply is no longer wanted, and somebody else may
            # have to read this. What an agent does is done whoever has the conversation.
            stale = conversation.epoch != turn.epoch and not turn.kind.by_agent and not error
            if stale or not _close_rows(connection, turn, error):
                return None
            write(connection, conversation, turn, served, heard)
            write_parcels(connection, turn, bodies)
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
        message_ref=rows[-1].message_ref,
        language=first.language,
        chosen=first.chosen,
        language_hint=next((row.language_hint for row in rows if row.language_hint), None),
        owner=Owner(first.owner),
        attachments=tuple(
            Attachment(**item) for row in rows for item in json.loads(row.attachments)
        ),
        history=history,
        rows=tuple((row.turn, row.version) for row in rows),
        texts=tuple(row.text for row in rows),
        epoch=first.epoch,
    )


def _with_people(connection: Connection, turn: Turn, row: SqlRow) -> Turn:
    """The turn with the agent whose concern it is, and with the question how it was."""
    by_bot = turn.owner is Owner.BOT and turn.kind is not Kind.RATES
    if by_bot and not turn.kind.by_agent:
        return turn
    if turn.kind.by_agent:
        said = {"conversation": turn.conversation, "turn": turn.id}
        turn = replace(turn, message_ref=connection.scalar(_LAST_REF, said))
    case = _case(connection, turn, row)
    account = row.account_id if turn.kind.by_agent else case.account_id if case else None
    agent = connection.execute(_AGENT, {"account": account}).first() if account else None
    survey = None
    if case is not None and case.ending == "resolved":
        survey = Survey(
            case=case.id, rating=case.rating, comment=case.comment or "", age_s=case.age_s
        )
    return replace(
        turn,
        agent=Agent(id=agent.id, name=agent.name, language=agent.language) if agent else None,
        target=TurnId(row.target_id) if row.target_id else None,
        survey=survey,
    )


def _case(connection: Connection, turn: Turn, row: SqlRow) -> SqlRow | None:
    """The case that a turn is about: the newest, of a rating the one about which was asked."""
    here = {"conversation": turn.conversation}
    if turn.kind is not Kind.RATES:
        return connection.execute(_CASE, here).first()
    asked = connection.scalar(_ASKED, {"asked": row.target_id}) if row.target_id else None
    if asked is not None:
        event = int(asked.removeprefix(OF_DESK))
        return connection.execute(_CASE_OF, {**here, "event": event}).first()
    return connection.execute(_RESOLVED, here).first()


def _history(connection: Connection, lease: Lease) -> tuple[Message, ...]:
    rows = connection.execute(_LAST_MESSAGES, {"conversation": lease.conversation})
    newest_first = [
        Message(
            author=Author(row.author),
            text=row.text,
            language=row.language,
            choices=_choices(row) if row.author == Author.BOT else (),
        )
        for row in rows
    ]
    return tuple(reversed(newest_first))


def _choices(line: SqlRow) -> tuple[str, ...]:
    return tuple(json.loads(line.details).get("choices", ()))


def _close_rows(connection: Connection, turn: Turn, error: str) -> bool:
    """Mark the turn's rows as served; False if one of them was edited since it was read."""
    closed = {"state": "parked" if error else "done", "error": error or None}
    for row, version in turn.rows:
        read = {"row": row, "read_version": version}
        if not connection.execute(_CLOSE, {**closed, **read}).rowcount:
            connection.execute(_REOPEN, {"rows": [row for row, _ in turn.rows]})
            return False
    return True


# Statements are built once: putting one together costs far more than running it.
_UNSERVED = (
    select(
        conversations.c.id.label("conversation"),
        conversations.c.workspace,
        conversations.c.channel,
        conversations.c.place,
        func.coalesce(inbox.c.customer, conversations.c.customer).label("customer"),
        conversations.c.language,
        conversations.c.chosen,
        conversations.c.owner,
        conversations.c.epoch,
        inbox.c.id.label("turn"),
        inbox.c.version,
        inbox.c.kind,
        inbox.c.text,
        inbox.c.message_ref,
        inbox.c.language_hint,
        inbox.c.attachments,
        inbox.c.account_id,
        inbox.c.target_id,
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
# As the customer knows them: what agents say among themselves must not reach the model.
_LAST_MESSAGES = (
    select(
        messages.c.author,
        case(
            (
                messages.c.author == Author.AGENT,
                func.coalesce(messages.c.translation, messages.c.text),
            ),
            else_=messages.c.text,
        ).label("text"),
        messages.c.language,
        messages.c.details,
    )
    .where(
        messages.c.conversation_id == bindparam("conversation"),
        messages.c.internal.is_(False),
        messages.c.deleted_at.is_(None),
    )
    .order_by(messages.c.id.desc())
    .limit(HISTORY_MESSAGES)
)
# What agents do has no reference: it is to what the customer wrote last, not to what others wrote
# who joined in, nor to a button that was pressed.
_LAST_REF = (
    select(inbox.c.message_ref)
    .where(
        inbox.c.conversation_id == bindparam("conversation"),
        inbox.c.id < bindparam("turn"),
        inbox.c.customer.is_(None),
        inbox.c.kind.in_((Kind.MESSAGE, Kind.FLOOD)),
        inbox.c.message_ref.is_not(None),
    )
    .order_by(inbox.c.id.desc())
    .limit(1)
)
_PUT_BACK = (
    update(conversations)
    .where(HELD)
    .values(holder=None, held_until=None, due_at=Now() + bindparam("retry_in_s"))
)
_CLOSE = update(inbox).where(
    inbox.c.id == bindparam("row"), inbox.c.version == bindparam("read_version")
)
_REOPEN = update(inbox).where(inbox.c.id.in_(bindparam("rows"))).values(state="pending")
_CASE = (
    select(
        handoffs.c.id,
        handoffs.c.account_id,
        handoffs.c.ending,
        handoffs.c.rating,
        handoffs.c.comment,
        (Now() - handoffs.c.ended_at).label("age_s"),
    )
    .where(handoffs.c.conversation_id == bindparam("conversation"))
    .order_by(handoffs.c.id.desc())
    .limit(1)
)
_RESOLVED = _CASE.where(handoffs.c.ending == "resolved")
_ASKED = select(inbox.c.event_id).where(inbox.c.id == bindparam("asked"))
_CASE_OF = _CASE.where(
    handoffs.c.id
    == select(desk_events.c.handoff_id)
    .where(desk_events.c.id == bindparam("event"))
    .scalar_subquery()
)
_AGENT = select(accounts.c.id, accounts.c.name, accounts.c.language).where(
    accounts.c.id == bindparam("account")
)
