"""What agents write and press in a topic, and what of it reaches the customer."""

import asyncio

import pytest
from sqlalchemy import Connection, update

from core.adapters.accounts import Accounts
from core.adapters.database import Database
from core.adapters.handoffs import record
from core.adapters.suggestions import Suggestions
from core.adapters.tables import handoffs
from core.briefing import Briefing
from core.cases import Act, EventKind
from core.phrases import Phrase, say
from core.tones import Tone
from core.turn import Owner
from tests.bots.telegram.desk.world import (
    ANNA,
    BEN,
    CUSTOMER,
    GROUP,
    PERSON,
    WORKSPACE,
    World,
    open_world,
)
from tests.patience import until

SECRET = "der Kunde nervt"
KEPT = say(Phrase.DESK_KEPT_AS_NOTE, "de")


async def lines_of(world: World) -> list[tuple[str, bool]]:
    """The agents' lines of the transcript, and whether each is internal."""
    [case] = await world.all_cases()
    lines = await world.cases.lines(WORKSPACE, case.conversation)
    return [(line.text, line.internal) for line in lines if line.author == "agent"]


async def until_lines(world: World, count: int) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []

    async def enough() -> bool:
        found[:] = await lines_of(world)
        return len(found) >= count

    while not await enough():
        await world.idle()
    return found


async def test_what_an_agent_writes_reaches_the_customer_once_claimed(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        world.writes(thread, "Danke fürs Warten")
        await world.reads(thread, KEPT)
        await world.claimed(thread)
        world.writes(thread, "Danke, ich helfe Ihnen")
        await world.customer_reads("Danke, ich helfe Ihnen")
        assert "Warten" not in world.customer_read()
        assert await lines_of(world) == [
            ("Danke fürs Warten", True),
            ("Danke, ich helfe Ihnen", False),
        ]
        # It stands in the topic already.
        assert not any("ich helfe" in text for text in world.said(thread))


async def test_talk_among_colleagues_never_reaches_the_customer(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        first = world.writes(thread, "Danke, einen Moment")
        await world.customer_reads("einen Moment")
        marked = world.writes(thread, f"// {SECRET}")
        world.writes(thread, f"/note {SECRET}")
        world.writes(thread, f"//{SECRET}", user=BEN)
        world.writes(thread, SECRET, user=BEN, reply_to=first)
        world.writes(thread, SECRET, reply_to=marked)
        world.writes(thread, f"/nto {SECRET}")
        world.writes(thread, f"@bennnn {SECRET}")
        world.writes(thread, SECRET, user=BEN)
        assert len(await until_lines(world, 9)) == 9
        world.telegram.user_edits(GROUP, marked, SECRET)
        world.telegram.user_edits(GROUP, first, f"// {SECRET}")
        await world.reads(thread, say(Phrase.DESK_NOTE_STAYS, "de"))
        await world.reads(thread, say(Phrase.DESK_SENT_STAYS, "de", command="/delete"))
        await world.idle()
        internal = [internal for _, internal in await lines_of(world)]
        assert internal == [False] + [True] * 8
        assert SECRET not in world.customer_read()


async def test_a_note_stays_one_when_it_is_delivered_again_later(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        number = world.writes(thread, SECRET)
        await world.reads(thread, KEPT)
        await world.claimed(thread)
        world.comes_again(number)
        # Written long before the claim, it comes for the first time now.
        written = world.telegram.world.messages[GROUP, number]["date"]
        world.comes_again(number, message_id=9_999, date=written - 600)
        await until_lines(world, 2)
        assert SECRET not in world.customer_read()


async def test_a_reply_stays_one_when_it_is_delivered_again_after_another_claim(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        number = world.writes(thread, "Danke, einmal")
        await world.customer_reads("einmal")
        # As if the claim that counts came long after it.
        written = world.telegram.world.messages[GROUP, number]["date"]
        world.comes_again(number, date=written - 600)
        world.writes(thread, "Danke, danach")
        await world.customer_reads("danach")
        await world.idle()
        assert [internal for _, internal in await lines_of(world)] == [False, False]
        assert world.customer_read().count("einmal") == 1


async def test_of_two_who_claim_at_once_the_second_is_told_who_has_it(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        card = world.shown(thread)[0]
        data = next(data for label, data in card.buttons if label.startswith("🙋"))
        pressing = [world.pressed(card.message_id, data, user) for user in (ANNA, BEN)]
        told = await asyncio.gather(*pressing)
        assert told == ["", say(Phrase.DESK_TAKEN, "de", name="Customer")]
        world.writes(thread, "Danke, von mir auch", user=BEN)
        await world.reads(thread, say(Phrase.DESK_TAKEN, "de", name="Customer"))
        await world.idle()
        assert "von mir" not in world.customer_read()


async def test_another_desk_takes_it_and_the_topic_says_so(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        [case] = await world.all_cases()
        cora = await world.colleague()
        await world.desk.change(cora, case.conversation, Act.CLAIM)
        await world.reads(thread, "Cora")
        assert "Cora" in await world.presses(thread, "✅")
        await world.desk.reply(cora, case.conversation, "Hello from the console", event_id="1")
        await world.reads(thread, "Hello from the console")
        await world.desk.note(cora, case.conversation, "hm", desk="console", event_id="2")
        await world.reads(thread, "🔒 Cora hm")


async def test_a_button_of_a_case_that_is_over_does_nothing(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        [old] = [data for label, data in world.shown(thread)[0].buttons if label[0] == "✅"]
        await world.presses(thread, "✅")
        await until(lambda: world.look(thread).closed)
        world.telegram.user_says(CUSTOMER, PERSON)
        await until(lambda: not world.look(thread).closed)
        card = world.shown(thread)[0].message_id
        assert await world.pressed(card, old) == say(Phrase.DESK_STALE, "de")
        beyond = f"dr:{10**19 - 1}:1:0"
        assert await world.pressed(card, beyond) == say(Phrase.DESK_UNKNOWN, "de")
        [case] = await world.all_cases()
        assert case.owner is Owner.WAITING


async def test_what_was_sent_can_be_changed_and_taken_back(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        number = world.writes(thread, "Danke, morgn")
        await world.customer_reads("morgn")
        # Both within a second, by Telegram's clock.
        world.telegram.user_edits(GROUP, number, "Danke, mrogen")
        world.telegram.user_edits(GROUP, number, "Danke, morgen")
        await world.customer_reads("morgen")
        await world.idle()
        assert world.customer_read().count("Danke") == world.customer_read().count("morgen") == 1
        world.writes(thread, "/delete", user=BEN, reply_to=number)
        await world.reads(thread, say(Phrase.DESK_NOT_YOURS, "de"))
        world.writes(thread, "/delete", reply_to=number)
        await world.reads(thread, say(Phrase.DESK_DELETED, "de"))
        await until(lambda: "morgen" not in world.customer_read())


async def test_who_replies_to_their_own_message_goes_on_with_what_it_was(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        sent = world.writes(thread, "Danke, um 12:00")
        note = world.writes(thread, f"// {SECRET}")
        world.writes(thread, "Danke, doch um 14:00", reply_to=sent)
        await world.customer_reads("14:00")
        world.writes(thread, SECRET, reply_to=note)
        await world.reads(thread, KEPT)
        assert sorted(internal for _, internal in await until_lines(world, 4)) == [
            *(False, False, True, True)
        ]
        world.telegram.user_edits(GROUP, sent, "// Danke, um 12:00")
        await world.reads(thread, say(Phrase.DESK_SENT_STAYS, "de", command="/delete"))
        world.writes(thread, SECRET, reply_to=sent)
        assert (await until_lines(world, 5))[-1] == (SECRET, True)
        assert SECRET not in world.customer_read()


async def test_who_goes_on_under_a_note_that_was_never_kept_does_not_write_to_the_customer(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        # Telegram does not vouch for its author just then.
        world.telegram.fail_next("getChatMember", "400:CHAT_ADMIN_REQUIRED")
        note = world.writes(thread, f"// {SECRET}")
        await world.reads(thread, say(Phrase.NOT_SENT, "de"))
        await world.claimed(thread)
        world.writes(thread, SECRET, reply_to=note)
        await world.reads(thread, KEPT)
        assert await until_lines(world, 1) == [(SECRET, True)]
        assert SECRET not in world.customer_read()


async def test_who_replies_to_an_anonymous_colleague_does_not_write_to_the_customer(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        anonymous = {"id": GROUP, "type": "supergroup", "title": "Desk"}
        theirs = world.writes(thread, "hm", user=1_087_968_824, sender_chat=anonymous)
        world.telegram.world.messages[GROUP, theirs]["from"]["is_bot"] = True
        world.writes(thread, SECRET, reply_to=theirs)
        assert await until_lines(world, 1) == [(SECRET, True)]


async def test_what_was_sent_from_another_desk_is_taken_back_by_its_copy(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await briefed(world, "Danke, aus Versehen")
        assert await world.presses(thread, "📨") == ""
        await world.customer_reads("aus Versehen")
        await until(lambda: "💬" in world.said(thread)[-1])
        copy = world.shown(thread)[-1].message_id
        world.writes(thread, "/delete", user=BEN, reply_to=copy)
        await world.reads(thread, say(Phrase.DESK_NOT_YOURS, "de"))
        world.writes(thread, "/delete", reply_to=copy)
        await until(lambda: "aus Versehen" not in world.customer_read())
        await world.reads(thread, say(Phrase.DESK_DELETED, "de"))


async def test_nobody_takes_back_what_others_said(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        card, *_ = world.shown(thread)
        world.writes(thread, "/delete", reply_to=card.message_id)
        await world.reads(thread, say(Phrase.DESK_NOT_YOURS, "de"))
        assert not any(say(Phrase.DESK_UNKNOWN, "de") in text for text in world.said(thread))


async def test_what_was_sent_is_taken_back_by_changing_it_into_the_command(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        number = world.writes(thread, "Danke, falsch")
        note = world.writes(thread, "// intern")
        await world.customer_reads("falsch")
        world.telegram.user_edits(GROUP, number, "/delete")
        await until(lambda: "falsch" not in world.customer_read())
        world.telegram.user_edits(GROUP, note, "/delete")
        await world.reads(thread, say(Phrase.DESK_NOTE_STAYS, "de"))


async def test_a_place_that_moves_on_is_no_change_of_a_message(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        place = {"latitude": 1.0, "longitude": 2.0, "live_period": 900}
        number = world.writes(thread, "", location=place)
        await until_lines(world, 1)
        message = world.telegram.world.messages[GROUP, number]
        moved = {**message, "location": {**place, "latitude": 3.0}, "edit_date": message["date"]}
        world.telegram.updates.add("edited_message", moved)
        world.writes(thread, "/help")
        await world.reads(thread, say(Phrase.DESK_HELP, "de", mark="//", command="/delete"))
        stays = say(Phrase.DESK_SENT_STAYS, "de", command="/delete")
        assert not any(stays in text for text in world.said(thread))


async def test_who_cannot_be_told_apart_is_refused_with_a_line(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        anonymous = {"id": GROUP, "type": "supergroup", "title": "Desk"}
        world.writes(thread, "Danke anonym", user=1_087_968_824, sender_chat=anonymous)
        await world.reads(thread, say(Phrase.DESK_NO_ANONYMOUS, "de"))
        card = world.shown(thread)[0]
        told = await world.pressed(card.message_id, card.buttons[0][1], user=666)
        assert told == say(Phrase.DESK_MEMBERS_ONLY, "de")
        assert "anonym" not in world.customer_read()


async def test_a_member_is_an_agent_of_the_language_of_their_app(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        world.writes(thread, "/help", user=BEN, language_code="ja")
        await world.reads(thread, say(Phrase.DESK_HELP, "ja", mark="//", command="/delete"))
        account = await Accounts(database).for_identity(WORKSPACE, "telegram", str(BEN))
    assert account is not None
    assert (account.name, account.role, account.language) == ("Customer", "agent", "ja")


async def test_one_person_can_be_customer_and_agent(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over(chat=ANNA)
        await world.claimed(thread, ANNA)
        world.writes(thread, "Danke an mich", user=ANNA)
        await world.customer_reads("Danke an mich", chat=ANNA)
        world.telegram.user_says(ANNA, "and back")
        await world.reads(thread, "and back")


@pytest.mark.parametrize("kind", ["photo", "document", "voice"])
async def test_files_go_both_ways(database: Database, kind: str) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        theirs = world.telegram.user_sends(CUSTOMER, kind, caption="see this")
        await until(lambda: any(m.file == (kind, theirs) for m in world.shown(thread)))
        await world.reads(thread, "see this")
        ours = world.telegram.user_sends(
            GROUP, kind, user=ANNA, thread=thread, caption="Danke, und dies"
        )
        await until(lambda: any(m.file == (kind, ours) for m in world.telegram.messages(CUSTOMER)))
        await world.customer_reads("Danke, und dies")


async def test_a_contact_reaches_the_customer_and_stands_in_a_note(database: Database) -> None:
    async with open_world(database) as world:
        contact = {"phone_number": "+4930999", "first_name": "Kurier"}
        thread = await world.handed_over()
        world.writes(thread, "", contact=contact)
        await world.reads(thread, KEPT)
        assert await lines_of(world) == [("📎 Kurier +4930999", True)]
        await world.claimed(thread)
        world.writes(thread, "", contact=contact)
        there = world.telegram.world.messages
        await until(
            lambda: (
                [m["contact"] for (c, _), m in there.items() if c == CUSTOMER and "contact" in m]
                == [contact]
            )
        )
        await world.idle()
        assert not any(say(Phrase.DESK_UNDELIVERED, "de") in said for said in world.said(thread))


async def test_the_address_behind_an_agents_words_reaches_the_customer(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        link = {"type": "text_link", "offset": 6, "length": 4, "url": "https://shop.example/l/7"}
        number = world.writes(thread, "Danke hier klicken", entities=[link])
        await world.customer_reads("Danke hier (https://shop.example/l/7) klicken")
        message = world.telegram.world.messages[GROUP, number]
        changed = {**link, "url": "https://shop.example/l/8"}
        world.telegram.updates.add("edited_message", {**message, "entities": [changed]})
        await world.customer_reads("Danke hier (https://shop.example/l/8) klicken")
        assert "l/7" not in world.customer_read()
        marked = {**link, "offset": 3, "length": 6}
        world.writes(thread, "// geheim", entities=[marked])
        await until_lines(world, 2)
        assert (await lines_of(world))[1] == ("geheim (https://shop.example/l/7)", True)


async def test_that_a_reply_did_not_arrive_is_said_in_the_topic(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        world.telegram.user_blocks(CUSTOMER)
        world.writes(thread, "Danke, hören Sie mich?")
        await world.reads(thread, say(Phrase.DESK_UNDELIVERED, "de"))


async def test_updates_delivered_twice_change_nothing(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        number = world.writes(thread, "Danke, einmal")
        await world.customer_reads("einmal")
        for _ in range(3):
            world.comes_again(number)
        await world.idle()
        assert world.customer_read().count("einmal") == 1


async def briefed(world: World, reply: str) -> int:
    """The thread of a conversation that an agent has, with a suggested reply."""
    thread = await world.held()
    await suggest(world, reply)
    await world.reads(thread, reply)
    return thread


async def suggest(world: World, reply: str) -> None:
    [case] = await world.all_cases()
    brief = Briefing(summary="", language="ja", tone=Tone.CALM, reply=reply)

    def work(connection: Connection) -> None:
        stored = update(handoffs).where(handoffs.c.id == case.id)
        connection.execute(stored.values(briefing=brief.as_json()))
        record(connection, WORKSPACE, case.conversation, case.id, EventKind.BRIEFED)

    await world.database.write(work)


async def fate(world: World) -> str | None:
    [case] = await world.all_cases()
    return await Suggestions(world.database).fate(WORKSPACE, case.id)


async def test_a_suggested_reply_is_sent_once_however_often_it_is_pressed(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await briefed(world, "Danke, morgen")
        shown = world.shown(thread)[-1]
        [data] = [data for label, data in shown.buttons if label[0] == "📨"]
        assert [await world.pressed(shown.message_id, data) for _ in range(3)] == [""] * 3
        await world.customer_reads("Danke, morgen")
        await world.idle()
        assert world.customer_read().count("Danke, morgen") == 1
        assert await fate(world) == "accepted"


async def test_a_reply_that_is_no_longer_suggested_is_not_sent_as_another(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await briefed(world, "Danke, morgen")
        earlier = world.shown(thread)[-1]
        [data] = [data for label, data in earlier.buttons if label[0] == "📨"]
        await suggest(world, "Danke, heute")
        await world.reads(thread, "Danke, heute")
        stale = say(Phrase.DESK_STALE, "de")
        assert await world.pressed(earlier.message_id, data) == stale
        assert await world.presses(thread, "📨") == ""
        await world.customer_reads("Danke, heute")
        assert "Danke, morgen" not in world.customer_read()


async def test_a_suggested_reply_can_be_changed_or_discarded(database: Database) -> None:
    async with open_world(database) as world:
        thread = await briefed(world, "Danke, morgen")
        suggestion = world.shown(thread)[-1].message_id
        assert await world.presses(thread, "✏") == say(Phrase.DESK_HOW_TO_EDIT, "de")
        world.writes(thread, "Danke, übermorgen", reply_to=suggestion)
        await world.customer_reads("Danke, übermorgen")
        await world.idle()
        assert await fate(world) == "edited"
        await world.presses(thread, "🗑")
        assert await fate(world) == "edited"


async def test_a_suggestion_that_was_discarded_is_kept_as_such(database: Database) -> None:
    async with open_world(database) as world:
        thread = await briefed(world, "Danke, morgen")
        await world.presses(thread, "🗑")
        assert await fate(world) == "discarded"
        await until(lambda: not world.shown(thread)[-1].buttons)
