"""Articles that resolved conversations suggest, for a person to approve."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from core.adapters.cases import Cases
from core.adapters.database import Database, Now
from core.adapters.documents import Document, Documents
from core.adapters.tables import handoffs, proposals
from core.adapters.upsert import insert_into
from core.language import same_language
from core.proposing import Lesson, lesson
from core.staff import AccountId
from core.turn import ConversationId, WorkspaceId

# So many conversations are read in one go; the rest comes the next time somebody looks.
BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A new article, or a new wording of `document_id`."""

    id: int
    title: str
    text: str
    language: str
    created_at: float
    document_id: str | None = None
    conversation: ConversationId | None = None


class Proposals:
    """Drafts, lists and decides them; each resolved case makes one at most."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._cases = Cases(database)
        self._documents = Documents(database)

    async def draft(self, workspace: WorkspaceId) -> None:
        """Write down what the cases resolved since the last time teach."""
        for case_id, conversation in await self._unread(workspace):
            lines = await self._cases.lines(workspace, conversation)
            learnt = lesson(lines)
            article = await self._article(workspace, learnt) if learnt else None
            await self._keep(workspace, case_id, article)

    async def open(self, workspace: WorkspaceId) -> tuple[Proposal, ...]:
        """What nobody has decided yet, oldest first."""
        wanted = _SELECT.where(proposals.c.workspace == workspace, proposals.c.state == "open")
        rows = await self._database.read(
            lambda connection: connection.execute(wanted.order_by(proposals.c.id)).all()
        )
        return tuple(Proposal(**row._mapping) for row in rows)

    async def get(self, workspace: WorkspaceId, id: int) -> Proposal | None:
        """An undecided one; None if there is none of that id."""
        wanted = _SELECT.where(
            proposals.c.workspace == workspace, proposals.c.id == id, proposals.c.state == "open"
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return Proposal(**row._mapping) if row else None

    async def decide(
        self, workspace: WorkspaceId, id: int, account: AccountId, *, approved: bool
    ) -> bool:
        """Close it; False if somebody was faster."""
        closing = (
            update(proposals)
            .where(
                proposals.c.workspace == workspace,
                proposals.c.id == id,
                proposals.c.state == "open",
            )
            .values(
                state="approved" if approved else "declined",
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

    async def _article(self, workspace: WorkspaceId, learnt: Lesson) -> Document:
        """What the bot had named gets the answer added, if it is in the agent's language."""
        named = await self._documents.get(workspace, learnt.document) if learnt.document else None
        if named is not None and same_language(named.language, learnt.language):
            text = f"{named.text}\n\n## {learnt.question}\n\n{learnt.answer}"
            return Document(id=named.id, title=named.title, text=text, language=named.language)
        return Document(id="", title=learnt.question, text=learnt.answer, language=learnt.language)

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


_SELECT = select(
    proposals.c.id,
    proposals.c.title,
    proposals.c.text,
    proposals.c.language,
    proposals.c.created_at,
    proposals.c.document_id,
    handoffs.c.conversation_id.label("conversation"),
).select_from(proposals.outerjoin(handoffs, handoffs.c.id == proposals.c.handoff_id))
