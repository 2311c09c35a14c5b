"""What a turn knows of the messages before it."""

from sqlalchemy import Connection, update

from core.adapters.database import Database
from core.adapters.handoffs import tell_customer
from core.adapters.inbox import SqlInbox
from core.adapters.tables import inbox
from core.adapters.turns import SqlTurns
from core.cases import Act, Change, EventId
from core.turn import (
    Address,
    Channel,
    Clarify,
    Inbound,
    Kind,
    Lease,
    Served,
    Turn,
    WorkspaceId,
)
from tests.core.takeover import PERSON, open_rig
from tests.fakes.port import FakePort

ADDRESS = Address(workspace=WorkspaceId("default"), channel=Channel.SLACK, place="C1/1.0")


async def _accept(
    database: Database, event_id: str, *, customer: str = "U1", kind: Kind = Kind.MESSAGE
) -> Lease | None:
    inbound = Inbound(
        address=ADDRESS,
        event_id=event_id,
        customer=customer,
        text="returns?",
        kind=kind,
        message_ref=f"message-{event_id}",
    )
    accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=60)
    assert accepted is not None
    return accepted.lease


async def test_a_turn_knows_which_titles_were_offered(database: Database) -> None:
    turns = SqlTurns(database)
    lease = await _accept(database, "e1")
    assert lease is not None
    turn = await turns.next(lease)
    assert turn is not None
    which = Clarify(text="Which one?", choices=("Returns", "Refunds"))
    served = Served(outcome=which, language="en", probability=0.5)
    await turns.finish(lease, turn, served, ["Which one?"])
    await _accept(database, "e2")
    turn = await turns.next(lease)
    assert turn is not None
    assert [message.choices for message in turn.history] == [(), ("Returns", "Refunds")]


async def test_a_reply_is_to_the_last_message_of_its_turn(database: Database) -> None:
    lease = await _accept(database, "e1")
    await _accept(database, "e2")
    assert lease is not None
    turn = await SqlTurns(database).next(lease)
    assert turn is not None
    assert turn.message_ref == "message-e2"


async def test_what_an_agent_does_is_to_the_customers_last_message(database: Database) -> None:
    told: list[tuple[Kind, str | None]] = []

    class Port(FakePort):
        def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
            told.append((turn.kind, turn.message_ref))
            return super().render(served, turn)

    async with open_rig(database, port=Port()) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.idle()
        await rig.says("and another thing")
        await rig.desk.reply(anna, where, "Guten Tag", event_id="1")
        await rig.idle()
    assert told[1:] == [(Kind.CHANGE, "message-1"), (Kind.AGENT_REPLY, "message-2")]


async def test_what_an_agent_does_is_to_nothing_that_others_wrote_or_that_came_later(
    database: Database,
) -> None:
    lease = await _accept(database, "e1")
    assert lease is not None
    await _accept(database, "joined", customer="U2")
    await _accept(database, "pressed", kind=Kind.WANTS_PERSON)

    def by_agent(connection: Connection) -> None:
        connection.execute(update(inbox).values(state="done"))
        tell_customer(
            connection,
            lease.conversation,
            Change.RELEASED,
            event=EventId(1),
            account=None,
        )

    await database.write(by_agent)
    await _accept(database, "later")
    turn = await SqlTurns(database).next(lease)
    assert turn is not None
    assert (turn.kind, turn.message_ref) == (Kind.CHANGE, "message-e1")
