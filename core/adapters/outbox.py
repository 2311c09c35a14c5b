"""Parcels on their way to a platform, in order and under a lease."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, literal, select, update

from core.adapters.database import Database, Now
from core.adapters.leases import UNSENT, let_go, lock
from core.adapters.tables import conversations, outbox
from core.errors import LeaseLost
from core.turn import (
    Address,
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
                if delivered.fate is Fate.SENT:
                    _record(connection, parcel, delivered)
                return None
            _record(connection, parcel, delivered)
            if delivered.fate is Fate.UNKNOWN:
                _want_person(connection, lease)
            return advance(connection, lease, conversation)

        step = await self._database.write(work)
        if step is None:
            raise LeaseLost(f"conversation {lease.conversation}")
        return step


def advance(connection: Connection, lease: Lease, conversation: SqlRow) -> Step:
    """Decide what comes next inside the transaction that has locked the row `conversation`."""
    if let_go(connection, lease):
        return Step()
    row = _oldest_unsent(connection, lease, conversation.epoch)
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


def _record(connection: Connection, parcel: Parcel, delivered: Delivered) -> None:
    outcome = {
        "parcel": parcel.id,
        "state": delivered.fate,
        "platform_ref": delivered.ref or None,
        "error": delivered.error or None,
    }
    if delivered.fate in (Fate.POSTPONED, Fate.DUBIOUS):
        connection.execute(_POSTPONE, {**outcome, "retry_in_s": delivered.retry_in_s})
    else:
        connection.execute(_SETTLE, outcome)


def _want_person(connection: Connection, lease: Lease) -> None:
    """Put the conversation into the queue, unless a person has or awaits it already."""
    nobody = conversations.c.owner.in_((Owner.BOT, Owner.CLOSED))
    connection.execute(
        update(conversations)
        .where(conversations.c.id == lease.conversation, nobody)
        .values(owner=Owner.WAITING, reason=Reason.DELIVERY_UNKNOWN, waiting_since=Now())
    )


def _oldest_unsent(connection: Connection, lease: Lease, epoch: int) -> SqlRow | None:
    """The next parcel; those that a takeover has made stale are dropped on the way."""
    while True:
        row = connection.execute(_OLDEST_UNSENT, {"conversation": lease.conversation}).first()
        if row is None or row.epoch >= epoch or row.state == "sending":
            return row
        connection.execute(_CHANGE, {"parcel": row.id, "state": "dropped"})


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
    )


# Statements are built once: putting one together costs far more than running it.
_DUE = outbox.c.not_before.is_(None) | (outbox.c.not_before <= Now())
_UNSENT = and_(outbox.c.conversation_id == bindparam("conversation"), UNSENT)
_OLDEST_UNSENT = (
    select(
        outbox.c.id,
        outbox.c.body,
        outbox.c.state,
        outbox.c.epoch,
        outbox.c.attempts,
        outbox.c.not_before,
        _DUE.label("due"),
    )
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
        _DUE,
    )
    .values(state="sending", attempts=outbox.c.attempts + 1)
    .returning(
        outbox.c.id,
        outbox.c.body,
        (outbox.c.attempts - 1).label("attempts"),
        literal("pending").label("state"),
    )
)
_CHANGE = update(outbox).where(outbox.c.id == bindparam("parcel"))
_SETTLE = _CHANGE.where(UNSENT)
_POSTPONE = _SETTLE.values(not_before=Now() + bindparam("retry_in_s"))
