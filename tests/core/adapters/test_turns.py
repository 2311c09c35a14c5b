"""What a turn knows of the messages before it."""

from core.adapters.database import Database
from core.adapters.inbox import SqlInbox
from core.adapters.turns import SqlTurns
from core.turn import Address, Channel, Clarify, Inbound, Lease, Served, WorkspaceId

ADDRESS = Address(workspace=WorkspaceId("default"), channel=Channel.SLACK, place="C1/1.0")


async def _accept(database: Database, event_id: str) -> Lease | None:
    inbound = Inbound(address=ADDRESS, event_id=event_id, customer="U1", text="returns?")
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
