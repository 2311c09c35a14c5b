"""Parcels on their way to a platform, in order and under a lease."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

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
        async with self._database.writing() as connection:
            return await advance(connection, lease)

    async def settle(self, lease: Lease, parcel: Parcel, delivered: Delivered) -> Step:
        """Record what became of a parcel and go on."""
        values: dict[str, object] = {
            "state": delivered.fate,
            "platform_ref": delivered.ref or None,
            "error": delivered.error or None,
        }
        if delivered.fate in (Fate.POSTPONED, Fate.DUBIOUS):
            values["not_before"] = Now() + delivered.retry_in_s
        async with self._database.writing() as connection:
            # What was sent was sent, whoever holds the lease by now: only `advance` checks it.
            await connection.execute(
                update(outbox)
                .where(outbox.c.id == parcel.id, outbox.c.state == "sending")
                .values(values)
            )
            return await advance(connection, lease)


async def advance(connection: AsyncConnection, lease: Lease) -> Step:
    """Decide what comes next and mark it, inside a running transaction.

    Raises: LeaseLost: somebody else has claimed the conversation.
    """
    conversation = await lock(connection, lease)
    await connection.execute(
        update(outbox)
        .where(
            outbox.c.conversation_id == lease.conversation,
            outbox.c.state == "pending",
            outbox.c.epoch < conversation.epoch,
        )
        .values(state="dropped")
    )
    row = await _oldest_unsent(connection, lease)
    if row is not None and row.due:
        await connection.execute(
            update(outbox)
            .where(outbox.c.id == row.id)
            .values(state="sending", attempts=outbox.c.attempts + 1)
        )
        return Step(parcel=_parcel(row, conversation), held=True)
    if await _has_pending(connection, lease):
        return Step(held=True)
    await let_go(connection, lease, due_at=row.not_before if row is not None else None)
    return Step()


async def _oldest_unsent(connection: AsyncConnection, lease: Lease) -> SqlRow | None:
    rows = await connection.execute(
        select(
            outbox.c.id,
            outbox.c.body,
            outbox.c.state,
            outbox.c.attempts,
            outbox.c.not_before,
            ((outbox.c.not_before.is_(None)) | (outbox.c.not_before <= Now())).label("due"),
        )
        .where(
            outbox.c.conversation_id == lease.conversation,
            outbox.c.state.in_(("pending", "sending")),
        )
        .order_by(outbox.c.id)
        .limit(1)
    )
    return rows.first()


async def _has_pending(connection: AsyncConnection, lease: Lease) -> bool:
    row = await connection.execute(
        select(inbox.c.id)
        .where(inbox.c.conversation_id == lease.conversation, inbox.c.state == "pending")
        .limit(1)
    )
    return row.first() is not None


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
