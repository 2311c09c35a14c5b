"""What a desk has still to show of one conversation, for desks that show several things at once."""

from sqlalchemy import Connection

from core.adapters.cases import event_after, newest_case
from core.adapters.database import Database
from core.cases import Case, DeskEvent, EventId
from core.turn import ConversationId

MOST_EVENTS = 40


class DeskAhead:
    """Reads past the one event that the mirror hands out."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def events(
        self, conversation: ConversationId, after: EventId
    ) -> tuple[Case | None, tuple[DeskEvent, ...]]:
        """The newest case as it stands, and what happened after an event, in order."""

        def work(connection: Connection) -> tuple[Case | None, tuple[DeskEvent, ...]]:
            found: list[DeskEvent] = []
            newest = after
            while len(found) < MOST_EVENTS:
                event = event_after(connection, conversation, newest)
                if event is None:
                    break
                found.append(event)
                newest = event.id
            return newest_case(connection, conversation), tuple(found)

        return await self._database.read(work)
