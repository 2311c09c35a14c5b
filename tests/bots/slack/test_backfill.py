"""Reading back what nobody heard."""

import time

import pytest

from bots.slack import backfill
from bots.slack.backfill import FILLED, START
from bots.slack.channel import SlackChannel
from bots.slack.teams import Team
from core.adapters.cursors import Cursors
from core.errors import Unavailable
from core.turn import Channel, Kind
from tests.bots.slack.conftest import HOME, Rig

DM, ROOM, OTHER = "D0CUSTOMER", "C0GENERAL", "C0OTHER"


async def fill(channel: SlackChannel) -> int:
    (team,) = await teams(channel)
    return await channel.backfill.fill(team)


async def teams(channel: SlackChannel) -> tuple[Team, ...]:
    return await channel.teams.all()


async def test_what_was_said_before_we_came_is_not_answered(rig: Rig) -> None:
    rig.slack.user_says(DM, "years ago", event=False)
    async with rig.channel() as channel:
        await fill(channel)
    assert not rig.desk.inbounds


async def test_a_channel_that_we_are_invited_to_has_a_past_without_us(rig: Rig) -> None:
    slack, team = rig.slack, rig.slack.team
    async with rig.channel() as channel:
        await fill(channel)
        team.open(OTHER, "channel", member=False)
        slack.user_says(OTHER, "before", mention=True, event=False)
        team.invite(OTHER)
        slack.user_says(OTHER, "now", mention=True, event=False)
        await fill(channel)
        await fill(channel)
    assert rig.desk.texts == ["now"]


async def test_where_nothing_tells_that_we_were_invited_only_the_latest_is_read(rig: Rig) -> None:
    team = rig.slack.team
    async with rig.channel() as channel:
        began = f"{time.time() - 90 * 24 * 3600:.6f}"
        await Cursors(rig.database).write(HOME, Channel.SLACK, START, began)
        for hours_ago in (30 * 24, 25, 23):
            ts = f"{time.time() - hours_ago * 3600:.6f}"
            for place, call in ((ROOM, f"<@{team.bot_user}> "), (DM, "")):
                text = f"{call}{place} {hours_ago}"
                team.write(place, text=text, user="U0CUSTOMER", ts=ts)
        await fill(channel)
    assert sorted(rig.desk.texts) == [f"{ROOM} 23", f"{DM} 23", f"{DM} 25", f"{DM} 720"]


async def ago(rig: Rig, **hours: float) -> None:
    """Pretend that a time that is kept by name was so many hours ago."""
    for name, count in hours.items():
        then = f"{time.time() - count * 3600:.6f}"
        await Cursors(rig.database).write(HOME, Channel.SLACK, name, then)


@pytest.mark.parametrize("marked", [True, False])
async def test_after_a_long_gap_channels_are_read_from_where_it_began(
    rig: Rig, marked: bool
) -> None:
    team = rig.slack.team
    async with rig.channel() as channel:
        await ago(rig, **{START: 90 * 24, FILLED: 50})
        if marked:
            await ago(rig, **{f"mark:{ROOM}": 60 * 24})
        for hours_ago in (52, 48):
            ts = f"{time.time() - hours_ago * 3600:.6f}"
            text = f"<@{team.bot_user}> {hours_ago}"
            team.write(ROOM, text=text, user="U0CUSTOMER", ts=ts)
        await fill(channel)
    assert rig.desk.texts == ["48"]


async def test_of_the_threads_in_a_channel_only_ours_are_read_after_a_while(rig: Rig) -> None:
    slack = rig.slack
    async with rig.channel() as channel:
        await fill(channel)
        await ago(rig, **{FILLED: 2})
        theirs = slack.user_says(ROOM, "lunch?", event=False)
        ours = slack.user_says(ROOM, "help", mention=True, event=False)
        direct = slack.user_says(DM, "hello", event=False)
        for place, root in ((ROOM, theirs), (ROOM, ours), (DM, direct)):
            slack.user_says(place, f"below {root}", thread_ts=root, event=False)
        slack.api.requests.clear()
        await fill(channel)
    read = [args["ts"] for method, args in slack.api.requests if method.endswith("replies")]
    assert sorted(read) == [ours, direct]
    assert sorted(rig.desk.texts) == [f"below {ours}", f"below {direct}", "hello", "help"]


@pytest.mark.parametrize("quiet_h", [None, 0, 3])
async def test_after_a_short_gap_new_threads_are_read(rig: Rig, quiet_h: int | None) -> None:
    slack = rig.slack
    async with rig.channel() as channel:
        await ago(rig, **{START: 9 * 24})
        if quiet_h is not None:
            ts = f"{time.time() - quiet_h * 3600 - 60:.6f}"
            slack.team.write(ROOM, text="good morning", user="U0CAROL", ts=ts)
        await fill(channel)
        root = slack.user_says(ROOM, "lunch?", event=False)
        slack.user_says(ROOM, "where is it?", mention=True, thread_ts=root, event=False)
        await fill(channel)
    assert rig.desk.texts == ["where is it?"]


async def test_what_was_read_before_a_failure_is_not_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE", 2)
    async with rig.channel() as channel:
        await fill(channel)
        said = [rig.slack.user_says(DM, f"{number}", event=False) for number in range(5)]
        rig.desk.unkept = {"3"}
        with pytest.raises(Unavailable):
            await fill(channel)
        rig.desk.unkept = set()
        rig.slack.api.requests.clear()
        await fill(channel)
    histories = [args for method, args in rig.slack.api.requests if method.endswith("history")]
    assert histories[0]["oldest"] == said[1]
    assert rig.desk.texts == ["0", "1", "2", "3", "4"]


async def test_history_is_read_once_in_order_and_only_what_is_for_us(rig: Rig) -> None:
    slack = rig.slack
    async with rig.channel() as channel:
        await fill(channel)
        for number in range(450):
            slack.user_says(DM, f"{number}", event=False)
        slack.user_says(ROOM, "lunch?", event=False)
        slack.bot_says(DM, "another bot")
        await fill(channel)
        assert rig.desk.texts == [f"{number}" for number in range(450)]
        slack.api.requests.clear()
        await fill(channel)
        histories = [
            args for method, args in slack.api.requests if method == "conversations.history"
        ]
        assert len(histories) == len(slack.team.channels), "what was read is not read again"
    assert len(rig.desk.inbounds) == 450


async def test_old_threads_are_read_back_too(rig: Rig) -> None:
    slack = rig.slack
    async with rig.running() as channel:
        root = slack.user_says(ROOM, "help", mention=True)
        await slack.push.idle()
        await fill(channel)
        slack.user_says(ROOM, "are you there?", thread_ts=root, event=False)
        await fill(channel)
    assert rig.desk.texts == ["help", "are you there?"]


async def test_what_stood_in_a_thread_before_the_mention_is_not_read_back(rig: Rig) -> None:
    slack = rig.slack
    async with rig.running() as channel:
        await fill(channel)
        root = slack.user_says(ROOM, "lunch at one?", user="U0CAROL")
        slack.user_says(ROOM, "I am in", user="U0DAVE", thread_ts=root)
        slack.user_says(ROOM, "help", mention=True, thread_ts=root)
        await slack.push.idle()
        slack.user_says(ROOM, "in blue, please", thread_ts=root, event=False)
        await fill(channel)
    assert rig.desk.texts == ["help", "in blue, please"]


async def test_what_overtook_the_mention_is_read_back(rig: Rig) -> None:
    slack = rig.slack
    async with rig.running() as channel:
        await fill(channel)
        root = slack.user_says(ROOM, "help", mention=True, event=False)
        slack.user_says(ROOM, "in blue, please", thread_ts=root)
        await slack.push.idle()
        slack.tells_again(ROOM, root)
        await slack.push.idle()
        await fill(channel)
    assert rig.desk.texts == ["help", "in blue, please"]


async def test_where_somebody_wrote_lately_is_read_first(rig: Rig) -> None:
    async with rig.channel() as channel:
        await fill(channel)
        rig.slack.user_says(ROOM, "help", mention=True, event=False)
        await fill(channel)
        rig.slack.api.requests.clear()
        await fill(channel)
    histories = (args for method, args in rig.slack.api.requests if method.endswith("history"))
    assert next(histories)["channel"] == ROOM


async def test_an_edit_in_a_gap_brings_the_newest_words(rig: Rig) -> None:
    async with rig.channel() as channel:
        await fill(channel)
        ts = rig.slack.user_says(DM, "wher", event=False)
        rig.slack.user_edits(DM, ts, "where?", event=False)
        await fill(channel)
    (inbound,) = rig.desk.inbounds
    assert (inbound.kind, inbound.text, inbound.message_ref) == (Kind.EDIT, "where?", ts)


async def test_a_rate_limit_is_waited_out(rig: Rig) -> None:
    async with rig.channel() as channel:
        await fill(channel)
        for number in range(30):
            rig.slack.user_says(DM, f"{number}", event=False)
        rig.slack.faults.refuse_429, rig.slack.faults.retry_after_s = 0.5, 0.01
        await fill(channel)
    assert len(rig.desk.inbounds) == 30


async def test_a_mark_does_not_pass_what_could_not_be_kept(rig: Rig) -> None:
    async with rig.channel() as channel:
        await fill(channel)
        rig.slack.user_says(DM, "hello?", event=False)
        rig.desk.fault = Unavailable("database", "gone")
        with pytest.raises(Unavailable):
            await fill(channel)
        rig.desk.fault = None
        await fill(channel)
    assert rig.desk.texts == ["hello?"]


async def test_a_message_that_trips_us_does_not_hide_the_others(rig: Rig) -> None:
    async with rig.channel() as channel:
        await fill(channel)
        rig.slack.user_says(DM, "poison", event=False)
        rig.slack.user_says(DM, "food", event=False)
        rig.desk.trips = {"poison"}
        await fill(channel)
        await fill(channel)
    assert rig.desk.texts == ["food"]
    assert [inbound.text for inbound in rig.desk.refused] == ["poison"]


async def test_channels_that_may_not_be_listed_do_not_hide_the_others(rig: Rig) -> None:
    async with rig.running() as channel:
        root = rig.slack.user_says(ROOM, "help", mention=True)
        await rig.slack.push.idle()
        await fill(channel)
        rig.slack.api.refuse["users.conversations"] = "missing_scope"
        rig.slack.user_says(ROOM, "still there?", thread_ts=root, event=False)
        await fill(channel)
    assert rig.desk.texts == ["help", "still there?"]


async def test_one_replica_reads_in_each_period(rig: Rig) -> None:
    async with rig.channel() as one, rig.channel() as other:
        (team,) = await teams(one)
        rig.slack.user_says(DM, "x", event=False)
        await one.backfill.fill_if_due(team, after_gap=False)
        rig.slack.api.requests.clear()
        await other.backfill.fill_if_due(team, after_gap=False)
        assert not rig.slack.api.requests
        await other.backfill.fill_if_due(team, after_gap=True)
        assert rig.slack.api.requests
