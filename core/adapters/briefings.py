"""Cases whose agents have not been told anything yet, each made by one process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from core.adapters.case_spans import span_of
from core.adapters.cases import last_said
from core.adapters.database import Database, Now
from core.adapters.handoffs import record
from core.adapters.holds import Holds
from core.adapters.tables import RowId, conversations, desk_events, handoffs, messages
from core.briefing import Briefing, Said
from core.cases import CaseId, DeskLine, EventKind
from core.escalation import last_question
from core.turn import Author, ConversationId, Message, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

# Who writes on while they wait is heard out before they are summed up again.
AGAIN_AFTER_S = 5.0
# Each takes the model a while, and is one more for the desk to read.
REST_S = 60.0
MOST_AGAIN = 3
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
    """A case that waits for its briefing, held by this process.

    `known` is the last line that an earlier briefing of it knows of; None if this is the first.
    """

    id: CaseId
    workspace: WorkspaceId
    conversation: ConversationId
    language: str
    lines: tuple[Said, ...]
    known: int | None = None


class Briefings:
    """Hands out cases under a hold by the database's clock, and keeps what was made of them."""

    def __init__(
        self, database: Database, *, holder: str, again_after_s: float = AGAIN_AFTER_S
    ) -> None:
        """Take cases as `holder`, a name that no other process has.

        One whose customer says more while nobody has taken it comes again, once they have been
        silent for `again_after_s`.
        """
        self._database = database
        self._holds = Holds(database)
        self._holder = holder
        self._again = {"again_after_s": again_after_s}

    async def take(self, for_s: float) -> Unbriefed | None:
        """The most urgent case to be briefed that nobody sees to; None if there is none.

        It is ours for that many seconds.
        Raises: Unavailable: the database does not answer.
        """
        rows = await self._database.read(
            lambda connection: connection.execute(_UNBRIEFED, self._again).all()
        )
        for row in rows:
            if await self._holds.take(_hold(row.id), self._holder, for_s):
                # It may have been made between our look and our hold.
                if await self._is_wanted(row.id):
                    case = await self._case(row)
                    if _says_more(case):
                        return case
                    await self._pass_over(case)
                await self._holds.drop(_hold(row.id), self._holder)
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
            known=row.briefed_to,
        )

    async def _is_wanted(self, case: int) -> bool:
        wanted = _UNBRIEFED.where(handoffs.c.id == case)
        row = await self._database.read(
            lambda connection: connection.execute(wanted, self._again).first()
        )
        return row is not None

    async def _pass_over(self, case: Unbriefed) -> None:
        """Let the briefing stand as it is until the customer says more."""
        seen = {"case_id": case.id, "known": case.known, "last": _last(case)}
        await self._database.write(lambda connection: connection.execute(_SEEN, seen).rowcount)

    async def keep_read(self, case: Unbriefed, lines: Sequence[Said], language: str) -> None:
        """Keep how the desk reads some lines; it is shown what customers said before it had them.

        A line that was changed meanwhile is left as it is, and so is what an agent who has the
        case reads in their own language.
        Raises: Unavailable: the database does not answer.
        """
        about = (case.workspace, case.conversation, case.id, EventKind.TRANSLATED)

        def work(connection: Connection) -> None:
            replaced = 0
            for line in lines:
                made = {"line": line.id, "was": line.text, "read": line.read, "into": language}
                if not connection.execute(_TRANSLATE, made).rowcount:
                    again = {**made, "case_id": case.id}
                    replaced += connection.execute(_TRANSLATE_ANEW, again).rowcount
                elif line.author is Author.CUSTOMER:
                    record(connection, *about, message=line.id)
            if replaced:
                # For pages that show it all: a chat desk does not hear the same words again.
                record(connection, *about)

        await self._database.write(work)

    async def keep(self, case: Unbriefed, briefing: Briefing) -> bool:
        """Store it and tell the desks; False if another process was faster, or the case is over.

        One that says the same as before is no news.
        Raises: Unavailable: the database does not answer.
        """
        made = {
            "case_id": case.id,
            "made": briefing.as_json(),
            "known": case.known,
            "last": _last(case),
        }

        def work(connection: Connection) -> bool:
            before = connection.scalar(_BRIEFING, {"case_id": case.id})
            kept = connection.execute(_KEEP, made).rowcount > 0
            if kept and made["made"] != before:
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


def _says_more(case: Unbriefed) -> bool:
    """Whether there is more to be told than that the customer still waits."""
    if case.known is None:
        return True
    newer = [
        Message(author=line.author, text=line.text, language=line.language)
        for line in case.lines
        if line.id > case.known
    ]
    return bool(last_question(newer))


def _last(case: Unbriefed) -> int:
    return max((line.id for line in case.lines), default=case.known or 0)


def _said(line: DeskLine) -> Said:
    return Said(
        author=line.author,
        text=line.text,
        language=line.language,
        read=line.translation or "",
        read_in=line.translation_language or "",
        details=line.details,
        id=line.id,
    )


def _hold(case: int) -> str:
    return f"briefing:{case}"


# Statements are built once: putting one together costs far more than running it.
_CUSTOMERS = (
    messages.c.conversation_id == handoffs.c.conversation_id,
    messages.c.author == Author.CUSTOMER,
    messages.c.deleted_at.is_(None),
)
_NEWER = select(messages.c.id).where(*_CUSTOMERS, messages.c.id > handoffs.c.briefed_to)
_TOLD = (desk_events.c.handoff_id == handoffs.c.id, desk_events.c.kind == EventKind.BRIEFED)
_TOLD_TIMES = select(func.count()).select_from(desk_events).where(*_TOLD).scalar_subquery()
_TOLD_OF_LATE = select(desk_events.c.id).where(*_TOLD, desk_events.c.created_at > Now() - REST_S)
# What an agent may have begun with does not change below their hands.
_UNUSED = (handoffs.c.account_id.is_(None), handoffs.c.suggestion_fate.is_(None))
_UNBRIEFED = (
    select(
        handoffs.c.id,
        handoffs.c.workspace,
        handoffs.c.conversation_id,
        handoffs.c.customer_language,
        handoffs.c.briefed_to,
        conversations.c.language,
    )
    .join(conversations, conversations.c.id == handoffs.c.conversation_id)
    .where(
        handoffs.c.ended_at.is_(None),
        or_(
            # Who presses a button first has said nothing yet.
            and_(handoffs.c.briefing.is_(None), select(messages.c.id).where(*_CUSTOMERS).exists()),
            and_(
                handoffs.c.briefing.is_not(None),
                *_UNUSED,
                _NEWER.exists(),
                ~_NEWER.where(messages.c.created_at > Now() - bindparam("again_after_s")).exists(),
                ~_TOLD_OF_LATE.exists(),
                _TOLD_TIMES <= MOST_AGAIN,
            ),
        ),
    )
    .order_by(handoffs.c.briefing.is_not(None), handoffs.c.priority.desc(), handoffs.c.opened_at)
    .limit(_AT_A_TIME)
)
_READ = (
    update(messages)
    .where(
        messages.c.id == bindparam("line"),
        messages.c.text == bindparam("was"),
        messages.c.deleted_at.is_(None),
    )
    .values(translation=bindparam("read"), translation_language=bindparam("into"))
)
_TRANSLATE = _READ.where(messages.c.translation.is_(None))
_NOBODYS = select(handoffs.c.id).where(
    handoffs.c.id == bindparam("case_id"), handoffs.c.account_id.is_(None)
)
_TRANSLATE_ANEW = _READ.where(
    messages.c.translation_language != bindparam("into"),
    # The other text of an agent's line is what the customer has read.
    messages.c.author != Author.AGENT,
    _NOBODYS.exists(),
)
_BRIEFING = select(handoffs.c.briefing).where(handoffs.c.id == bindparam("case_id"))
_SEEN = (
    update(handoffs)
    .where(handoffs.c.id == bindparam("case_id"), handoffs.c.briefed_to == bindparam("known"))
    .values(briefed_to=bindparam("last"))
)
_KEEP = (
    update(handoffs)
    .where(
        handoffs.c.id == bindparam("case_id"),
        handoffs.c.ended_at.is_(None),
        # Nobody has made another meanwhile.
        handoffs.c.briefed_to.is_not_distinct_from(bindparam("known", type_=RowId)),
        or_(
            handoffs.c.briefing.is_(None),
            and_(handoffs.c.briefed_to.is_not(None), *_UNUSED),
        ),
    )
    .values(briefing=bindparam("made"), briefed_to=bindparam("last"))
)
