"""What was said before an agent took a conversation, read anew in their language."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, String, bindparam, cast, literal, or_, select, update

from core.adapters.cases import last_said
from core.adapters.database import Database, Now
from core.adapters.handoffs import UNDETERMINED, record
from core.adapters.holds import Holds
from core.adapters.tables import accounts, conversations, handoffs, holds, messages
from core.cases import CaseId, DeskLine, EventKind
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.language import same_language
from core.translation import Fault, Translated, Untranslated
from core.turn import Author, ConversationId, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

log = structlog.get_logger()

READ_S = 60.0
LOOK_EVERY_S = 0.5
AFTER_FAILURE_S = 5.0
# Of the last so many messages at most so many are translated: the agent is waiting for them.
MAX_LINES = 40
MAX_TRANSLATED = 12
# What is read is shown at once: the newest says most.
_LINES_AT_ONCE = 3
_AT_A_TIME = 20
# Who has given no sign of life for so long reads nothing, and nothing is tried for them again.
_READER_IS_GONE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unread:
    """A case whose agent is to have it in `language`."""

    id: CaseId
    workspace: WorkspaceId
    conversation: ConversationId
    agent: int
    language: str


class Rereading:
    """Takes claimed cases one after the other, each in one process by the database's clock."""

    def __init__(self, database: Database, translator: FaithfulTranslator, *, holder: str) -> None:
        """Take cases as `holder`, a name that no other process has."""
        self._database = database
        self._translator = translator
        self._holds = Holds(database)
        self._holder = holder

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await asyncio.sleep(0 if await self.read_next() else LOOK_EVERY_S)
            except Unavailable as error:
                log.warning("rereading_postponed", error=str(error))
                await asyncio.sleep(AFTER_FAILURE_S)

    async def read_next(self) -> bool:
        """Read for the agent who gave the last sign of life; False if nothing is to be read.

        Raises: Unavailable: the database does not answer.
        """
        rows = await self._database.read(lambda connection: connection.execute(_UNREAD).all())
        for row in rows:
            if await self._holds.take(_hold(row.id), self._holder, 2 * READ_S):
                await self._read(_unread(row))
                return True
        return False

    async def _read(self, case: _Unread) -> None:
        lines = await self._database.read(
            lambda connection: last_said(connection, case.conversation, MAX_LINES)
        )
        foreign = [line for line in lines if _is_foreign(line, case.language)][-MAX_TRANSLATED:]
        try:
            async with asyncio.timeout(READ_S):
                if await self._translate(case, foreign):
                    await self._done(case)
                    return
        except TimeoutError:
            pass
        # Once the hold has lapsed, what is left is tried again.
        log.warning("case_not_reread", conversation=case.conversation)

    async def _translate(self, case: _Unread, lines: Sequence[DeskLine]) -> bool:
        """Keep each few lines as they come, newest first; False if the translator was away."""
        for few in _few_at_once(lines):
            made = await self._translator.translate_all(
                case.workspace,
                [line.text for line in few],
                source=few[0].language,
                target=case.language,
            )
            pairs = list(zip(few, made, strict=True))
            read = [(line, one.text) for line, one in pairs if isinstance(one, Translated)]
            await self._keep(case, read)
            if Untranslated(fault=Fault.UNAVAILABLE) in made:
                return False
        return True

    async def _done(self, case: _Unread) -> None:
        done = {"case_id": case.id, "agent": case.agent, "into": case.language}
        await self._database.write(lambda connection: connection.execute(_DONE, done).rowcount)
        await self._holds.drop(_hold(case.id), self._holder)

    async def _keep(self, case: _Unread, read: Sequence[tuple[DeskLine, str]]) -> None:
        """Keep what was read, unless a line was changed meanwhile or the agent is another."""

        def work(connection: Connection) -> None:
            connection.execute(_LOCK, {"conversation": case.conversation})
            whose = {"case_id": case.id, "agent": case.agent}
            if connection.execute(_STILL_THEIRS, whose).first() is None:
                return
            kept = 0
            for line, text in read:
                given = {"line": line.id, "was": line.text, "read": text, "into": case.language}
                kept += connection.execute(_TRANSLATE, given).rowcount
            if kept:
                # For pages that show it all. A chat desk is in its own language, and stays so.
                kind = EventKind.TRANSLATED
                record(connection, case.workspace, case.conversation, case.id, kind)

        await self._database.write(work)


def _unread(row: SqlRow) -> _Unread:
    return _Unread(
        id=CaseId(row.id),
        workspace=WorkspaceId(row.workspace),
        conversation=ConversationId(row.conversation_id),
        agent=row.account_id,
        language=row.language,
    )


def _few_at_once(lines: Sequence[DeskLine]) -> Iterator[Sequence[DeskLine]]:
    """The lines of each language a few at a time, newest first."""
    newest_first = lines[::-1]
    for source in dict.fromkeys(line.language for line in newest_first):
        of_it = [line for line in newest_first if line.language == source]
        for at in range(0, len(of_it), _LINES_AT_ONCE):
            yield of_it[at : at + _LINES_AT_ONCE]


def _is_foreign(line: DeskLine, language: str) -> bool:
    """Whether an agent of that language needs a translation that is not there."""
    if line.author is Author.AGENT or not line.text.strip():
        # The other text of an agent's line is what the customer has read.
        return False
    known = line.language != UNDETERMINED and not same_language(line.language, language)
    has = line.translation is not None and same_language(line.translation_language or "", language)
    return known and not has


def _hold(case: int) -> str:
    return f"{_HOLD}{case}"


# Statements are built once: putting one together costs far more than running it.
_HOLD = "rereading:"
# By whomever: a hold of our own would let us try again at once.
_IS_HELD = select(holds.c.name).where(
    holds.c.name == literal(_HOLD).concat(cast(handoffs.c.id, String)), holds.c.held_until >= Now()
)
_UNREAD = (
    select(
        handoffs.c.id,
        handoffs.c.workspace,
        handoffs.c.conversation_id,
        handoffs.c.account_id,
        accounts.c.language,
    )
    .join(accounts, accounts.c.id == handoffs.c.account_id)
    .where(
        handoffs.c.ended_at.is_(None),
        handoffs.c.read_in.is_(None),
        handoffs.c.active_at > Now() - _READER_IS_GONE_S,
        # Who works from a chat desk alone reads that desk's language.
        accounts.c.login.is_not(None),
        ~_IS_HELD.exists(),
    )
    .order_by(handoffs.c.active_at.desc())
    .limit(_AT_A_TIME)
)
_THEIRS = (
    handoffs.c.id == bindparam("case_id"),
    handoffs.c.account_id == bindparam("agent"),
    handoffs.c.read_in.is_(None),
)
# Whoever gives it to another agent locks it as well.
_LOCK = (
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("conversation"))
    .with_for_update(key_share=True)
)
_STILL_THEIRS = select(handoffs.c.id).where(*_THEIRS)
_DONE = update(handoffs).where(*_THEIRS).values(read_in=bindparam("into"))
_TRANSLATE = (
    update(messages)
    .where(
        messages.c.id == bindparam("line"),
        messages.c.text == bindparam("was"),
        messages.c.deleted_at.is_(None),
        or_(
            messages.c.translation.is_(None),
            messages.c.translation_language != bindparam("into"),
        ),
    )
    .values(translation=bindparam("read"), translation_language=bindparam("into"))
)
