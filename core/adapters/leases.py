"""Who serves which conversation, by the database's clock."""

from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from core.adapters.database import Database, Now
from core.adapters.inbox import claim
from core.adapters.tables import conversations, inbox, outbox
from core.errors import LeaseLost
from core.turn import ConversationId, Lease


class SqlLeases:
    """The leases port over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep the leases in `database`."""
        self._database = database

    async def due(self, limit: int) -> tuple[ConversationId, ...]:
        """Conversations with something to do now that nobody holds.

        Workspaces take turns, so that a flood in one does not keep the others waiting.
        """

        def work(connection: Connection) -> tuple[ConversationId, ...]:
            rows = connection.execute(_DUE, {"limit": limit})
            return tuple(ConversationId(row.id) for row in rows)

        return await self._database.read(work)

    async def claim(
        self, conversation: ConversationId, *, holder: str, held_s: float
    ) -> Lease | None:
        """Take a free or lapsed lease; None if somebody was faster."""

        def work(connection: Connection) -> Lease | None:
            connection.execute(_LOCK_ANY, {"held_conversation": conversation})
            return claim(connection, conversation, holder=holder, held_s=held_s)

        return await self._database.write(work)

    async def renew(self, lease: Lease, *, held_s: float) -> None:
        """Hold it for that much longer."""

        def work(connection: Connection) -> None:
            lock(connection, lease)
            connection.execute(_RENEW, {**of(lease), "held_s": held_s})

        await self._database.write(work)


def lock(connection: Connection, lease: Lease, *, answered: bool = False) -> Any:
    """Lock the conversation's row, which every transaction does before it touches another.

    A turn that was `answered` is no suspect: that clears the attempts in the same statement.

    Returns: its workspace, channel, place, language, owner, epoch and handoff_id.
    Raises: LeaseLost: somebody else has claimed it.
    """
    row = connection.execute(_LOCK_ANSWERED if answered else _LOCK, of(lease)).first()
    if row is None:
        raise LeaseLost(f"conversation {lease.conversation}")
    return row


def let_go(connection: Connection, lease: Lease) -> bool:
    """Give the lease back inside a transaction that has locked the row, if nothing is to be done.

    False if a message waits to be served, or a parcel to be sent or dropped now. A clean end
    clears the attempts.
    """
    return connection.execute(_LET_GO, of(lease)).rowcount > 0


def of(lease: Lease) -> dict[str, object]:
    """The values for a statement with `HELD` in it."""
    return {
        "held_conversation": lease.conversation,
        "held_fence": lease.fence,
        "held_by": lease.holder,
    }


# Statements are built once: putting one together costs far more than running it.

# True of the conversation's row while the very lease is in force whose values `of` gives. A lapsed
# lease that nobody took over still counts: its fence is the newest.
HELD = and_(
    conversations.c.id == bindparam("held_conversation"),
    conversations.c.fence == bindparam("held_fence"),
    conversations.c.holder == bindparam("held_by"),
)
_LOCKED = (
    conversations.c.workspace,
    conversations.c.channel,
    conversations.c.place,
    conversations.c.language,
    conversations.c.owner,
    conversations.c.epoch,
    conversations.c.handoff_id,
)
# Of a strength that lets others add rows which refer to this one: they may hold what we wait for.
_LOCK = select(*_LOCKED).where(HELD).with_for_update(key_share=True)
_LOCK_ANY = (
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("held_conversation"))
    .with_for_update(key_share=True)
)
_LOCK_ANSWERED = update(conversations).where(HELD).values(attempts=0).returning(*_LOCKED)
_UNSERVED = exists().where(
    inbox.c.conversation_id == bindparam("held_conversation"), inbox.c.state == "pending"
)
# As literals: a list of values would be expanded anew at each execution.
UNSENT = outbox.c.state.in_((literal_column("'pending'"), literal_column("'sending'")))
# Parcels are sent in order: if the oldest is postponed, all are.
_OLDEST_UNSENT = outbox.c.id == (
    select(func.min(outbox.c.id))
    .where(outbox.c.conversation_id == bindparam("held_conversation"), UNSENT)
    .scalar_subquery()
)
_IS_DUE = func.coalesce(outbox.c.not_before, 0.0) <= Now()
# Not to be sent, but to be dropped, so that what follows need not wait behind it.
_IS_STALE = and_(outbox.c.state == "pending", outbox.c.epoch < conversations.c.epoch)
_TO_SEND = exists().where(_OLDEST_UNSENT, or_(_IS_DUE, _IS_STALE))
_LET_GO = (
    update(conversations)
    .where(HELD, ~_UNSERVED, ~_TO_SEND)
    .values(
        holder=None,
        held_until=None,
        attempts=0,
        due_at=select(outbox.c.not_before).where(_OLDEST_UNSENT).scalar_subquery(),
    )
)
_RENEW = update(conversations).where(HELD).values(held_until=Now() + bindparam("held_s"))
_DUE = (
    select(conversations.c.id)
    .where(
        conversations.c.due_at <= Now(),
        or_(conversations.c.held_until.is_(None), conversations.c.held_until < Now()),
    )
    .order_by(
        func.row_number().over(
            # Concatenated: by an index in the plain order SQLite would read all conversations.
            partition_by=conversations.c.workspace.concat(""),
            order_by=conversations.c.due_at,
        ),
        conversations.c.due_at,
    )
    .limit(bindparam("limit"))
)
