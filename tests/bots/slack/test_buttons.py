"""Buttons under a reply, pressed over a real websocket and over real HTTP."""

from collections.abc import AsyncIterator

import pytest

from bots.slack.press import Button
from bots.slack.render import render
from core.phrases import Phrase, say
from core.turn import (
    Address,
    Answer,
    Channel,
    Clarify,
    ConversationId,
    Kind,
    Outcome,
    Parcel,
    Served,
    Turn,
    TurnId,
    Words,
)
from tests.bots.slack.conftest import HOME, Rig

DM, ROOM = "D0CUSTOMER", "C0GENERAL"


@pytest.fixture(params=["socket", "http"])
async def talking(request: pytest.FixtureRequest, rig: Rig) -> AsyncIterator[Rig]:
    if request.param == "socket":
        async with rig.running():
            yield rig
    else:
        async with rig.over_http():
            yield rig


async def reply(
    rig: Rig, outcome: Outcome | Words, place: str = DM, **more: tuple[str, ...]
) -> str:
    """Send a rendered reply to turn 42 and return its `ts`."""
    address = Address(workspace=HOME, channel=Channel.SLACK, place=place)
    turn = Turn(id=TurnId(42), conversation=ConversationId(1), address=address, text="?")
    served = Served(outcome=outcome, language="de", probability=0.5, **more)  # type: ignore[arg-type]  # fields by name
    (body,) = render(served, turn)
    async with rig.channel() as channel:
        return await channel.port.send(Parcel(id=1, address=address, body=body))


async def test_a_verdict_reaches_its_turn_and_is_thanked_for(talking: Rig) -> None:
    slack = talking.slack
    root = slack.user_says(ROOM, "help", mention=True)
    place = f"{ROOM}/{root}"
    ts = await reply(talking, Answer(text="So.", citations=()), place)
    slack.press(ROOM, ts, Button.FEEDBACK)
    await slack.push.idle()
    slack.press(ROOM, ts, Button.FEEDBACK, negative=True)
    await slack.called("chat.postEphemeral", 2)
    assert talking.desk.ratings == [(place, 42, True), (place, 42, False)]
    assert slack.api.ephemeral[0]["text"] == say(Phrase.FEEDBACK_THANKS, "de")
    assert slack.api.ephemeral[0]["user"] == "U0"


async def test_a_person_is_asked_for_once_however_often_it_is_pressed(talking: Rig) -> None:
    ts = await reply(talking, Answer(text="So.", citations=()))
    for second in range(3):
        talking.slack.press(DM, ts, Button.PERSON, user="U7", at_s=1_800_000_000.0 + second)
    await talking.slack.push.idle()
    (wish,) = talking.desk.inbounds
    assert (wish.kind, wish.address.place, wish.customer) == (Kind.WANTS_PERSON, DM, "U7")
    assert wish.text == say(Phrase.TALK_TO_PERSON, "de")


async def test_a_person_who_has_gone_may_be_asked_for_again(talking: Rig) -> None:
    ts = await reply(talking, Answer(text="So.", citations=()))
    for hour in range(2):
        talking.slack.press(DM, ts, Button.PERSON, at_s=1_800_000_000.0 + 3_600 * hour)
    await talking.slack.push.idle()
    assert [wish.kind for wish in talking.desk.inbounds] == [Kind.WANTS_PERSON] * 2


async def test_a_choice_is_sent_as_if_it_were_written(talking: Rig) -> None:
    long = "Umtausch " * 12
    ts = await reply(talking, Clarify(text="Welches?", choices=("Rückgabe", long)))
    talking.slack.press(DM, ts, f"{Button.CHOICE}:1")
    await talking.slack.push.idle()
    (chosen,) = talking.desk.inbounds
    assert (chosen.kind, chosen.text, chosen.message_ref) == (Kind.MESSAGE, long, None)
    assert long in talking.slack.messages(DM)[0].blocks[0]["text"]


async def test_a_language_may_be_picked_again(talking: Rig) -> None:
    ts = await reply(
        talking, Answer(text="So.", citations=()), offer_languages=("fr", "zh-Hant", "de")
    )
    labels = [b["elements"][0].get("text") for b in talking.slack.messages(DM)[0].blocks[1:]]
    assert labels[0] == say(Phrase.OTHER_LANGUAGE, "de")
    for tag in ("fr", "zh-Hant", "fr"):
        talking.slack.press(DM, ts, f"{Button.LANGUAGE}:{tag}")
        await talking.slack.push.idle()
    assert [(i.kind, i.text) for i in talking.desk.inbounds] == [
        (Kind.CHOOSES_LANGUAGE, "fr"),
        (Kind.CHOOSES_LANGUAGE, "zh-Hant"),
        (Kind.CHOOSES_LANGUAGE, "fr"),
    ]


async def test_stars_say_which_turn_asked_for_them(talking: Rig) -> None:
    ts = await reply(talking, Words(text="How was it?", asks_rating=True))
    talking.slack.press(DM, ts, f"{Button.RATING}:4")
    await talking.slack.push.idle()
    # A message of an earlier release.
    buttons = talking.slack.messages(DM)[0].blocks[-1]["elements"]
    for button, value in zip(buttons, ("1", f"2 {9**99}"), strict=False):
        button["value"] = value
        talking.slack.press(DM, ts, button["action_id"])
    await talking.slack.push.idle()
    assert [(i.kind, i.text, i.target) for i in talking.desk.inbounds] == [
        (Kind.RATES, "4", 42),
        (Kind.RATES, "1", None),
        (Kind.RATES, "2", None),
    ]


async def test_a_forged_value_is_ignored(talking: Rig) -> None:
    ts = await reply(talking, Answer(text="So.", citations=()))
    for value in (
        "",
        "helpful",
        "helpful x de",
        "helpful -1 de",
        "helpful ٣ de",
        f"helpful {9**99} de",
    ):
        element = talking.slack.messages(DM)[0].blocks[-2]["elements"][0]
        element["positive_button"]["value"] = value
        talking.slack.press(DM, ts, Button.FEEDBACK)
    await talking.slack.push.idle()
    assert talking.slack.push.unacknowledged == 0
    assert not talking.desk.ratings
