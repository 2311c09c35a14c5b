"""Old and new replicas on one database while they are exchanged."""

from sqlalchemy import text, update

from core.adapters.canaries import Canaries
from core.adapters.conversations import Conversations
from core.adapters.database import Database, open_database
from core.adapters.documents import Documents
from core.adapters.inbox import SqlInbox
from core.adapters.tables import inbox
from core.adapters.turns import SqlTurns
from core.adapters.versions import Versions
from core.turn import Address, Channel, Inbound, WorkspaceId
from tests.core.adapters.test_versions import made

HERE = WorkspaceId("default")
_OF_0005 = (
    "inbox_customer",
    "messages_inbox_id",
    "desk_events_message_id",
    "desk_events_handoff_id",
    "desk_lines_event_id",
)


async def test_an_old_replica_starts_again_on_a_newer_schema(database_url: str) -> None:
    newer = text("update alembic_version set version_num = '9999'")
    async with open_database(database_url) as database:
        assert await database.write(lambda connection: connection.execute(newer).rowcount) == 1
    address = Address(workspace=HERE, channel=Channel.WEB, place="nowhere")
    async with open_database(database_url) as database:
        assert not await Conversations(database).known(address)
        found = text("select version_num from alembic_version")
        assert await database.read(lambda connection: connection.scalar(found)) == "9999"


async def test_an_older_database_gets_the_newest_schema_and_keeps_what_it_holds(
    database_url: str,
) -> None:
    """As the release before canaries left it."""
    older = (
        *(text(f"drop index ix_{name}") for name in _OF_0005),
        text("alter table inbox drop column customer"),
        text("drop table canaries"),
        text("update alembic_version set version_num = '0003'"),
    )
    async with open_database(database_url) as database:
        await Versions(database).add(HERE, made("e1"))
        await database.write(lambda c: [c.execute(change).rowcount for change in older])
    async with open_database(database_url) as database:
        assert [each.name for each in await Versions(database).list(HERE)] == ["e1"]
        assert await Canaries(database).running() == ()
        assert (await Documents(database).standing(HERE, ())).canary is None


async def test_what_an_older_replica_takes_in_is_of_who_began_the_conversation(
    database: Database,
) -> None:
    """It leaves empty what only newer ones know of."""
    address = Address(workspace=HERE, channel=Channel.WEB, place="here")
    inbound = Inbound(address=address, event_id="1", customer="customer-1", text="Hello?")
    accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=60)
    assert accepted is not None
    assert accepted.lease is not None
    unknown = update(inbox).values(customer=None)
    await database.write(lambda connection: connection.execute(unknown).rowcount)
    turn = await SqlTurns(database).next(accepted.lease)
    assert turn is not None
    assert turn.customer == "customer-1"
