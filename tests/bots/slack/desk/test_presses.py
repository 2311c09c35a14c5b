"""Buttons on cards, pressed over a real websocket."""

import json

import pytest
from sqlalchemy import Connection, update

from core.adapters.handoffs import record
from core.adapters.tables import handoffs
from core.briefing import Article, Briefing, Entity, EntityKind
from core.cases import CaseId, EventKind
from core.phrases import Phrase, say
from core.tones import Tone
from tests.bots.slack.desk.world import (
    ANNA,
    BEN,
    DESK,
    HOME,
    OUTSIDER,
    PERSON,
    World,
    words_of,
)

SUGGESTED = "Wir schicken Ihnen einen neuen."


async def briefed(world: World, reply: str = SUGGESTED) -> None:
    """Let the briefing be made, as its own task does beside the customer's turn."""
    where = await world.conversation()
    made = Briefing(
        summary="Kunde sucht sein Paket <!channel>.",
        language="ja",
        tone=Tone.NEGATIVE,
        tried=("Artikel genannt",),
        entities=(Entity(kind=EntityKind.ORDER, text="SD-48213"),),
        articles=(Article(document="a.md", title="Versand *und* Lieferung"),),
        reply=reply,
    )

    def work(connection: Connection) -> None:
        connection.execute(update(handoffs).values(briefing=made.as_json()))
        record(connection, HOME, where, CaseId(1), EventKind.BRIEFED)

    await world.database.write(work)
    await world.shown("SD-48213", "Kunde sucht sein Paket")


async def fate(world: World) -> str | None:
    [case] = await world.rows(handoffs)
    return None if case.suggestion_fate is None else str(case.suggestion_fate)


async def test_the_first_of_two_claims_wins_and_the_other_is_told_who_has_it(world: World) -> None:
    await world.handed_over()
    world.press("claim", ANNA)
    world.press("claim", BEN)
    [whisper] = await world.whispered()
    await world.settled()
    loser, winner = (BEN, "Anna") if "Anna" in words_of(world.card()) else (ANNA, "Ben")
    language = "en" if loser == BEN else "de"
    assert whisper["user"] == loser
    assert whisper["text"] == say(Phrase.DESK_TAKEN, language, name=winner)
    assert "\n".join(world.customer_reads()).count(say(Phrase.PERSON_JOINED, "ja")) == 1


async def test_who_is_not_in_the_channel_can_press_nothing(world: World) -> None:
    await world.handed_over()
    world.press("claim", OUTSIDER)
    await world.settled()
    assert "claim" in world.buttons()
    [case] = await world.rows(handoffs)
    assert case.account_id is None


@pytest.mark.long
async def test_put_off_brought_back_and_returned_to_the_bot(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.press("snooze")
    await world.until(lambda: "wake" in world.buttons())
    assert "💤" in words_of(world.card())
    assert "<!date^" in words_of(world.card())
    world.press("wake")
    await world.until(lambda: "snooze" in world.buttons())
    world.press("return")
    await world.told(say(Phrase.BOT_RETURNED, "ja"))
    await world.settled()
    assert world.buttons() == {"claim"}
    world.customer_says("また来ました")
    await world.told("bot: また来ました")


async def test_a_suggested_reply_is_used(world: World) -> None:
    await world.handed_over()
    await briefed(world)
    assert "use" not in world.buttons()
    await world.claimed()
    world.press("use")
    world.press("use")
    await world.told(SUGGESTED)
    await world.settled()
    assert "\n".join(world.customer_reads()).count(SUGGESTED) == 1
    assert await fate(world) == "accepted"
    assert "use" not in world.buttons()
    assert not world.slack.api.pings


@pytest.mark.long
async def test_a_suggested_reply_is_edited(world: World) -> None:
    await world.handed_over()
    await briefed(world)
    await world.claimed()
    world.press("edit")
    await world.until(lambda: bool(world.slack.api.desk.views))
    [(view_id, view)] = world.slack.api.desk.views.items()
    assert view["blocks"][0]["element"]["initial_value"] == SUGGESTED
    world.slack.submit(view_id, {"reply": {"text": {"value": "Anders."}}}, user=ANNA)
    await world.told("Anders.")
    assert await fate(world) == "edited"


async def test_a_suggested_reply_is_discarded(world: World) -> None:
    await world.handed_over()
    await briefed(world)
    await world.claimed()
    world.press("discard")
    await world.until(lambda: "discard" not in world.buttons())
    await world.settled()
    assert await fate(world) == "discarded"
    assert SUGGESTED not in words_of(world.card())


async def editing(world: World) -> str:
    """An agent who has the conversation has opened the suggested reply; the view's id."""
    await world.handed_over()
    await briefed(world)
    await world.claimed()
    world.press("edit")
    await world.until(lambda: bool(world.slack.api.desk.views))
    [view_id] = world.slack.api.desk.views
    return view_id


async def kept_open(world: World, view_id: str, user: str = ANNA) -> str:
    """What stands under the field of a modal that was sent off too late, and stays open."""
    world.slack.submit(view_id, {"reply": {"text": {"value": "zu spät"}}}, user=user)
    await world.until(lambda: bool(world.slack.push.answers))
    [answer] = world.slack.push.answers
    assert answer["response_action"] == "errors"
    [block] = world.slack.api.desk.views[view_id]["blocks"]
    await world.settled()
    assert "zu spät" not in "\n".join(world.customer_reads())
    return str(answer["errors"][block["block_id"]])


async def test_a_modal_of_somebody_who_has_lost_the_conversation_keeps_its_text(
    world: World,
) -> None:
    view_id = await editing(world)
    world.press("return")
    await world.settled()
    assert await kept_open(world, view_id) == say(Phrase.DESK_WITH_BOT, "de")


async def test_a_modal_of_an_earlier_stay_keeps_its_text(world: World) -> None:
    view_id = await editing(world)
    world.press("resolve")
    await world.until(lambda: world.buttons() == {"claim"})
    world.customer_says(PERSON)
    await world.shown(say(Phrase.DESK_AGAIN, "de"))
    await world.claimed()
    assert await kept_open(world, view_id) == say(Phrase.DESK_STALE, "de")


async def test_a_modal_of_somebody_who_has_left_keeps_its_text(world: World) -> None:
    view_id = await editing(world)
    told = await kept_open(world, view_id, user=OUTSIDER)
    assert told == say(Phrase.DESK_MEMBERS_ONLY, "de")


async def test_a_modal_is_kept_open_over_http_as_well(world: World) -> None:
    view_id = await editing(world)
    world.press("return")
    await world.settled()
    payload = {
        "type": "view_submission",
        "team": {"id": world.slack.team.id},
        "user": {"id": ANNA},
        "view": world.slack.api.desk.views[view_id]
        | {"state": {"values": {"reply": {"text": {"value": "zu spät"}}}}},
    }
    response = await world.channel.dispatch.take(payload)
    assert response.headers["content-type"] == ["application/json;charset=utf-8"]
    assert json.loads(response.body) == {
        "response_action": "errors",
        "errors": {"reply": say(Phrase.DESK_WITH_BOT, "de")},
    }


async def test_a_button_acts_on_the_conversation_of_its_card_whatever_it_says(
    world: World,
) -> None:
    await world.handed_over()
    for block in world.card().blocks:
        for element in block.get("elements", []):
            if element.get("value"):
                element["value"] = "999"
    world.press("claim")
    await world.until(lambda: "claim" not in world.buttons())
    message = world.slack.team.write(DESK, text="not ours", user=BEN)
    message.blocks = world.card().blocks
    world.slack.press(DESK, message.ts, "dragoman_desk_resolve", user=ANNA)
    await world.settled()
    assert "resolve" in world.buttons()
