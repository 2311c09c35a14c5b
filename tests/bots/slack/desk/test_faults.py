"""Slack fails, forgets and repeats; agents still read everything, in order, once."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bots.slack.desk.pace import Pace
from bots.slack.desk.posts import Mark, Posts
from core.adapters.database import Now, open_database
from core.adapters.tables import desk_threads
from core.errors import Unavailable
from core.phrases import Phrase, say
from tests.bots.slack.desk.world import (
    ANNA,
    BEN,
    DESK,
    PERSON,
    ROOT,
    World,
    open_world,
    words_of,
)
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.patience import PATIENCE_S


async def test_while_slack_is_down_customers_are_served_and_afterwards_nothing_is_missing(
    world: World,
) -> None:
    await world.handed_over()
    await world.claimed()
    world.slack.api.down = True
    texts = [f"frage {number}" for number in range(6)]
    for text in texts:
        world.customer_says(text)
    world.customer_says("hello", chat=777)
    await world.told("bot: hello", chat=777)
    await world.until(lambda: _kept(world, texts))
    world.slack.api.down = False
    await world.shown(*texts)
    await world.settled()
    read = world.read()
    assert [read.count(text) for text in texts] == [1] * 6
    assert sorted(texts, key=read.index) == texts


async def _kept(world: World, texts: list[str]) -> bool:
    return {text for _, text, *_ in await world.lines()} >= set(texts)


async def test_rate_limits_delay_and_lose_nothing(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.slack.faults.refuse_429 = 0.4
    texts = [f"frage {number}" for number in range(6)]
    for text in texts:
        world.customer_says(text)
    await world.shown(*texts)
    world.slack.faults.refuse_429 = 0.0
    await world.settled()
    read = [line for line in world.read().splitlines() if line.startswith("frage")]
    assert [read.count(text) for text in texts] == [1] * 6


@pytest.mark.long
@pytest.mark.parametrize("fault", ["drop_after_accept", "fail_after_accept"])
async def test_what_slack_took_without_saying_so_is_not_posted_twice(
    world: World, fault: str
) -> None:
    setattr(world.slack.faults, fault, 0.5)
    await world.handed_over()
    await world.claimed()
    texts = [f"frage {number}" for number in range(5)]
    for text in texts:
        world.customer_says(text)
    await world.shown(*texts)
    setattr(world.slack.faults, fault, 0.0)
    await world.settled()
    read = [line for line in world.read().splitlines() if line.startswith("frage")]
    assert sorted(read) == texts
    assert len([m for m in world.slack.messages(DESK) if m.thread_ts is None]) == 1


async def test_events_that_come_twice_do_nothing_twice(world: World) -> None:
    world.slack.faults.duplicate = 1.0
    await world.handed_over()
    world.press("claim")
    await world.until(lambda: "claim" not in world.buttons())
    world.agent_says("einmal")
    world.agent_says("! notiz")
    await world.told("einmal")
    await world.settled()
    assert "\n".join(world.customer_reads()).count("einmal") == 1
    assert [text for _, text, _, note in await world.lines() if note] == ["notiz"]


@pytest.mark.long
@pytest.mark.parametrize("replies", [True, False])
async def test_a_deleted_card_is_made_anew_at_once(world: World, replies: bool) -> None:
    card = await world.handed_over()
    if not replies:
        for message in world.thread():
            world.slack.user_deletes(DESK, message.ts)
    world.slack.user_deletes(DESK, card.ts)
    await world.until(lambda: _has_card(world))
    await world.settled()
    world.customer_says("noch da")
    await world.shown("noch da")
    await world.claimed()
    world.agent_says("ja")
    await world.told("ja")


@pytest.mark.parametrize("replies", [True, False])
async def test_a_card_whose_deletion_nobody_told_us_of_is_made_anew_with_the_next_event(
    slack: FakeSlack, tmp_path: Path, replies: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    async with open_world(slack, url, tmp_path, sure_s=0.0) as world:
        card = await world.handed_over()
        for message in [card] if replies else [card, *world.thread()]:
            message.deleted = True
        world.customer_says("noch da")
        await world.until(lambda: _has_card(world) and "noch da" in world.read())
        await world.settled()
        # Nothing lies about in the channel.
        assert len([m for m in slack.messages(DESK) if m.thread_ts is None]) == 1


async def test_a_reply_that_slack_puts_beside_a_vanished_thread_is_taken_away(
    world: World,
) -> None:
    card = await world.handed_over()
    for message in (card, *world.thread()):
        message.deleted = True
    world.customer_says("noch da")
    await world.until(lambda: _has_card(world) and "noch da" in world.read())
    await world.settled()
    assert len([m for m in world.slack.messages(DESK) if m.thread_ts is None]) == 1


def _has_card(world: World) -> bool:
    return any(m.thread_ts is None and m.metadata for m in world.slack.messages(DESK))


async def test_a_reply_that_came_while_nobody_listened_is_read_back(
    slack: FakeSlack, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    async with open_world(slack, url, tmp_path) as world:
        await world.handed_over()
        await world.claimed()
        world.agent_says("verpasst", event=False)
        await slack.disconnect(politely=False)
        await world.told("verpasst")
        await world.settled()
        assert "\n".join(world.customer_reads()).count("verpasst") == 1


@pytest.mark.long
@pytest.mark.parametrize("place", ["thread_opened", "event_shown"])
async def test_a_process_killed_before_its_commit_leaves_no_second_message(
    slack: FakeSlack, telegram: FakeTelegram, tmp_path: Path, place: str
) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    async with open_world(slack, url, tmp_path, runs_desk=False, telegram=telegram) as world:
        world.customer_says(PERSON)
        await world.told("to a person")
        world.customer_says("noch eins")
        await world.told("bot: noch eins")
    await killed_at(place, slack.url, url, tmp_path)
    before = len(slack.messages(DESK))
    assert before
    async with open_database(url) as database:
        lapsed = update(desk_threads).values(held_until=Now())
        await database.write(lambda c: c.execute(lapsed).rowcount)
    async with open_world(slack, url, tmp_path, telegram=telegram) as world:
        world.customer_says("und noch eins")
        await world.shown(say(Phrase.DESK_WAITING, "de"), "und noch eins")
        await world.settled()
        after = [words_of(message) for message in slack.messages(DESK)]
    assert len(after) > before
    assert len(set(after)) == len(after)


async def test_small_talk_in_the_channel_costs_slack_one_look_a_thread(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    before = looks(world)
    root = world.slack.user_says(DESK, "Mittagessen?", user=BEN)
    await world.slack.push.idle()
    assert looks(world) == before
    for number in range(4):
        world.slack.user_says(DESK, f"ja {number}", user=ANNA, thread_ts=root)
        await world.slack.push.idle()
    assert looks(world) == before + 1


def looks(world: World) -> int:
    return sum(method == "conversations.replies" for method, _ in world.slack.api.requests)


async def test_only_what_is_posted_waits_for_the_pace_of_posting(world: World) -> None:
    await world.handed_over()
    posts = Posts(world.channel.teams, DESK, Pace(every_s=0.0))
    world.slack.faults.refuse_429, world.slack.faults.retry_after_s = 1.0, 30
    with pytest.raises(Unavailable):
        await posts.about(world.card().ts)
    world.slack.faults.refuse_429 = 0.0
    await posts.post({"text": "gleich"}, Mark(about="test"))
    world.slack.faults.refuse_429 = 1.0
    with pytest.raises(Unavailable, match="ratelimited"):
        await posts.post({"text": "später"}, Mark(about="test", part=1))
    world.slack.faults.refuse_429 = 0.0
    with pytest.raises(Unavailable, match="many wait"):
        await posts.post({"text": "später"}, Mark(about="test", part=1))


@pytest.mark.long
async def test_agents_work_on_a_card_whose_place_nobody_has_kept_yet(
    slack: FakeSlack, telegram: FakeTelegram, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    async with open_world(slack, url, tmp_path, runs_desk=False, telegram=telegram) as world:
        world.customer_says(PERSON)
        await world.told("to a person")
    await killed_at("thread_opened", slack.url, url, tmp_path)
    # The lease of the dead process lasts on.
    async with open_world(slack, url, tmp_path, telegram=telegram) as world:
        world.agent_says("! notiz")
        await world.until(lambda: _kept(world, ["notiz"]))
        world.press("claim")
        await world.told(say(Phrase.PERSON_JOINED, "ja"))
        world.agent_says("ja, bitte")
        await world.told("ja, bitte")
        async with open_database(url) as database:
            lapsed = update(desk_threads).values(held_until=Now())
            await database.write(lambda c: c.execute(lapsed).rowcount)
        await world.until(lambda: "resolve" in world.buttons())
        await world.settled()
        assert len([m for m in slack.messages(DESK) if m.thread_ts is None]) == 1


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as running:
        yield running


async def killed_at(place: str, slack_url: str, database_url: str, folder: Path) -> None:
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bots.slack.desk.victim"),
        *(slack_url, database_url, str(folder), place),
        cwd=ROOT,
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await victim.wait() == -signal.SIGKILL
