"""Customers and agents talk, each in their own language and place."""

from dataclasses import replace
from pathlib import Path

import pytest

from bots.slack.desk.lines import said
from core.cases import DeskLine
from core.phrases import Phrase, say
from core.turn import Author
from tests.bots.desk_news import leave
from tests.bots.slack.desk.world import ANNA, BEN, DESK, KENJI, PERSON, World, open_world, words_of
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.team import FakePerson

ASKS = "注文 SD-48213 がまだ届きません。担当者と話したいです。"
IN_GERMAN = "Die Bestellung SD-48213 ist noch nicht da. Ich möchte mit jemandem sprechen."
ANSWERS = "Ich habe beim Versender nachgefragt: Sie kommt morgen vor 18:00."
IN_JAPANESE = "運送会社に確認しました。明日 18:00 までに届きます。"
THANKS, THANKS_IN_GERMAN = "ありがとうございます！", "Vielen Dank!"


@pytest.mark.long
async def test_a_japanese_customer_in_telegram_and_a_german_agent_in_slack(world: World) -> None:
    card = await world.handed_over(f"{PERSON}")
    assert say(Phrase.DESK_WAITING, "de") in words_of(card)
    assert world.buttons() == {"claim", "resolve", "return", "snooze", "internal"}
    world.customer_says(ASKS)
    await world.shown(IN_GERMAN, ASKS)
    text = world.read()
    assert text.index(IN_GERMAN) < text.index(ASKS)
    await world.claimed()
    assert "Anna" in words_of(world.card())
    ts = world.agent_says(ANSWERS)
    await world.told(IN_JAPANESE)
    await world.until(lambda: "white_check_mark" in world.reactions(ts))
    world.customer_says(THANKS)
    await world.shown(THANKS_IN_GERMAN, THANKS)
    world.press("resolve")
    await world.told(say(Phrase.RESOLVED, "ja"))
    await world.settled()
    assert world.buttons() == {"claim"}
    lines = [(who, text, read) for who, text, read, _ in await world.lines()]
    assert ("customer", ASKS, IN_GERMAN) in lines
    assert ("agent", ANSWERS, IN_JAPANESE) in lines
    assert ("customer", THANKS, THANKS_IN_GERMAN) in lines
    said = "\n".join(world.customer_reads())
    assert said.count(IN_JAPANESE) == 1
    assert ANSWERS not in said
    assert not world.slack.api.pings


async def test_a_customer_reads_an_agents_words_without_slacks_signs(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    ts = world.agent_says(":wave: *Hallo* &lt;3, _alles_ in <#C024BE7LR|versand>", event=False)
    world.slack.team.channels[DESK].messages[ts].blocks = [
        {"type": "rich_text", "elements": [{"type": "emoji", "name": "wave", "unicode": "1f44b"}]}
    ]
    world.slack.tells_again(DESK, ts)
    await world.told("👋 Hallo <3, alles in #versand")


async def test_a_customer_in_slack_and_whom_they_mention_have_names(world: World) -> None:
    who = "U0KUNDE"
    world.slack.team.people[who] = FakePerson(name="Karla *K* <!here>")
    world.slack.user_opens_chat(user=ANNA, tab="home")
    world.slack.user_says("D0CUSTOMER", f"frag <@{BEN}> und @ULRICH", user=who)
    world.slack.user_says("D0CUSTOMER", PERSON, user=who)
    await world.shown("frag @Ben und @ULRICH", "Karla", "&lt;!here&gt;")
    assert who not in words_of(world.card())
    await world.settled()
    await world.until(lambda: "Karla" in str(world.slack.api.desk.homes[ANNA]))
    world.slack.team.open("D0OTHER", "im")
    world.slack.api.refuse["users.info"] = "user_not_found"
    world.slack.user_says("D0OTHER", PERSON, user="U0OTHER")
    await world.until(lambda: any("U0OTHER" in words_of(m) for m in world.slack.messages(DESK)))


async def test_what_was_said_before_stands_below_the_card(world: World) -> None:
    world.customer_says(ASKS)
    await world.told("bot:")
    await world.handed_over()
    await world.shown(ASKS, f"bot: {ASKS}", PERSON)
    assert len(world.thread()) == 1


def test_who_joins_in_is_told_from_the_customer_whose_conversation_it_is() -> None:
    line = DeskLine(id=1, author=Author.CUSTOMER, text="Und ich?", language="de", created_at=0.0)
    (theirs,) = said(line, "de")
    (others,) = said(replace(line, name="U0_BEN_"), "de")
    customer = say(Phrase.DESK_CUSTOMER, "de")
    assert theirs["blocks"][0]["elements"][0]["text"] == f"*{customer}*"
    assert "BEN" in others["blocks"][0]["elements"][0]["text"]
    assert customer in others["blocks"][0]["elements"][0]["text"]


async def test_the_thread_says_that_the_customer_has_left(world: World) -> None:
    await world.handed_over()
    await leave(world.database)
    await world.shown(say(Phrase.DESK_LEFT, "de"))


async def test_the_same_person_is_customer_and_agent(world: World) -> None:
    world.slack.user_says("D0CUSTOMER", PERSON, user=ANNA)
    await world.until(lambda: bool(world.slack.messages(DESK)))
    await world.settled()
    world.press("claim", BEN)
    await world.until(lambda: "claim" not in world.buttons())
    world.agent_says("Hello Anna", BEN)
    await world.until(
        lambda: any("Hello Anna" in words_of(m) for m in world.slack.messages("D0CUSTOMER"))
    )
    world.slack.user_says("D0CUSTOMER", "thanks, Ben", user=ANNA)
    await world.shown("thanks, Ben")
    await world.settled()
    assert [r for r in await world.lines() if r[3]] == []


@pytest.mark.long
async def test_a_second_stay_goes_on_in_the_same_thread_and_is_told_in_the_channel(
    world: World,
) -> None:
    await world.handed_over()
    await world.claimed()
    world.press("resolve")
    await world.settled()
    world.customer_says("meanwhile")
    await world.told("bot: meanwhile")
    world.customer_says(PERSON)
    await world.shown(say(Phrase.DESK_AGAIN, "de"), "bot: meanwhile")
    await world.settled()
    assert len([m for m in world.slack.messages(DESK) if m.thread_ts is None]) == 1
    [again] = [m for m in world.thread() if m.broadcast]
    assert say(Phrase.DESK_AGAIN, "de") in words_of(again)
    assert "claim" in world.buttons()


@pytest.mark.long
async def test_it_works_on_postgresql_as_well(
    slack: FakeSlack, postgres_database_url: str, tmp_path: Path
) -> None:
    async with open_world(slack, postgres_database_url, tmp_path) as world:
        await world.handed_over()
        world.customer_says(ASKS)
        await world.shown(IN_GERMAN)
        await world.claimed()
        world.agent_says(ANSWERS)
        await world.told(IN_JAPANESE, chat=KENJI)
        world.agent_says("! klingt verärgert")
        await world.settled()
        assert ("agent", "klingt verärgert", None, True) in await world.lines()
        assert "verärgert" not in "\n".join(world.customer_reads())
