"""What agents say among themselves reaches no customer."""

import random

import pytest

from core.adapters.accounts import Accounts
from core.adapters.desk import Desk
from core.phrases import Phrase, say
from tests.bots.slack.desk.world import ANNA, BEN, DESK, HOME, World


def told(world: World) -> str:
    return "\n".join(world.customer_reads())


async def test_before_a_claim_everything_is_internal_and_that_is_said(world: World) -> None:
    await world.handed_over()
    ts = world.agent_says("geheim")
    [whisper] = await world.whispered()
    assert whisper["user"] == ANNA
    assert say(Phrase.DESK_NOT_CLAIMED, "de") in whisper["text"]
    assert say(Phrase.DESK_KEPT_AS_NOTE, "de") in whisper["text"]
    await world.settled()
    await world.until(lambda: "lock" in world.reactions(ts))
    assert ("agent", "geheim", None, True) in await world.lines()
    assert "geheim" not in told(world)


@pytest.mark.parametrize(
    "text",
    [
        "! geheim",
        "!geheim",
        "！geheim",
        "  ! geheim",
        "*! geheim*",
        "_!_ geheim",
        "&gt; ! geheim",
        "\u200b! geheim",
        ":lock: geheim",
        "🔒 geheim",
        f"<@{BEN}> geheim",
        f"geheim, <@{BEN}|ben>?",
        "<!here> geheim",
        "geheim <!subteam^S0TEAM>",
    ],
)
async def test_a_prefix_or_a_call_keeps_it_among_colleagues(world: World, text: str) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says(text)
    await world.until(lambda: "lock" in world.reactions(ts))
    world.agent_says("sichtbar")
    await world.told("sichtbar")
    await world.settled()
    assert "geheim" not in told(world)
    assert [internal for _, said, _, internal in await world.lines() if "geheim" in said] == [True]


async def test_internal_talk_is_a_switch_for_the_thread(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.press("internal", BEN)
    await world.until(lambda: "open_talk" in world.buttons())
    assert say(Phrase.DESK_ONLY_INTERNAL, "de") in world.read()
    late = world.agent_says("geheim eins", event=False)
    world.agent_says("geheim zwei")
    await world.settled()
    world.press("open_talk")
    await world.until(lambda: "internal" in world.buttons())
    # Written while it was on, it is internal however late it comes.
    world.slack.tells_again(DESK, late)
    world.agent_says("sichtbar")
    await world.told("sichtbar")
    await world.settled()
    assert "geheim" not in told(world)


async def test_an_edit_in_internal_talk_stays_inside(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("sichtbar")
    await world.told("sichtbar")
    world.press("internal")
    await world.until(lambda: "open_talk" in world.buttons())
    world.slack.user_edits(DESK, ts, "geheim")
    await world.whispered()
    await world.settled()
    assert ("agent", "geheim", None, True) in await world.lines()
    assert "geheim" not in told(world)


async def test_what_was_written_before_the_claim_and_comes_late_is_internal(world: World) -> None:
    await world.handed_over()
    late = world.agent_says("geheim", event=False)
    await world.claimed()
    world.slack.tells_again(DESK, late)
    await world.until(lambda: "lock" in world.reactions(late))
    [whisper] = await world.whispered()
    assert say(Phrase.DESK_KEPT_AS_NOTE, "de") in whisper["text"]
    await world.settled()
    assert "geheim" not in told(world)


@pytest.mark.long
async def test_a_reply_stays_one_when_it_is_delivered_again_after_another_claim(
    world: World,
) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says("sichtbar")
    await world.told("sichtbar")
    world.press("return")
    await world.until(lambda: "claim" in world.buttons())
    await world.claimed()
    world.slack.tells_again(DESK, ts)
    world.agent_says("danach")
    await world.told("danach")
    await world.settled()
    assert [internal for _, text, _, internal in await world.lines() if text == "sichtbar"] == [
        False
    ]
    assert "lock" not in world.reactions(ts)
    assert told(world).count("sichtbar") == 1


async def test_who_does_not_have_it_is_told_who_has(world: World) -> None:
    await world.handed_over()
    await world.claimed(ANNA)
    world.agent_says("let me help", BEN)
    [whisper] = await world.whispered()
    assert whisper["user"] == BEN
    assert say(Phrase.DESK_TAKEN, "en", name="Anna") in whisper["text"]
    await world.settled()
    assert "let me help" not in told(world)


async def test_a_note_of_another_desk_is_marked_and_a_note_of_this_one_not_repeated(
    world: World,
) -> None:
    await world.handed_over()
    world.agent_says("! von hier")
    await world.settled()
    [anna] = await Accounts(world.database).list(HOME)
    desk = Desk(world.database)
    await desk.note(anna, await world.conversation(), "anderswo", desk="web", event_id="w1")
    await world.shown("anderswo")
    await world.settled()
    assert "🔒" in world.read()
    assert "von hier" not in world.read()


async def test_strangers_in_a_public_channel_are_nobody(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.agent_says("ich bin auch da", "U0OUTSIDER")
    await world.settled()
    assert "auch da" not in told(world)
    assert not [line for line in await world.lines() if "auch da" in line[1]]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_no_internal_word_reaches_a_customer_in_random_work(world: World, seed: int) -> None:
    dice = random.Random(seed)
    world.slack.faults.duplicate = 0.2
    await world.handed_over()
    written: list[str] = []
    for number in range(40):
        user = dice.choice((ANNA, BEN))
        match dice.choice(("say", "say", "hide", "call", "act", "edit", "customer")):
            case "say":
                written.append(world.agent_says(f"offen {number}", user))
            case "hide":
                world.agent_says(dice.choice(("!", "！", "> !")) + f" geheim {number}", user)
            case "call":
                world.agent_says(f"<@{BEN}> geheim {number}", user)
            case "edit" if written:
                ts = dice.choice(written)
                world.slack.user_edits(DESK, ts, f"! geheim {number}")
            case "customer":
                world.customer_says(f"Frage {number}")
            case _:
                buttons = sorted(world.buttons() - {"use", "edit", "discard"})
                world.press(dice.choice(buttons), user)
        if dice.random() < 0.4:
            await world.settled()
    await world.settled()
    assert "geheim" not in told(world)
    kept = [line for line in await world.lines() if "geheim" in line[1]]
    assert kept
    assert all(internal for *_, internal in kept)
