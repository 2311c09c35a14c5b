"""Cases found by a word, and what happened in one."""

from sqlalchemy import ColumnElement, Connection, func, or_, select

from core.adapters.cases import events_in, newest_case
from core.adapters.database import Database
from core.adapters.tables import accounts, conversations, desk_events, handoffs, messages
from core.cases import DeskEvent, EventKind, Waiting
from core.turn import ConversationId, WorkspaceId

MAX_FOUND = 50
# What is said, edited and delivered stands in the transcript itself.
_HAPPENED = (
    EventKind.OPENED,
    EventKind.CLAIMED,
    EventKind.RETURNED,
    EventKind.RESOLVED,
    EventKind.LAPSED,
    EventKind.SNOOZED,
    EventKind.WOKEN,
    EventKind.RATED,
    EventKind.UNDELIVERED,
)


class CaseSearch:
    """Looks through the conversations of one workspace that people ever had."""

    def __init__(self, database: Database) -> None:
        """Search in `database`."""
        self._database = database

    async def find(self, workspace: WorkspaceId, words: str) -> tuple[Waiting, ...]:
        """The newest cases in which somebody wrote this, in the original or a translation."""
        text = words.strip()
        said = (
            select(messages.c.conversation_id.label("id"), func.max(messages.c.id).label("line"))
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .where(
                messages.c.workspace == workspace,
                select(handoffs.c.id)
                .where(handoffs.c.conversation_id == conversations.c.id)
                .exists(),
                or_(_holds(messages.c.text, text), _holds(messages.c.translation, text)),
            )
            .group_by(messages.c.conversation_id)
            .order_by(func.max(messages.c.id).desc())
            .limit(MAX_FOUND)
        )

        def work(connection: Connection) -> tuple[Waiting, ...]:
            found = []
            for row in connection.execute(said).all():
                case = newest_case(connection, ConversationId(row.id))
                line = connection.scalar(select(messages.c.text).where(messages.c.id == row.line))
                if case is not None:
                    found.append(Waiting(case=case, waited_s=0.0, last_message=line or ""))
            return tuple(found)

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


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    # SQLite knows upper and lower case of ASCII only: the likely spellings are asked for as well.
    spellings = {text, text.lower(), text.upper(), text.capitalize()}
    return or_(
        column.icontains(text, autoescape=True),
        *(column.contains(each, autoescape=True) for each in spellings),
    )
