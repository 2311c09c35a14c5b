"""Conversations that a platform has given another place."""

from sqlalchemy import Connection, exists, update

from core.adapters.database import Database
from core.adapters.tables import conversations
from core.turn import Address


class Places:
    """Renames places, as when a Telegram group becomes a supergroup with another id."""

    def __init__(self, database: Database) -> None:
        """Rename in `database`."""
        self._database = database

    async def move(self, address: Address, place: str) -> bool:
        """Let a conversation go on at `place`; False if there is none, or one is there already."""
        taken = conversations.alias()
        there_already = exists().where(
            taken.c.workspace == address.workspace,
            taken.c.channel == address.channel,
            taken.c.place == place,
        )
        statement = (
            update(conversations)
            .where(
                conversations.c.workspace == address.workspace,
                conversations.c.channel == address.channel,
                conversations.c.place == address.place,
                ~there_already,
            )
            .values(place=place)
        )

        def work(connection: Connection) -> bool:
            return connection.execute(statement).rowcount > 0

        return await self._database.write(work)
