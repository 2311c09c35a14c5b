"""What a desk's days look like in numbers."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import func, select

from core.adapters.database import Database
from core.adapters.tables import conversations
from core.turn import WorkspaceId


class Figures:
    """Counts over a workspace's conversations; the formulas stand in `docs/glossary.md`."""

    def __init__(self, database: Database) -> None:
        """Count in `database`."""
        self._database = database

    async def languages(self, workspace: WorkspaceId) -> Mapping[str, int]:
        """Conversations by language, where it is known."""
        wanted = (
            select(conversations.c.language, func.count())
            .where(conversations.c.workspace == workspace, conversations.c.language.is_not(None))
            .group_by(conversations.c.language)
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return Counter({row[0]: row[1] for row in rows})
