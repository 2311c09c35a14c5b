"""Cases found by a word, and what happened in one."""

from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from core.adapters.cases import events_in, these_cases
from core.adapters.database import Database
from core.adapters.tables import accounts, desk_events, handoffs, messages
from core.cases import DeskEvent, EventKind, Waiting
from core.turn import ConversationId, WorkspaceId

# What is said, edited and delivered stands in the transcript itself.
_HAPPENED = (
    EventKind.OPENED,
    EventKind.CLAIMED,
    EventKind.RETURNED,
    EventKind.RESOLVED,
    EventKind.LAPSED,
    EventKind.RELEASED,
    EventKind.SNOOZED,
    EventKind.WOKEN,
    EventKind.RATED,
    EventKind.LEFT,
    EventKind.UNDELIVERED,
)


class CaseSearch:
    """Looks through the conversations of one workspace that people ever had."""

    def __init__(self, database: Database) -> None:
        """Search in `database`."""
        self._database = database

    async def find(self, workspace: WorkspaceId, words: str, limit: int) -> tuple[Waiting, ...]:
        """The newest cases in which somebody wrote this, in the original or a translation."""
        text = words.strip()
        said = _said(workspace, text, limit).subquery()
        newest = select(func.max(handoffs.c.id)).where(handoffs.c.conversation_id == said.c.id)
        wanted = (
            select(messages.c.text, newest.scalar_subquery().label("case_id"))
            .select_from(said.join(messages, messages.c.id == said.c.line))
            .order_by(said.c.line.desc())
        )

        def work(connection: Connection) -> tuple[Waiting, ...]:
            rows = connection.execute(wanted).all()
            cases = these_cases(connection, [row.case_id for row in rows])
            return tuple(
                Waiting(case=cases[row.case_id], waited_s=0.0, last_message=row.text)
                for row in rows
                if row.case_id in cases
            )

        return await self._database.read(work) if text else ()

    async def happened(
        self, workspace: WorkspaceId, conversation: ConversationId, limit: int
    ) -> tuple[DeskEvent, ...]:
        """The last that happened to a conversation beside what was said in it, oldest first."""
        wanted = (
            select(*desk_events.c, accounts.c.name.label("actor"))
            .select_from(desk_events.outerjoin(accounts, accounts.c.id == desk_events.c.account_id))
            .where(
                desk_events.c.workspace == workspace,
                desk_events.c.conversation_id == conversation,
                desk_events.c.kind.in_(_HAPPENED),
            )
            .order_by(desk_events.c.id.desc())
            .limit(limit)
        )

        def work(connection: Connection) -> tuple[DeskEvent, ...]:
            newest_first = connection.execute(wanted).all()
            return events_in(connection, newest_first[::-1])

        return await self._database.read(work)


def _said(workspace: WorkspaceId, text: str, limit: int) -> Select[Any]:
    """The conversations with a case in which this was written, each with its last such line."""
    last = func.max(messages.c.id).label("line")
    return (
        select(messages.c.conversation_id.label("id"), last)
        .where(
            messages.c.workspace == workspace,
            select(handoffs.c.id)
            .where(handoffs.c.conversation_id == messages.c.conversation_id)
            .exists(),
            or_(
                messages.c.text.icontains(text, autoescape=True),
                messages.c.translation.icontains(text, autoescape=True),
            ),
        )
        .group_by(messages.c.conversation_id)
        .order_by(last.desc())
        .limit(limit)
    )
