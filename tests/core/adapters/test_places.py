from core.adapters.database import Database
from core.adapters.inbox import SqlInbox
from core.adapters.places import Places
from core.turn import Address, Channel, Inbound, WorkspaceId


def at(place: str, workspace: str = "acme") -> Address:
    return Address(workspace=WorkspaceId(workspace), channel=Channel.TELEGRAM, place=place)


async def opened(database: Database, address: Address, event: str) -> int:
    inbound = Inbound(address=address, event_id=event, customer="42", text="hi")
    accepted = await SqlInbox(database).accept(inbound, holder=None, held_s=1)
    assert accepted is not None
    return accepted.conversation


async def test_a_conversation_goes_on_at_its_new_place(database: Database) -> None:
    conversation = await opened(database, at("-5"), "1")
    assert await Places(database).move(at("-5"), "-100")
    assert await opened(database, at("-100"), "2") == conversation


async def test_a_place_that_is_taken_or_of_another_workspace_is_left_alone(
    database: Database,
) -> None:
    old, new = await opened(database, at("-5"), "1"), await opened(database, at("-100"), "2")
    assert not await Places(database).move(at("-5"), "-100")
    assert not await Places(database).move(at("-5", "other"), "-7")
    assert await opened(database, at("-5"), "3") == old
    assert await opened(database, at("-100"), "4") == new
