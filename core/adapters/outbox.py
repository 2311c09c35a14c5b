"""Parcels on their way to a platform, in order and under a lease."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from core.adapters.database import Database, Now
from core.adapters.leases import let_go, lock
from core.adapters.tables import inbox, outbox
from core.turn import Address, Channel, Delivered, Fate, Lease, Parcel, Step, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any


class SqlOutbox:
    """The outbox port over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep the parcels in `database`."""
        self._database = database

    async def begin(self, lease: Lease) -> Step:
        """Mark the next parcel as being sent, unless a person has taken over since."""

        def work(connection: Connection) -> Step:
            return advance(connection, lease)

        return await self._database.write(work)

    async def settle(self, lease: Lease, parcel: Parcel, delivered: Delivered) -> Step:
        """Record what became of a parcel and go on."""
        values: dict[str, object] = {
            "state": delivered.fate,
            "platform_ref": delivered.ref or None,
            "error": delivered.error or None,
        }
        if delivered.fate in (Fate.POSTPONED, Fate.DUBIOUS):
            values["not_before"] = Now() + delivered.retry_in_s

        def work(connection: Connection) -> Step:
            # What was sent was sent, whoever holds the lease by now: only `advance` checks it.
            connection.execute(
                update(outbox)
                .where(outbox.c.id == parcel.id, outbox.c.state == "sending")
                .values(values)
            )
            return advance(connection, lease)

        return await self._database.write(work)


def advance(connection: Connection, lease: Lease, conversation: SqlRow | None = None) -> Step:
    """Decide what comes next and mark it, inside a running transaction.

    `conversation` is the row that the transaction has locked already, if it has.

    Raises: LeaseLost: somebody else has claimed the conversation.
    """
    conversation = conversation or lock(connection, lease)
    row = _oldest_unsent(connection, lease, conversation.epoch)
    if row is not None and row.due:
        connection.execute(
            update(outbox)
            .where(outbox.c.id == row.id)
            .values(state="sending", attempts=row.attempts + 1)
        )
        return Step(parcel=_parcel(row, conversation), held=True)
    if connection.execute(_PENDING, {"conversation": lease.conversation}).first() is not None:
        return Step(held=True)
    let_go(connection, lease, due_at=row.not_before if row is not None else None)
    return Step()


# Built once: putting a statement together costs more than running it.
_OLDEST_UNSENT = (
    select(
        outbox.c.id,
        outbox.c.body,
        outbox.c.state,
        outbox.c.epoch,
        outbox.c.attempts,
        outbox.c.not_before,
        ((outbox.c.not_before.is_(None)) | (outbox.c.not_before <= Now())).label("due"),
    )
    .where(
        outbox.c.conversation_id == bindparam("conversation"),
        outbox.c.state.in_(("pending", "sending")),
    )
    .order_by(outbox.c.id)
    .limit(1)
)
_PENDING = (
    select(inbox.c.id)
    .where(inbox.c.conversation_id == bindparam("conversation"), inbox.c.state == "pending")
    .limit(1)
)


def _oldest_unsent(connection: Connection, lease: Lease, epoch: int) -> SqlRow | None:
    """The next parcel; those that a takeover has made stale are dropped on the way."""
    while True:
        row = connection.execute(_OLDEST_UNSENT, {"conversation": lease.conversation}).first()
        if row is None or row.epoch >= epoch or row.state == "sending":
            return row
        connection.execute(update(outbox).where(outbox.c.id == row.id).values(state="dropped"))


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
