"""How far each channel has been read."""

from sqlalchemy import Connection, select

from core.adapters.database import Database
from core.adapters.tables import cursors
from core.adapters.upsert import insert_into
from core.turn import Channel, WorkspaceId


class Cursors:
    """Small named values of a channel that outlive the process."""

    def __init__(self, database: Database) -> None:
        """Keep the values in `database`."""
        self._database = database

    async def read(self, workspace: WorkspaceId, channel: Channel, name: str) -> str | None:
        """The value last written under that name."""

        def work(connection: Connection) -> str | None:
            return connection.scalar(
                select(cursors.c.value).where(
                    cursors.c.workspace == workspace,
                    cursors.c.channel == channel,
                    cursors.c.name == name,
                )
            )

        return await self._database.read(work)

    async def write(self, workspace: WorkspaceId, channel: Channel, name: str, value: str) -> None:
        """Replace the value."""

        def work(connection: Connection) -> None:
            statement = insert_into(connection, cursors).values(
                workspace=workspace, channel=channel, name=name, value=value
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(cursors.primary_key), set_={"value": value}
                )
            )

        await self._database.write(work)
