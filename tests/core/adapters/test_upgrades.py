"""Old and new replicas on one database while they are exchanged."""

from sqlalchemy import text

from core.adapters.conversations import Conversations
from core.adapters.database import open_database
from core.turn import Address, Channel, WorkspaceId


async def test_an_old_replica_starts_again_on_a_newer_schema(database_url: str) -> None:
    newer = text("update alembic_version set version_num = '9999'")
    async with open_database(database_url) as database:
        assert await database.write(lambda connection: connection.execute(newer).rowcount) == 1
    address = Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="nowhere")
    async with open_database(database_url) as database:
        assert not await Conversations(database).known(address)
        found = text("select version_num from alembic_version")
        assert await database.read(lambda connection: connection.scalar(found)) == "9999"
