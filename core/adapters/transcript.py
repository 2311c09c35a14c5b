"""What was said in a conversation, for those who show it."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from core.adapters.database import Database
from core.adapters.tables import conversations, messages
from core.turn import Address, Author


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message; `details` is JSON about how a bot's reply came about."""

    id: int
    author: Author
    text: str
    language: str
    details: str
    created_at: float


class Transcript:
    """The messages of conversations, oldest first."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def lines(self, address: Address, after: int = 0) -> tuple[Line, ...]:
        """The messages of one conversation with an id above `after`."""

        def work(connection: Connection) -> tuple[Line, ...]:
            rows = connection.execute(
                select(
                    messages.c.id,
                    messages.c.author,
                    messages.c.text,
                    messages.c.language,
                    messages.c.details,
                    messages.c.created_at,
                )
                .join(conversations, conversations.c.id == messages.c.conversation_id)
                .where(
                    conversations.c.workspace == address.workspace,
                    conversations.c.channel == address.channel,
                    conversations.c.place == address.place,
                    messages.c.id > after,
                )
                .order_by(messages.c.id)
            )
            return tuple(
                Line(
                    id=row.id,
                    author=Author(row.author),
                    text=row.text,
                    language=row.language,
                    details=row.details,
                    created_at=row.created_at,
                )
                for row in rows
            )

        return await self._database.read(work)
