"""Cases whose agents have not been told anything yet, each made by one process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, bindparam, select, update

from core.adapters.case_spans import span_of
from core.adapters.cases import last_said
from core.adapters.database import Database
from core.adapters.handoffs import record
from core.adapters.holds import Holds
from core.adapters.tables import conversations, handoffs, messages
from core.briefing import Briefing, Said
from core.cases import CaseId, DeskLine, EventKind
from core.turn import Author, ConversationId, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

# Of a conversation the last so many messages, without notes and what was taken back.
MAX_LINES = 40
_AT_A_TIME = 20
_FORM = TypeAdapter(Briefing)


def read_briefing(stored: str) -> Briefing | None:
    """A case's briefing, from where it is stored with it; None until it is made."""
    if not stored:
        return None
    try:
        return _FORM.validate_json(stored)
    except ValidationError:
        # Another version wrote it: the conversation itself is there to read.
        return None


def suggested_reply(stored: str) -> str:
    """What the briefing suggests to answer; empty without one."""
    briefing = read_briefing(stored)
    return briefing.reply if briefing is not None else ""


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
        self._holder = holder

    async def take(self, for_s: float) -> Unbriefed | None:
        """The most urgent case without a briefing that nobody makes; None if there is none.

        It is ours for that many seconds.
        Raises: Unavailable: the database does not answer.
        """
        rows = await self._database.read(lambda connection: connection.execute(_UNBRIEFED).all())
        for row in rows:
            if await self._holds.take(_hold(row.id), self._holder, for_s):
                if not await self._is_wanted(row.id):
                    # It was made between our look and our hold.
                    await self._holds.drop(_hold(row.id), self._holder)
                    continue
                return await self._case(row)
        return None

    async def _case(self, row: SqlRow) -> Unbriefed:
        conversation = ConversationId(row.conversation_id)
        lines = await self._database.read(
            lambda connection: _lines_of(connection, row.id, conversation)
        )
        return Unbriefed(
            id=CaseId(row.id),
            workspace=WorkspaceId(row.workspace),
            conversation=conversation,
            language=row.language or row.customer_language,
            lines=tuple(map(_said, lines)),
        )

    async def _is_wanted(self, case: int) -> bool:
        wanted = select(handoffs.c.id).where(handoffs.c.id == case, *_OPEN)
        return await self._database.read(lambda connection: connection.scalar(wanted)) is not None

    async def keep_read(self, case: Unbriefed, lines: Sequence[Said], language: str) -> None:
        """Keep how the desk reads some lines; it is shown what customers said before it had them.

        A line that was changed meanwhile, or that has a translation by now, is left as it is.
        Raises: Unavailable: the database does not answer.
        """

        def work(connection: Connection) -> None:
            for line in lines:
                made = {"line": line.id, "was": line.text, "read": line.read, "into": language}
                kept = connection.execute(_TRANSLATE, made).rowcount > 0
                if kept and line.author is Author.CUSTOMER:
                    record(
                        connection,
                        case.workspace,
                        case.conversation,
                        case.id,
                        EventKind.TRANSLATED,
                        message=line.id,
                    )

        await self._database.write(work)

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


def _lines_of(
    connection: Connection, case: int, conversation: ConversationId
) -> Sequence[DeskLine]:
    """The last of what was said since the conversation was last resolved: then it began anew."""
    lines = last_said(connection, conversation, MAX_LINES)
    after = span_of(connection, case, since_resolved=True).after
    since = [line for line in lines if line.id > after]
    # Who writes while their case is resolved asks for what is handed over after it.
    return since if any(line.author is Author.CUSTOMER for line in since) else lines


def _said(line: DeskLine) -> Said:
    return Said(
        author=line.author,
        text=line.text,
        language=line.language,
        read=line.translation or "",
        details=line.details,
        id=line.id,
    )


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
_TRANSLATE = (
    update(messages)
    .where(
        messages.c.id == bindparam("line"),
        messages.c.text == bindparam("was"),
        messages.c.translation.is_(None),
        messages.c.deleted_at.is_(None),
    )
    .values(translation=bindparam("read"), translation_language=bindparam("into"))
)
_KEEP = (
    update(handoffs)
    .where(handoffs.c.id == bindparam("case_id"), *_OPEN)
    .values(briefing=bindparam("made"))
)
