"""What was said is changed or taken back afterwards, on either side."""

import pytest

from core.phrases import Phrase, say
from core.turn import Channel
from tests.bots.slack.desk.world import DESK, KENJI, PERSON, World
from tests.fakes.phrasebook import SENTENCES

THANKS = "ありがとうございます！"
THANKS_IN_GERMAN = SENTENCES[THANKS]["de"]


@pytest.mark.long
async def test_an_agents_edit_changes_what_the_customer_reads(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("morgen")
    await world.told("morgen")
    await world.settled()
    world.slack.user_edits(DESK, ts, "übermorgen")
    await world.told("übermorgen")
    await world.until(lambda: "pencil2" in world.reactions(ts))
    await world.settled()
    said = [text for text in world.customer_reads() if "morgen" in text]
    assert len(said) == 1


@pytest.mark.long
async def test_an_edit_that_slack_brings_late_does_not_undo_a_newer_one(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("morgen")
    await world.told("morgen")
    await world.settled()
    world.slack.faults.delay_s = 0.5
    world.slack.user_edits(DESK, ts, "übermorgen")
    world.slack.faults.delay_s = 0.0
    world.slack.user_edits(DESK, ts, "heute")
    await world.told("heute")
    await world.settled()
    assert "morgen" not in "\n".join(world.customer_reads())
    [(_, text, _, _)] = [line for line in await world.lines() if line[0] == "agent"]
    assert text == "heute"


@pytest.mark.long
async def test_an_agent_takes_back_what_they_said(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("falscher Kunde")
    await world.told("falscher Kunde")
    await world.settled()
    world.slack.user_deletes(DESK, ts)
    await world.until(lambda: "falscher Kunde" not in "\n".join(world.customer_reads()))
    await world.shown(say(Phrase.DESK_DELETED, "de"))


@pytest.mark.long
async def test_made_internal_afterwards_it_is_taken_back(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("der ist frech")
    await world.told("der ist frech")
    await world.settled()
    world.slack.user_edits(DESK, ts, "! der ist frech")
    await world.until(lambda: "frech" not in "\n".join(world.customer_reads()))
    await world.settled()
    assert ("agent", "der ist frech", None, True) in await world.lines()


async def test_a_note_cannot_become_a_reply_by_being_edited(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("! geheim")
    await world.settled()
    world.slack.user_edits(DESK, ts, "geheim")
    [whisper] = await world.whispered()
    assert whisper["text"] == say(Phrase.DESK_NOTE_STAYS, "de")
    await world.settled()
    assert "geheim" not in "\n".join(world.customer_reads())


async def test_an_edit_of_what_we_never_heard_is_what_was_said(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("morgn", event=False)
    world.slack.user_edits(DESK, ts, "morgen")
    await world.told("morgen")


async def test_a_customers_correction_is_shown(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    number = world.customer_says("blau")
    await world.shown("blau")
    await world.settled()
    world.telegram.user_edits(KENJI, number, "grün")
    await world.shown("grün")
    await world.settled()
    assert "blau" not in world.read()


async def test_a_customers_correction_is_shown_with_its_translation(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    number = world.customer_says("hm")
    await world.shown("hm")
    await world.settled()
    world.telegram.user_edits(KENJI, number, THANKS)
    await world.shown(THANKS, THANKS_IN_GERMAN)
    await world.settled()
    assert "\nhm" not in world.read()


async def test_what_a_customer_takes_back_is_gone(world: World) -> None:
    ts = world.slack.user_says("D0CUSTOMER", PERSON, user="U0CUSTOMER")
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    await world.claimed()
    secret = world.slack.user_says("D0CUSTOMER", "mein Passwort", user="U0CUSTOMER")
    await world.shown("mein Passwort")
    await world.settled()
    world.slack.user_deletes("D0CUSTOMER", secret)
    await world.shown(say(Phrase.DESK_DELETED, "de"))
    await world.settled()
    assert "Passwort" not in world.read()
    assert world.card().ts > ts
    assert Channel.SLACK.capitalize() in world.read()


async def test_a_blocked_bot_is_said_aloud(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.telegram.user_blocks(KENJI)
    ts = world.agent_says("sind Sie noch da?")
    await world.shown(say(Phrase.DESK_UNDELIVERED, "de"), "sind Sie noch da?")
    await world.settled()
    assert "warning" in world.reactions(ts)
    assert "white_check_mark" not in world.reactions(ts)
