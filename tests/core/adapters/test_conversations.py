"""What an operator sees of all conversations."""

from dataclasses import replace

from core.adapters.conversations import Backlog, Conversations, Said, Trouble
from core.adapters.database import Database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.turns import SqlTurns
from core.cases import Act
from core.turn import (
    Address,
    Attachment,
    Channel,
    ConversationId,
    Handoff,
    Inbound,
    Kind,
    Reason,
    Served,
    WorkspaceId,
)
from tests.core.takeover import ADDRESS as VISITOR
from tests.core.takeover import PERSON, open_rig

WORKSPACE = WorkspaceId("default")
ADDRESS = Address(workspace=WORKSPACE, channel=Channel.SLACK, place="C1/1.0")


async def hand_over(database: Database, *, error: str = "") -> None:
    inbound = Inbound(address=ADDRESS, event_id="e1", customer="U1", text="ich brauche Hilfe")
    accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=60)
    assert accepted is not None
    assert accepted.lease is not None
    turns = SqlTurns(database)
    turn = await turns.next(accepted.lease)
    assert turn is not None
    served = Served(outcome=Handoff(reason=Reason.ASKED, text="…"), language="de", probability=0.0)
    await turns.finish(accepted.lease, turn, served, ["…"], error=error)


async def test_known_and_recent_places_stay_within_their_workspace(database: Database) -> None:
    await hand_over(database)
    seen = Conversations(database)
    assert await seen.known(ADDRESS)
    assert await seen.recent(WORKSPACE, Channel.SLACK, 60) == ("C1/1.0",)
    assert await seen.recent(WorkspaceId("other"), Channel.SLACK, 60) == ()
    assert await seen.recent(WORKSPACE, Channel.TELEGRAM, 60) == ()


async def test_a_place_is_known_from_its_oldest_message_on(database: Database) -> None:
    seen = Conversations(database)
    assert not await seen.known(ADDRESS, before=2_000_000_000.0)
    # A button tells no time of the platform's: it got ours.
    pressed = Inbound(address=ADDRESS, event_id="p", customer="U1", kind=Kind.WANTS_PERSON)
    await SqlInbox(database).accept(pressed, holder=None, held_s=60)
    assert await seen.known(ADDRESS, before=50.0)
    for ts in (200.000002, 100.000002):
        said = Inbound(
            address=ADDRESS, event_id=f"{ts}", customer="U1", message_ref=f"{ts}", sent_at=ts
        )
        await SqlInbox(database).accept(said, holder=None, held_s=60)
    assert await seen.known(ADDRESS, before=100.000002)
    assert not await seen.known(ADDRESS, before=100.000001)
    assert await seen.known(ADDRESS)


async def test_what_hangs_on_an_agents_message_is_for_those_who_have_it(database: Database) -> None:
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        await rig.desk.reply(anna, where, "Guten Tag", event_id="1")
        await rig.idle()
        bots, *_, agents = [f"ref-{parcel.id}" for parcel in rig.port.sent]
        answers = Conversations(database).answers_agent
        assert await answers(VISITOR, root=agents, said="new")
        assert not await answers(VISITOR, root=bots, said="new")
        assert not await answers(VISITOR, root="somebody's", said="new")
        assert not await answers(replace(VISITOR, place="C2/1.0"), root=agents, said="new")
        await rig.desk.change(anna, where, Act.RETURN)
        assert not await answers(VISITOR, root=agents, said="new")
        assert await answers(VISITOR, root=agents, said="message-1"), "an edit follows its message"
        assert not await answers(VISITOR, root=bots, said="message-1")


async def test_what_was_given_up_is_counted(database: Database) -> None:
    assert await Conversations(database).trouble() == Trouble(
        parked=0, unknown=0, refused=0, late=0
    )
    await hand_over(database, error="gave up")
    assert (await Conversations(database).trouble()).parked == 1


async def test_a_conversation_moves_to_a_free_place_only(database: Database) -> None:
    await hand_over(database)
    seen = Conversations(database)
    assert await seen.move(ADDRESS, "C2/1.0")
    assert await seen.known(replace(ADDRESS, place="C2/1.0"))
    assert not await seen.move(ADDRESS, "C3/1.0")
    assert not await seen.move(replace(ADDRESS, place="C2/1.0"), "C2/1.0")


async def test_where_a_conversation_moves_to_messages_are_counted_anew(database: Database) -> None:
    box, there = SqlInbox(database), replace(ADDRESS, place="-1001")
    said = Inbound(address=ADDRESS, event_id="1", customer="U1", text="old", message_ref="7")
    await box.accept(said, holder=None, held_s=60)
    assert await Conversations(database).move(ADDRESS, there.place)
    new = replace(said, address=there, event_id="2", text="new")
    assert await box.accept(new, holder=None, held_s=60), "another message of the same number"


async def test_the_last_that_a_customer_has_said_is_theirs_and_of_that_place(
    database: Database,
) -> None:
    box, last = SqlInbox(database), Conversations(database).last_said
    assert await last(ADDRESS, "U1", "9") is None
    photo = Attachment(kind="photo", ref="p")
    for ref, customer, text in (("7", "U1", "one"), ("8", "U2", "two"), ("9", "U2", "three")):
        files = (photo,) if ref == "9" else ()
        said = Inbound(
            address=ADDRESS,
            event_id=ref,
            customer=customer,
            text=text,
            message_ref=ref,
            sent_at=float(ref),
            attachments=files,
        )
        await box.accept(said, holder=None, held_s=60)
    await box.accept(
        Inbound(address=ADDRESS, event_id="p", customer="U1", kind=Kind.WANTS_PERSON),
        holder=None,
        held_s=60,
    )
    assert await last(ADDRESS, "U1", "10") == Said(ref="7", text="one", sent_at=7.0, files=False)
    assert await last(ADDRESS, "U2", "10") == Said(ref="9", text="three", sent_at=9.0, files=True)
    assert await last(ADDRESS, "U2", "8") == Said(ref="8", text="two", sent_at=8.0, files=False)
    assert await last(replace(ADDRESS, place="C2/1.0"), "U1", "10") is None


async def test_the_backlog_is_what_nobody_serves(database: Database) -> None:
    seen = Conversations(database)
    assert await seen.backlog() == Backlog(due=0, oldest_s=0.0, waiting=0)
    for place in ("C2/1.0", "C3/1.0"):
        address = replace(ADDRESS, place=place)
        inbound = Inbound(address=address, event_id=place, customer="U1", text="hello")
        await SqlInbox(database).accept(inbound, holder=None, held_s=60)
    backlog = await seen.backlog()
    assert (backlog.due, backlog.waiting) == (2, 0)
    assert 0 <= backlog.oldest_s < 60
    lease = await SqlLeases(database).claim(ConversationId(1), holder="me", held_s=60)
    assert lease is not None
    assert (await seen.backlog()).due == 1
    await hand_over(database)
    assert (await seen.backlog()).waiting == 1
