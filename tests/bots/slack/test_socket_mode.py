"""The websocket that we open to Slack."""

import asyncio
import json

import pytest

from core.errors import Misconfigured
from tests.bots.slack.conftest import Rig
from tests.patience import PATIENCE_S

DM = "D0CUSTOMER"


async def test_a_refused_app_token_is_said_at_once(rig: Rig) -> None:
    async with rig.channel(app_token="xapp-wrong") as channel:
        with pytest.raises(Misconfigured, match="SLACK_APP_TOKEN is refused"):
            await asyncio.wait_for(channel.run(), 5)
        with pytest.raises(Misconfigured, match="SLACK_APP_TOKEN is refused"):
            await channel.check()


async def test_a_refused_bot_token_is_said_at_once(rig: Rig) -> None:
    async with rig.channel(bot_token="xoxb-wrong") as channel:
        with pytest.raises(Misconfigured, match="SLACK_BOT_TOKEN is refused"):
            await asyncio.wait_for(channel.run(), 5)


@pytest.mark.parametrize("politely", [True, False])
async def test_a_new_socket_replaces_one_that_ends(rig: Rig, politely: bool) -> None:
    async with rig.running():
        for number in range(1, 4):
            await rig.slack.disconnect(politely=politely)
            await rig.slack.connected(number + 1)
            rig.slack.user_says(DM, f"after {number}")
            await rig.desk.until(lambda number=number: f"after {number}" in rig.desk.texts)  # type: ignore[misc]  # a default argument has no type of its own


async def test_messages_in_a_gap_are_read_back(rig: Rig) -> None:
    slack, desk = rig.slack, rig.desk
    expected = []
    async with rig.running():
        await rig.slack.called("users.conversations", 2)
        for gap in range(3):
            await slack.disconnect(politely=False)
            while slack.push.sockets:
                await asyncio.sleep(0)
            root = slack.user_says("C0GENERAL", f"mentioned in gap {gap}", mention=True)
            slack.user_says("C0GENERAL", f"reply in gap {gap}", thread_ts=root)
            slack.user_says("C0GENERAL", f"nothing for us {gap}")
            for number in range(4):
                slack.user_says(DM, f"gap {gap}.{number}")
            expected += [f"mentioned in gap {gap}", f"reply in gap {gap}"]
            expected += [f"gap {gap}.{number}" for number in range(4)]
            count = len(expected)
            await desk.until(lambda count=count: len(desk.taken) >= count)  # type: ignore[misc]  # as above
    assert slack.push.lost > 0
    assert sorted(desk.texts) == sorted(expected)


async def test_a_silent_socket_is_replaced(rig: Rig) -> None:
    rig.slack.mute_sockets = True
    async with rig.running(silent_s=0.2):
        await rig.slack.connected(3)


async def test_frames_of_another_form_are_passed_over(rig: Rig) -> None:
    async with rig.running():
        (socket,) = rig.slack.push.sockets
        for text in ("", "{", "[]", "7", '{"type":"events_api"}', '{"envelope_id":{}}'):
            await socket.send_str(text)
        await socket.send_str(json.dumps({"type": "slash_commands", "envelope_id": "e1"}))
        rig.slack.user_says(DM, "still here")
        await rig.slack.push.idle()
    assert rig.desk.texts == ["still here"]
    assert rig.slack.connections_opened == 1


async def test_an_event_that_trips_us_does_not_end_the_others(rig: Rig) -> None:
    rig.slack.push.patience_s, rig.slack.push.retries_s = 0.1, ()
    async with rig.running():
        rig.desk.trips = {"poison"}
        rig.slack.user_says(DM, "poison")
        # The socket brings it, and reading back may do so as well.
        await rig.desk.until(lambda: bool(rig.desk.refused))
        await rig.slack.push.idle()
        rig.slack.push.patience_s = PATIENCE_S
        rig.slack.user_says(DM, "food")
        await rig.desk.until(lambda: rig.desk.texts == ["food"])
        await rig.slack.push.idle()
    assert rig.slack.push.unacknowledged == 1
