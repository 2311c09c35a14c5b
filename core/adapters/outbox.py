"""Parcels on their way to a platform, in order and under a lease."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, literal, null, select, update

from core.adapters.database import Database, Now
from core.adapters.handoffs import (
    ANY_EPOCH,
    UNDETERMINED,
    customer_spoke,
    last_case,
    open_case,
    record,
)
from core.adapters.leases import UNSENT, let_go, lock
from core.adapters.tables import conversations, inbox, messages, outbox
from core.cases import EventKind
from core.errors import LeaseLost
from core.turn import (
    Address,
    Author,
    Channel,
    Delivered,
    Fate,
    Lease,
    Owner,
    Parcel,
    Reason,
    Step,
    WorkspaceId,
)

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any


class SqlOutbox:
    """The outbox port over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep the parcels in `database`."""
        self._database = database

    async def next(self, lease: Lease) -> Step:
        """What comes next; parcels that a person's takeover has made stale are dropped."""

        def work(connection: Connection) -> Step:
            return advance(connection, lease, lock(connection, lease))

        return await self._database.write(work)

    async def begin(self, lease: Lease, parcel: Parcel) -> Step:
        """Mark the parcel as being sent, if it still comes next."""

        def work(connection: Connection) -> Step:
            step = advance(connection, lease, lock(connection, lease))
            if step.parcel is None or step.parcel.id != parcel.id:
                return step
            if connection.execute(_DROP_STALE, {"parcel": parcel.id}).rowcount:
                # Begun before a person took over, and known not to have arrived.
                conversation = lock(connection, lease)
                _withdraw(connection, lease, conversation, parcel.id)
                return advance(connection, lease, conversation)
            begun = {"parcel": parcel.id, "attempts": step.parcel.attempts + 1, "state": "sending"}
            connection.execute(_CHANGE, begun)
            return replace(step, begun=True)

        return await self._database.write(work)

    async def settle(self, lease: Lease, parcel: Parcel, delivered: Delivered) -> Step:
        """Record what became of a parcel and go on; one of unknown fate waits for a person."""

        def work(connection: Connection) -> Step | None:
            try:
                conversation = lock(connection, lease)
            except LeaseLost:
                # What was sent was sent, whoever holds the lease by now.
                if delivered.fate is Fate.SENT and _record(connection, parcel, delivered):
                    _tell_agent(connection, lease, parcel)
                return None
            by_agent = _record(connection, parcel, delivered)
            if delivered.fate in (Fate.REFUSED, Fate.UNKNOWN):
                _tell_desk(connection, lease, conversation, parcel, delivered)
            elif delivered.fate is Fate.SENT and by_agent:
                _tell_agent(connection, lease, parcel)
            return advance(connection, lease, conversation)

        step = await self._database.write(work)
        if step is None:
            raise LeaseLost(f"conversation {lease.conversation}")
        return step


def advance(connection: Connection, lease: Lease, conversation: SqlRow) -> Step:
    """Decide what comes next inside the transaction that has locked the row `conversation`."""
    if let_go(connection, lease):
        return Step()
    row = _oldest_unsent(connection, lease, conversation)
    if row is not None and row.due:
        return Step(parcel=_parcel(row, conversation), held=True)
    return Step(held=True)


def begin_new(connection: Connection, lease: Lease, conversation: SqlRow) -> Step | None:
    """Mark what comes next as being sent, unless it is postponed, stale, or was begun before."""
    row = connection.execute(
        _BEGIN_NEW, {"conversation": lease.conversation, "owner_epoch": conversation.epoch}
    ).first()
    if row is None:
        return None
    return Step(parcel=_parcel(row, conversation), held=True, begun=True)


def _record(connection: Connection, parcel: Parcel, delivered: Delivered) -> bool:
    """Record it; whether the parcel is of an agent's doing, and was not settled before."""
    outcome = {
        "parcel": parcel.id,
        "state": delivered.fate,
        "platform_ref": delivered.ref or None,
        "error": delivered.error or None,
    }
    if delivered.fate in (Fate.POSTPONED, Fate.DUBIOUS):
        connection.execute(_POSTPONE, {**outcome, "retry_in_s": delivered.retry_in_s})
        return False
    return bool(connection.scalar(_SETTLE, outcome) == ANY_EPOCH)


def _tell_agent(connection: Connection, lease: Lease, parcel: Parcel) -> None:
    """Let an agent know that all of their words have arrived."""
    line = connection.scalar(_LINE, {"parcel": parcel.id})
    if line is None or connection.scalar(_REST, {"parcel": parcel.id}) is not None:
        return
    record(
        connection,
        parcel.address.workspace,
        lease.conversation,
        last_case(connection, lease.conversation),
        EventKind.DELIVERED,
        message=line,
    )


def _tell_desk(
    connection: Connection,
    lease: Lease,
    conversation: SqlRow,
    parcel: Parcel,
    delivered: Delivered,
) -> None:
    """Let people know that a customer may not have read something.

    A reply of unknown fate puts the conversation into the queue, unless people have it already.
    """
    nobody = conversation.owner in (Owner.BOT, Owner.CLOSED)
    line = connection.scalar(_LINE, {"parcel": parcel.id})
    if delivered.fate is Fate.UNKNOWN and nobody:
        open_case(
            connection,
            conversation.workspace,
            lease.conversation,
            reason=Reason.DELIVERY_UNKNOWN,
            language=conversation.language or UNDETERMINED,
        )
    elif nobody and line is None:
        return
    record(
        connection,
        conversation.workspace,
        lease.conversation,
        last_case(connection, lease.conversation),
        EventKind.UNDELIVERED,
        message=line,
        details={"fate": delivered.fate.name.lower(), "error": delivered.error},
    )


def _oldest_unsent(connection: Connection, lease: Lease, conversation: SqlRow) -> SqlRow | None:
    """The next parcel; those that a takeover has made stale are dropped on the way."""
    while True:
        row = connection.execute(_OLDEST_UNSENT, {"conversation": lease.conversation}).first()
        if row is None:
            return None
        # A message can only be changed where it arrived.
        orphaned = row.original is not None and row.original_ref is None
        if not orphaned and (row.epoch >= conversation.epoch or row.state == "sending"):
            return row
        connection.execute(_CHANGE, {"parcel": row.id, "state": "dropped"})
        if not orphaned:
            _withdraw(connection, lease, conversation, row.id)


def _withdraw(connection: Connection, lease: Lease, conversation: SqlRow, parcel: int) -> None:
    """Strike out what the bot wrote and nobody was sent: who took over has to answer instead."""
    message = connection.execute(_STRIKE, {"parcel": parcel}).scalar()
    if message is None:
        return
    customer_spoke(connection, lease.conversation)
    record(
        connection,
        conversation.workspace,
        lease.conversation,
        last_case(connection, lease.conversation),
        EventKind.UNDELIVERED,
        message=message,
        details={"fate": "dropped"},
    )


def _parcel(row: SqlRow, conversation: SqlRow) -> Parcel:
    return Parcel(
        id=row.id,
        address=Address(
            workspace=WorkspaceId(conversation.workspace),
            channel=Channel(conversation.channel),
            place=conversation.place,
        ),
        body=row.body,
        attempts=row.attempts,
        dubious=row.state == "sending",
        replaces=row.original_ref or "",
    )


# Statements are built once: putting one together costs far more than running it.
_DUE = outbox.c.not_before.is_(None) | (outbox.c.not_before <= Now())
_UNSENT = and_(outbox.c.conversation_id == bindparam("conversation"), UNSENT)
_ORIGINAL = outbox.alias("original")
_OLDEST_UNSENT = (
    select(
        outbox.c.id,
        outbox.c.body,
        outbox.c.state,
        outbox.c.epoch,
        outbox.c.attempts,
        outbox.c.not_before,
        _DUE.label("due"),
        outbox.c.replaces.label("original"),
        _ORIGINAL.c.platform_ref.label("original_ref"),
    )
    .select_from(outbox.outerjoin(_ORIGINAL, _ORIGINAL.c.id == outbox.c.replaces))
    .where(_UNSENT)
    .order_by(outbox.c.id)
    .limit(1)
)
_BEGIN_NEW = (
    update(outbox)
    .where(
        outbox.c.id == select(func.min(outbox.c.id)).where(_UNSENT).scalar_subquery(),
        outbox.c.state == "pending",
        outbox.c.epoch >= bindparam("owner_epoch"),
        outbox.c.replaces.is_(None),
        _DUE,
    )
    .values(state="sending", attempts=outbox.c.attempts + 1)
    .returning(
        outbox.c.id,
        outbox.c.body,
        (outbox.c.attempts - 1).label("attempts"),
        literal("pending").label("state"),
        null().label("original_ref"),
    )
)
_CHANGE = update(outbox).where(outbox.c.id == bindparam("parcel"))
_DROP_STALE = _CHANGE.where(
    outbox.c.epoch
    < select(conversations.c.epoch)
    .where(conversations.c.id == outbox.c.conversation_id)
    .scalar_subquery()
).values(state="dropped")
_TURN = select(outbox.c.inbox_id).where(outbox.c.id == bindparam("parcel")).scalar_subquery()
# Of a reply in parts, some may have arrived: then it stays.
_PARTS = outbox.alias("parts")
_STRIKE = (
    update(messages)
    .where(
        messages.c.inbox_id == _TURN,
        messages.c.author == Author.BOT,
        messages.c.deleted_at.is_(None),
        ~select(_PARTS.c.id)
        .where(_PARTS.c.inbox_id == messages.c.inbox_id, _PARTS.c.state != "dropped")
        .where(_PARTS.c.state != "pending")
        .exists(),
    )
    .values(deleted_at=Now())
    .returning(messages.c.id)
)
# The agent's line that a parcel carries, or changes.
_LINE = (
    select(messages.c.id)
    .join(inbox, messages.c.inbox_id == func.coalesce(inbox.c.target_id, inbox.c.id))
    .join(outbox, outbox.c.inbox_id == inbox.c.id)
    .where(outbox.c.id == bindparam("parcel"), messages.c.author == Author.AGENT)
    .limit(1)
)
# Parcels of the same words that are still to be sent.
_MATE = outbox.alias("mate")
_REST = (
    select(_MATE.c.id)
    .join(outbox, outbox.c.inbox_id == _MATE.c.inbox_id)
    .where(outbox.c.id == bindparam("parcel"), _MATE.c.state.in_(("pending", "sending")))
    .limit(1)
)
_SETTLED = _CHANGE.where(UNSENT)
_SETTLE = _SETTLED.returning(outbox.c.epoch)
_POSTPONE = _SETTLED.values(not_before=Now() + bindparam("retry_in_s"))
