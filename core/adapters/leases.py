"""Who serves which conversation, by the database's clock."""

from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from core.adapters.database import Database, Now
from core.adapters.inbox import claim
from core.adapters.tables import conversations
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
            return claim(connection, conversation, holder=holder, held_s=held_s)

        return await self._database.write(work)

    async def renew(self, lease: Lease, *, held_s: float) -> None:
        """Hold it for that much longer."""

        def work(connection: Connection) -> None:
            renewed = connection.execute(_RENEW, {**of(lease), "held_s": held_s})
            if not renewed.rowcount:
                raise LeaseLost(f"conversation {lease.conversation}")

        await self._database.write(work)


def lock(connection: Connection, lease: Lease) -> Any:
    """Lock the conversation's row, which every transaction does before it touches another.

    Returns: its workspace, channel, place and epoch.
    Raises: LeaseLost: somebody else has claimed it.
    """
    row = connection.execute(_LOCK, of(lease)).first()
    if row is None:
        raise LeaseLost(f"conversation {lease.conversation}")
    return row


def let_go(connection: Connection, lease: Lease, *, due_at: float | None) -> None:
    """Give the lease back inside a running transaction; a clean end clears the attempts."""
    connection.execute(_LET_GO, {**of(lease), "due_at": due_at})


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
_LOCK = (
    select(
        conversations.c.workspace,
        conversations.c.channel,
        conversations.c.place,
        conversations.c.epoch,
    )
    .where(HELD)
    .with_for_update()
)
_LET_GO = update(conversations).where(HELD).values(holder=None, held_until=None, attempts=0)
_RENEW = update(conversations).where(HELD).values(held_until=Now() + bindparam("held_s"))
_DUE = (
    select(conversations.c.id)
    .where(
        conversations.c.due_at <= Now(),
        or_(conversations.c.held_until.is_(None), conversations.c.held_until < Now()),
    )
    .order_by(
        func.row_number().over(
            partition_by=conversations.c.workspace, order_by=conversations.c.due_at
        ),
        conversations.c.due_at,
    )
    .limit(bindparam("limit"))
)
