"""Cases whose agents have not been told anything yet, each made by one process."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from core.adapters.cases import Cases
from core.adapters.database import Database
from core.adapters.handoffs import record
from core.adapters.holds import Holds
from core.adapters.tables import conversations, handoffs
from core.briefing import Briefing, Said
from core.cases import CaseId, EventKind
from core.turn import ConversationId, WorkspaceId

# Of a conversation the last so many messages, notes left out.
MAX_LINES = 40
_AT_A_TIME = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbriefed:
    """A case that waits for its briefing, held by this process."""

    id: CaseId
    workspace: WorkspaceId
    conversation: ConversationId
    language: str
    lines: tuple[Said, ...]


class Briefings:
    """Hands out cases under a hold by the database's clock, and keeps what was made of them."""

    def __init__(self, database: Database, *, holder: str) -> None:
        """Take cases as `holder`, a name that no other process has."""
        self._database = database
        self._holds = Holds(database)
        self._cases = Cases(database)
        self._holder = holder

    async def take(self, for_s: float) -> Unbriefed | None:
        """The most urgent case without a briefing that nobody makes; None if there is none.

        It is ours for that many seconds.
        Raises: Unavailable: the database does not answer.
        """
        rows = await self._database.read(lambda connection: connection.execute(_UNBRIEFED).all())
        for row in rows:
            if await self._holds.take(_hold(row.id), self._holder, for_s):
                lines = await self._cases.lines(row.workspace, row.conversation_id)
                return Unbriefed(
                    id=CaseId(row.id),
                    workspace=WorkspaceId(row.workspace),
                    conversation=ConversationId(row.conversation_id),
                    language=row.language or row.customer_language,
                    lines=tuple(
                        Said(
                            author=line.author,
                            text=line.text,
                            language=line.language,
                            read=line.translation or "",
                            details=line.details,
                        )
                        for line in lines
                        if not line.internal and line.deleted_at is None
                    )[-MAX_LINES:],
                )
        return None

    async def keep(self, case: Unbriefed, briefing: Briefing) -> bool:
        """Store it and tell the desks; False if another process was faster, or the case is over.

        Raises: Unavailable: the database does not answer.
        """
        made = {"case_id": case.id, "made": briefing.as_json()}

        def work(connection: Connection) -> bool:
            kept = connection.execute(_KEEP, made).rowcount > 0
            if kept:
                record(connection, case.workspace, case.conversation, case.id, EventKind.BRIEFED)
            return kept

        kept = await self._database.write(work)
        await self._holds.drop(_hold(case.id), self._holder)
        return kept


def _hold(case: int) -> str:
    return f"briefing:{case}"


# Statements are built once: putting one together costs far more than running it.
_OPEN = (handoffs.c.ended_at.is_(None), handoffs.c.briefing.is_(None))
_UNBRIEFED = (
    select(
        handoffs.c.id,
        handoffs.c.workspace,
        handoffs.c.conversation_id,
        handoffs.c.customer_language,
        conversations.c.language,
    )
    .join(conversations, conversations.c.id == handoffs.c.conversation_id)
    .where(*_OPEN)
    .order_by(handoffs.c.priority.desc(), handoffs.c.opened_at)
    .limit(_AT_A_TIME)
)
_KEEP = (
    update(handoffs)
    .where(handoffs.c.id == bindparam("case_id"), *_OPEN)
    .values(briefing=bindparam("made"))
)
