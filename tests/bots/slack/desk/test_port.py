"""Slack's desk keeps what every desk promises, and Slack's own limits."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots.slack.desk.lines import transcript
from bots.slack.desk.pace import PATIENCE_S, Pace
from bots.slack.desk.port import SlackDeskPort
from bots.slack.place import Place
from core.errors import Unavailable
from tests.bots.slack.desk.world import DESK, World, open_world, words_of
from tests.contracts import desk_port
from tests.fakes.slack import FakeSlack, limits


@pytest.fixture
async def quiet(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    async with open_world(slack, url, tmp_path, runs_desk=False) as world:
        yield world


async def test_it_keeps_what_every_desk_promises(quiet: World) -> None:
    desk = quiet.channel.desk
    assert desk is not None
    port: SlackDeskPort = desk.port

    async def texts(place: str) -> str:
        root = Place.parse(place).thread
        found = [m for m in quiet.slack.messages(DESK) if root in (m.ts, m.thread_ts)]
        return "\n".join(words_of(message) for message in found)

    async def delete(place: str) -> None:
        for message in quiet.slack.messages(DESK):
            if Place.parse(place).thread in (message.ts, message.thread_ts):
                message.deleted = True

    await desk_port.each_conversation_has_a_place_of_its_own(port)
    await desk_port.what_was_said_before_is_there_and_the_original_beside_its_translation(
        port, texts
    )
    await desk_port.everything_that_can_happen_can_be_shown_and_shown_again(port)
    await desk_port.a_place_that_was_deleted_is_told_apart(port, delete)
    await desk_port.nobody_is_called_by_what_a_customer_writes(port, texts)
    assert not quiet.slack.api.pings


def test_a_long_transcript_is_a_few_messages_within_the_limits(slack_team: FakeSlack) -> None:
    long = "日本語の長い文。" * 900
    lines = [desk_port.line(f"line {n}") for n in range(60)]
    lines.append(desk_port.line(long, translation="wort " * 2_000, translation_language="de"))
    bodies = transcript(lines, "de")
    assert len(bodies) <= 8
    for body in bodies:
        assert limits.refusal(slack_team.team, {"channel": "C0GENERAL", **body}) is None
    read = "\n".join(text for body in bodies for text in limits._texts(body["blocks"]))
    assert all(f"line {n}" in read for n in range(60))
    assert "".join(read.split()).count("日本語の長い文。") == 900


@pytest.fixture
def slack_team() -> FakeSlack:
    return FakeSlack()


async def test_messages_leave_one_after_another_at_the_given_pace() -> None:
    pace = Pace(every_s=0.1, burst=1)
    started = time.monotonic()
    await asyncio.gather(*(pace.turn() for _ in range(4)))
    assert time.monotonic() - started >= 0.3


async def test_whoever_would_wait_too_long_is_told_when_to_come_back() -> None:
    pace = Pace()
    pace.pause(PATIENCE_S + 5)
    with pytest.raises(Unavailable) as told:
        await pace.turn()
    assert told.value.retry_after_s is not None
    assert told.value.retry_after_s > PATIENCE_S
