"""What was said longer ago than a desk keeps it is deleted, by the database's clock."""

import time
from dataclasses import dataclass
from itertools import takewhile

import structlog
from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select, true, update

from core.adapters.cursors import forget
from core.adapters.database import Database, Now, empty_log
from core.adapters.tables import conversations, handoffs, inbox, messages, outbox
from core.turn import Owner

log = structlog.get_logger()

# Rows of one transaction: others wait for it, and it is the work of one look.
BATCH = 500
# Between two times that everything was looked through.
REST_S = 3_600.0
# A conversation that nobody has and in which nothing is to be done.
_AT_REST = conversations.c.owner.in_((Owner.BOT, Owner.CLOSED)) & conversations.c.due_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Rows that grow old; their ids grow with `since`, when each came about. `over` may go."""

    table: Table
    since: ColumnElement[float]
    over: ColumnElement[bool]


_KINDS = (
    _Kind(table=messages, since=messages.c.created_at, over=true()),
    _Kind(
        table=inbox,
        since=inbox.c.received_at,
        over=(inbox.c.state != "pending")
        & ~exists().where(
            outbox.c.inbox_id == inbox.c.id, outbox.c.state.in_(("pending", "sending"))
        ),
    ),
    _Kind(table=handoffs, since=handoffs.c.opened_at, over=handoffs.c.ended_at.is_not(None)),
)


class Retention:
    """Deletes old rows a few at a time; several processes may do so at once."""

    def __init__(self, database: Database, keep_s: float, *, rest_s: float = REST_S) -> None:
        """Keep each row for `keep_s` seconds, and longer while a person has its conversation."""
        self._database = database
        self._keep_s = keep_s
        self._rest_s = rest_s
        self._kind = 0
        self._after = 0
        self._rest_until = float("-inf")
        self._to_empty = False

    async def look(self) -> None:
        """Delete the next few, or rest.

        Raises: Unavailable: the database does not answer.
        """
        if time.monotonic() < self._rest_until:
            return
        kind, after = _KINDS[self._kind], self._after
        last = await self._database.write(
            lambda connection: _delete_some(connection, kind, after, self._keep_s)
        )
        if last is not None:
            self._after, self._to_empty = last, True
            return
        self._kind, self._after = (self._kind + 1) % len(_KINDS), 0
        if self._kind == 0:
            self._rest_until = time.monotonic() + self._rest_s
            # What somebody's reading left there goes with the next round.
            self._to_empty = self._to_empty and not await empty_log(self._database)


def _delete_some(connection: Connection, kind: _Kind, after: int, keep_s: float) -> int | None:
    """Delete what may go of the next few rows that are old; the last of these, None for none."""
    rows = connection.execute(
        select(
            kind.table.c.id,
            kind.table.c.conversation_id,
            (kind.since < Now() - keep_s).label("old"),
        )
        .where(kind.table.c.id > after)
        .order_by(kind.table.c.id)
        .limit(BATCH)
    )
    old = list(takewhile(lambda row: row.old, rows))
    if not old:
        return None
    # Whoever changes what belongs to a conversation locks it first.
    resting = connection.scalars(
        select(conversations.c.id)
        .where(conversations.c.id.in_({row.conversation_id for row in old}), _AT_REST)
        .order_by(conversations.c.id)
        .with_for_update()
    ).all()
    ids = [row.id for row in old if row.conversation_id in set(resting)]
    if kind.table is handoffs:
        forgotten = update(conversations).where(
            conversations.c.id.in_(resting), conversations.c.handoff_id.in_(ids)
        )
        connection.execute(forgotten.values(handoff_id=None))
    gone = connection.execute(delete(kind.table).where(kind.table.c.id.in_(ids), kind.over))
    empty = connection.scalars(
        select(conversations.c.id).where(conversations.c.id.in_(resting), _EMPTY)
    ).all()
    if empty:
        forget(connection, empty)
        connection.execute(delete(conversations).where(conversations.c.id.in_(empty)))
    if gone.rowcount:
        log.info("old_rows_deleted", table=kind.table.name, rows=gone.rowcount)
    return int(old[-1].id)


def _none_of(table: Table) -> ColumnElement[bool]:
    return ~exists().where(table.c.conversation_id == conversations.c.id)


_EMPTY = _none_of(messages) & _none_of(inbox) & _none_of(handoffs)
