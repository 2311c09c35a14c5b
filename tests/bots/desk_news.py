"""What customers do elsewhere than in their chat, and desks are to show."""

from sqlalchemy import select

from core.adapters.database import Database
from core.adapters.inbox import SqlInbox
from core.adapters.tables import conversations
from core.turn import Address, Channel, WorkspaceId


async def leave(database: Database) -> None:
    """Let the one customer leave their conversation, as a customer of the web can."""
    wanted = select(conversations.c.workspace, conversations.c.channel, conversations.c.place)
    row = await database.read(lambda connection: connection.execute(wanted).one())
    address = Address(
        workspace=WorkspaceId(row.workspace), channel=Channel(row.channel), place=row.place
    )
    await SqlInbox(database).leave(address)
