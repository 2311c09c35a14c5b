"""Conversations of agents who give no sign of life wait for another, by the database's clock."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, bindparam, case, select, update

from core.adapters.database import Database, Now
from core.adapters.desk import Wake
from core.adapters.handoffs import change_hands, record
from core.adapters.tables import conversations, handoffs
from core.cases import CaseId, Change, EventKind
from core.turn import ConversationId, Owner, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

LOOK_EVERY_S = 5.0

IdleSeconds = Callable[[WorkspaceId], Awaitable[float]]


class Absences:
    """Looks after cases whose time has come; each change is made once, whoever looks."""

    def __init__(
        self,
        database: Database,
        idle_s: IdleSeconds,
        *,
        wake: Wake,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """A customer waits for at most `idle_s` seconds of the workspace for an absent agent."""
        self._database = database
        self._idle_s = idle_s
        self._wake = wake
        self._look_every_s = look_every_s
        self._looked_s = float("-inf")

    async def look(self) -> None:
        """Take back what is due, unless somebody looked just now.

        Raises: Unavailable: the database does not answer.
        """
        if time.monotonic() - self._looked_s < self._look_every_s:
            return
        self._looked_s = time.monotonic()
        silent = await self._database.read(lambda connection: connection.execute(_SILENT).all())
        for row in silent:
            idle_s = await self._idle_s(WorkspaceId(row.workspace))
            if row.silent_s >= idle_s and await self._take_back(row, idle_s):
                await self._wake(ConversationId(row.conversation))
        over = await self._database.read(lambda connection: connection.execute(_OVER).all())
        for row in over:
            await self._show_again(row)

    async def _take_back(self, row: SqlRow, idle_s: float) -> bool:
        def work(connection: Connection) -> bool:
            connection.execute(_LOCK, {"conversation": row.conversation})
            # Once the row is locked, the agent may have answered after all.
            still = connection.execute(_STILL_SILENT, {"case_id": row.case_id}).first()
            if still is None or still.silent_s < idle_s:
                return False
            connection.execute(_RELEASE, {"case_id": row.case_id})
            change_hands(
                connection,
                row.workspace,
                row.conversation,
                CaseId(row.case_id),
                Owner.WAITING,
                Change.LAPSED,
            )
            return True

        return await self._database.write(work)

    async def _show_again(self, row: SqlRow) -> None:
        def work(connection: Connection) -> None:
            connection.execute(_LOCK, {"conversation": row.conversation})
            if connection.execute(_UNHIDE, {"case_id": row.case_id}).rowcount:
                record(
                    connection,
                    row.workspace,
                    row.conversation,
                    CaseId(row.case_id),
                    EventKind.WOKEN,
                )

        await self._database.write(work)


# Statements are built once: putting one together costs far more than running it.
_LOCK = (
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("conversation"))
    .with_for_update(key_share=True)
)
# Since when the customer waits, or since the agent's last sign of life if that is later.
_SINCE = case(
    (handoffs.c.active_at > conversations.c.waiting_since, handoffs.c.active_at),
    else_=conversations.c.waiting_since,
)
_OPEN = select(
    handoffs.c.id.label("case_id"),
    conversations.c.id.label("conversation"),
    conversations.c.workspace,
    (Now() - _SINCE).label("silent_s"),
).join(
    conversations,
    # An index finds it by its id; the other says that no newer case has taken over.
    (conversations.c.id == handoffs.c.conversation_id)
    & (conversations.c.handoff_id == handoffs.c.id),
)
_SILENT = _OPEN.where(
    handoffs.c.ended_at.is_(None),
    conversations.c.owner == Owner.HUMAN,
    conversations.c.waiting_since.is_not(None),
    handoffs.c.snoozed_until.is_(None),
)
_STILL_SILENT = _SILENT.where(handoffs.c.id == bindparam("case_id"))
_RELEASE = update(handoffs).where(handoffs.c.id == bindparam("case_id")).values(account_id=None)
_IS_OVER = (handoffs.c.ended_at.is_(None), handoffs.c.snoozed_until <= Now())
_OVER = _OPEN.where(*_IS_OVER)
_UNHIDE = (
    update(handoffs)
    .where(handoffs.c.id == bindparam("case_id"), *_IS_OVER)
    .values(snoozed_until=None)
)
