"""The words of a workspace that a translation must keep."""

import json

from sqlalchemy import Connection, delete, select

from core.adapters.database import Database
from core.adapters.tables import glossary
from core.adapters.upsert import insert_into
from core.translation import Term
from core.turn import WorkspaceId


class Glossary:
    """The words of each workspace that a translation must keep."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def of(self, workspace: WorkspaceId) -> tuple[Term, ...]:
        """Every term, in the order of the alphabet."""
        mine = select(glossary).where(glossary.c.workspace == workspace).order_by(glossary.c.term)
        rows = await self._database.read(lambda connection: connection.execute(mine).all())
        return tuple(Term(term=r.term, translations=json.loads(r.translations)) for r in rows)

    async def put(self, workspace: WorkspaceId, term: Term) -> None:
        """Add a term, or replace its translations."""
        text = json.dumps(dict(term.translations), ensure_ascii=False, sort_keys=True)

        def work(connection: Connection) -> None:
            statement = insert_into(connection, glossary).values(
                workspace=workspace, term=term.term, translations=text
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(glossary.primary_key), set_={"translations": text}
                )
            )

        await self._database.write(work)

    async def remove(self, workspace: WorkspaceId, term: str) -> None:
        """Forget a term."""
        gone = delete(glossary).where(glossary.c.workspace == workspace, glossary.c.term == term)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
