"""What agents did with suggested replies."""

from sqlalchemy import select, update

from core.adapters.database import Database
from core.adapters.tables import handoffs
from core.cases import CaseId
from core.suggestions import Fate
from core.turn import WorkspaceId


class Suggestions:
    """The fate of each case's suggestion."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database

    async def judge(self, workspace: WorkspaceId, case_id: CaseId, fate: Fate) -> None:
        """Keep what was done first: a second reply says nothing about the suggestion."""
        judged = (
            update(handoffs)
            .where(
                handoffs.c.id == case_id,
                handoffs.c.workspace == workspace,
                handoffs.c.suggestion_fate.is_(None),
            )
            .values(suggestion_fate=fate)
        )
        await self._database.write(lambda connection: connection.execute(judged).rowcount)

    async def fate(self, workspace: WorkspaceId, case_id: CaseId) -> Fate | None:
        """What was done with a case's suggestion; None if nothing was yet."""
        kept = select(handoffs.c.suggestion_fate).where(
            handoffs.c.id == case_id, handoffs.c.workspace == workspace
        )
        found = await self._database.read(lambda connection: connection.scalar(kept))
        return Fate(found) if found else None
