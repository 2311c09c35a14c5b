"""Articles that resolved conversations suggest, for a person to approve."""

import re
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select, update

from core.adapters.case_spans import span_of
from core.adapters.cases import Cases
from core.adapters.database import Database, Now
from core.adapters.documents import Document, Documents
from core.adapters.holds import Holds
from core.adapters.tables import handoffs, proposals
from core.adapters.upsert import insert_into
from core.cases import DeskLine
from core.faithful import FaithfulTranslator
from core.language import same_language
from core.proposing import Lesson, lesson, titled
from core.staff import AccountId
from core.translation import Translated
from core.turn import ConversationId, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

# So many conversations are read in one go, and so long; the rest comes the next time somebody
# looks.
BATCH = 100
READ_S = 10.0
# Longer than it takes to put an article into an index.
DECIDE_S = 120.0
# What is learnt stands below an article, under a heading; no other of this level follows it.
_SECTION = "\n\n## "
_HIGHER_HEADINGS = re.compile(r"^#{1,2}(?= )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A new article, or a new wording of `document_id`, as that stands now.

    `base` is the SHA-256 of what it would change, empty for a new article.
    """

    id: int
    title: str
    text: str
    language: str
    created_at: float
    document_id: str | None = None
    base: str = ""
    conversation: ConversationId | None = None

    @property
    def name(self) -> str:
        """The id of the article once it is published; no other has it or ever had."""
        # Before 0006, SQLite gave the number of a deleted proposal to another.
        day = time.strftime("%Y-%m-%d", time.gmtime(self.created_at))
        return self.document_id or f"desk/{day}-{self.id}"


class Proposals:
    """Drafts, lists and decides them; each resolved case makes one at most."""

    def __init__(self, database: Database, translator: FaithfulTranslator | None = None) -> None:
        """Keep them in `database`. Without a translator some questions stay in their language."""
        self._database = database
        self._translator = translator
        self._cases = Cases(database)
        self._documents = Documents(database)
        self._holds = Holds(database)

    async def draft(self, workspace: WorkspaceId) -> None:
        """Write down what the cases resolved since the last time teach."""
        until = time.monotonic() + READ_S
        for case_id, conversation in await self._unread(workspace):
            learnt = lesson(await self._lines(workspace, case_id, conversation))
            article = await self._article(workspace, learnt) if learnt else None
            await self._keep(workspace, case_id, article)
            if time.monotonic() > until:
                return

    async def open(self, workspace: WorkspaceId) -> tuple[Proposal, ...]:
        """What nobody has decided yet, oldest first."""
        wanted = _SELECT.where(proposals.c.workspace == workspace, proposals.c.state == "open")
        rows = await self._database.read(
            lambda connection: connection.execute(wanted.order_by(proposals.c.id)).all()
        )
        return tuple([await self._as_of_now(workspace, row) for row in rows])

    async def get(self, workspace: WorkspaceId, id: int) -> Proposal | None:
        """An undecided one; None if there is none of that id."""
        wanted = _SELECT.where(
            proposals.c.workspace == workspace, proposals.c.id == id, proposals.c.state == "open"
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return await self._as_of_now(workspace, row) if row else None

    def deciding(self, workspace: WorkspaceId) -> AbstractAsyncContextManager[None]:
        """Only one is published at a time: the next may change the same article."""
        return self._holds.held(f"proposals:{workspace}", DECIDE_S)

    async def decide(
        self, workspace: WorkspaceId, id: int, account: AccountId, *, published: str = ""
    ) -> bool:
        """Close it, as the article that was `published` or as declined; False if it was closed."""
        closing = (
            update(proposals)
            .where(
                proposals.c.workspace == workspace,
                proposals.c.id == id,
                proposals.c.state == "open",
            )
            .values(
                state="approved" if published else "declined",
                # Of one that is declined, what it would have changed.
                document_id=published or proposals.c.document_id,
                account_id=account,
                decided_at=Now(),
            )
        )
        closed = await self._database.write(lambda connection: connection.execute(closing).rowcount)
        return closed > 0

    async def _unread(self, workspace: WorkspaceId) -> list[tuple[int, ConversationId]]:
        known = select(proposals.c.id).where(proposals.c.handoff_id == handoffs.c.id).exists()
        wanted = (
            select(handoffs.c.id, handoffs.c.conversation_id)
            .where(handoffs.c.workspace == workspace, handoffs.c.ending == "resolved", ~known)
            .order_by(handoffs.c.id)
            .limit(BATCH)
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return [(row.id, ConversationId(row.conversation_id)) for row in rows]

    async def _lines(
        self, workspace: WorkspaceId, case_id: int, conversation: ConversationId
    ) -> Sequence[DeskLine]:
        """What was said since the case before it, while this one lasted."""
        span = await self._database.read(lambda connection: span_of(connection, case_id))
        lines = await self._cases.lines(workspace, conversation, after=span.after)
        return [line for line in lines if span.last is None or line.id <= span.last]

    async def _article(self, workspace: WorkspaceId, learnt: Lesson) -> Document:
        """What the bot had named gets the answer added, if it is in the agent's language."""
        question = await self._translated(workspace, learnt)
        named = await self._documents.get(workspace, learnt.document) if learnt.document else None
        if named is not None and same_language(named.language, learnt.language):
            answer = _HIGHER_HEADINGS.sub("###", learnt.answer)
            text = f"{named.text}{_SECTION}{question}\n\n{answer}"
            return Document(id=named.id, title=named.title, text=text, language=named.language)
        return Document(id="", title=question, text=learnt.answer, language=learnt.language)

    async def _translated(self, workspace: WorkspaceId, learnt: Lesson) -> str:
        """The question in the language of its answer, as far as it can be had."""
        if self._translator is None or same_language(learnt.asked_in, learnt.language):
            return learnt.question
        made = await self._translator.translate(
            workspace, learnt.question, source=learnt.asked_in, target=learnt.language
        )
        return titled(made.text) if isinstance(made, Translated) else learnt.question

    async def _as_of_now(self, workspace: WorkspaceId, row: SqlRow) -> Proposal:
        """What is learnt, below the article as it stands now; by itself if that has gone."""
        proposal = Proposal(**row._mapping)
        if proposal.document_id is None:
            return proposal
        now = await self._documents.get(workspace, proposal.document_id)
        section = _section(proposal.text, now)
        if now is None or not same_language(now.language, proposal.language):
            title, _, answer = section.removeprefix("## ").partition("\n\n")
            return replace(proposal, title=title, text=answer, document_id=None)
        # It may be published already, and its proposal not closed yet.
        text = now.text if section in now.text else f"{now.text}\n\n{section}"
        return replace(proposal, title=now.title, text=text, language=now.language, base=now.sha256)

    async def _keep(self, workspace: WorkspaceId, case_id: int, article: Document | None) -> None:
        """A case that teaches nothing is kept as declined, so that nobody reads it again."""
        values = {
            "workspace": workspace,
            "handoff_id": case_id,
            "document_id": (article.id or None) if article else None,
            "title": article.title if article else "",
            "text": article.text if article else "",
            "language": article.language if article else "und",
            "state": "open" if article else "declined",
            "created_at": Now(),
        }

        def work(connection: Connection) -> None:
            statement = insert_into(connection, proposals).values(**values)
            connection.execute(statement.on_conflict_do_nothing())

        await self._database.write(work)


def _section(proposed: str, now: Document | None) -> str:
    """What a proposal adds to the article that it was drafted on."""
    if now is not None and proposed.startswith(now.text + _SECTION):
        return proposed[len(now.text) :].strip()
    return proposed[max(0, proposed.rfind(_SECTION)) :].strip()


_SELECT = select(
    proposals.c.id,
    proposals.c.title,
    proposals.c.text,
    proposals.c.language,
    proposals.c.created_at,
    proposals.c.document_id,
    handoffs.c.conversation_id.label("conversation"),
).select_from(proposals.outerjoin(handoffs, handoffs.c.id == proposals.c.handoff_id))
