"""Answers that the agents of a workspace give again and again."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from core.adapters.database import Database
from core.adapters.tables import canned_answers
from core.adapters.upsert import insert_into
from core.errors import Rejected
from core.turn import WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """An answer ready to be sent, in its language."""

    id: int
    title: str
    text: str
    language: str


class CannedAnswers:
    """The answers that agents of a workspace insert by name."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def of(self, workspace: WorkspaceId) -> tuple[Canned, ...]:
        """Every answer, by title."""
        mine = (
            select(canned_answers)
            .where(canned_answers.c.workspace == workspace)
            .order_by(canned_answers.c.title)
        )
        rows = await self._database.read(lambda connection: connection.execute(mine).all())
        return tuple(Canned(id=r.id, title=r.title, text=r.text, language=r.language) for r in rows)

    async def put(
        self, workspace: WorkspaceId, *, title: str, text: str, language: str, id: int | None = None
    ) -> bool:
        """Add an answer, or change the one with this id; False if there is none.

        Raises: Rejected: another one has this title.
        """
        values = {"title": title, "text": text, "language": language}

        def work(connection: Connection) -> bool:
            taken = connection.scalar(
                select(canned_answers.c.id).where(
                    canned_answers.c.workspace == workspace, canned_answers.c.title == title
                )
            )
            if taken is not None and taken != id:
                raise Rejected("another answer has this title")
            if id is None:
                statement = insert_into(connection, canned_answers)
                connection.execute(
                    statement.values(workspace=workspace, **values).on_conflict_do_nothing()
                )
                return True
            mine = (canned_answers.c.workspace == workspace) & (canned_answers.c.id == id)
            changed = connection.execute(update(canned_answers).where(mine).values(**values))
            return changed.rowcount > 0

        return await self._database.write(work)

    async def remove(self, workspace: WorkspaceId, id: int) -> None:
        """Forget an answer."""
        gone = delete(canned_answers).where(
            canned_answers.c.workspace == workspace, canned_answers.c.id == id
        )
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
