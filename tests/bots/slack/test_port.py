"""Sending, and finding out whether it was sent."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bots.slack.api import FORBIDDEN, SHUT_OUT, SHUT_OUT_S
from bots.slack.port import SlackPort
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say
from core.turn import Address, Answer, Channel, ConversationId, Parcel, Served, Turn, TurnId
from tests.bots.slack.conftest import HOME, Rig
from tests.fakes.slack.team import FakeFile

DM, ROOM = "D0CUSTOMER", "C0GENERAL"


def parcel(number: int, place: str = DM, text: str = "Here you are.") -> Parcel:
    body = json.dumps({"text": text, "blocks": [{"type": "markdown", "text": text}]})
    return Parcel(id=number, address=address(place), body=body)


def address(place: str) -> Address:
    return Address(workspace=HOME, channel=Channel.SLACK, place=place)


@pytest.fixture
async def port(rig: Rig) -> AsyncIterator[SlackPort]:
    async with rig.channel() as channel:
        yield channel.port


async def test_a_sent_parcel_is_found_by_its_id(rig: Rig, port: SlackPort) -> None:
    root = rig.slack.user_says(ROOM, "help", mention=True)
    for place in (DM, f"{ROOM}/{root}"):
        sent = {number: await port.send(parcel(number, place)) for number in (1, 2)}
        assert await port.find(parcel(1, place)) == sent[1]
        assert await port.find(parcel(2, place)) == sent[2]
        assert await port.find(parcel(3, place)) is None
    (_, post), *_ = (call for call in rig.slack.api.requests if call[0] == "chat.postMessage")
    assert (post["unfurl_links"], post["unfurl_media"], post["link_names"]) == (False,) * 3


async def test_a_parcel_is_found_behind_many_messages(rig: Rig, port: SlackPort) -> None:
    root = rig.slack.user_says(ROOM, "help", mention=True, event=False)
    for place in (DM, f"{ROOM}/{root}"):
        ts = await port.send(parcel(7, place))
        channel, _, thread = place.partition("/")
        for number in range(450):
            rig.slack.user_says(channel, f"{number}", thread_ts=thread or None, event=False)
        assert await port.find(parcel(7, place)) == ts


async def test_metadata_of_a_stranger_is_not_ours(rig: Rig, port: SlackPort) -> None:
    metadata = {"event_type": "dragoman_parcel", "event_payload": {"parcel": 5}}
    rig.slack.team.write(DM, text="forged", user="U9", bot_id="BOTHER", metadata=metadata)
    assert await port.find(parcel(5)) is None


async def test_a_dropped_response_is_no_failure_but_a_question(rig: Rig, port: SlackPort) -> None:
    """Of 200 sends that may end badly each is there once, as Delivery would do it."""
    rig.slack.faults.drop_after_accept = 0.2
    rig.slack.faults.fail_after_accept = 0.1
    rig.slack.faults.refuse_429 = 0.1
    rig.slack.faults.retry_after_s = 0.0
    unclear = 0
    for number in range(200):
        while True:
            try:
                await port.send(parcel(number))
            except Unavailable:
                continue
            except TimeoutError:
                unclear += 1
                if await _found(port, number) is None:
                    continue
            break
    assert unclear > 20
    carried = [m.metadata["event_payload"]["parcel"] for m in rig.slack.messages(DM) if m.metadata]
    assert carried == list(range(200))


async def _found(port: SlackPort, number: int) -> str | None:
    while True:
        try:
            return await port.find(parcel(number))
        except Unavailable:
            continue


async def test_what_slack_will_never_take_is_rejected(rig: Rig, port: SlackPort) -> None:
    for code in ("channel_not_found", "is_archived", "msg_too_long", "no_permission"):
        rig.slack.api.refuse["chat.postMessage"] = code
        with pytest.raises(Rejected, match=code):
            await port.send(parcel(1))


@pytest.mark.parametrize("code", sorted(SHUT_OUT | FORBIDDEN))
async def test_while_the_app_is_shut_out_replies_wait(rig: Rig, port: SlackPort, code: str) -> None:
    await port.send(parcel(0))
    rig.slack.api.refuse = dict.fromkeys(("chat.postMessage", "auth.test"), code)
    with pytest.raises(Unavailable, match=code) as waits:
        await port.send(parcel(1))
    assert waits.value.retry_after_s == SHUT_OUT_S
    rig.slack.api.refuse.clear()
    assert await port.send(parcel(1))


async def test_what_is_to_be_found_waits_too_but_not_for_a_right_to_read(
    rig: Rig, port: SlackPort
) -> None:
    ts = await port.send(parcel(1))
    for code, error in (("token_expired", Unavailable), ("missing_scope", Rejected)):
        rig.slack.api.refuse["conversations.history"] = code
        with pytest.raises(error, match=code):
            await port.find(parcel(1))
    rig.slack.api.refuse.clear()
    assert await port.find(parcel(1)) == ts


async def test_a_rate_limit_tells_when_to_come_back(rig: Rig, port: SlackPort) -> None:
    rig.slack.faults.posts_per_s = 0.5
    await port.send(parcel(1))
    with pytest.raises(Unavailable) as refused:
        await port.send(parcel(2))
    assert refused.value.retry_after_s == 2.0
    assert len(rig.slack.messages(DM)) == 1


async def test_an_error_inside_slack_leaves_it_open(rig: Rig, port: SlackPort) -> None:
    for code in ("fatal_error", "internal_error"):
        rig.slack.api.refuse["chat.postMessage"] = code
        with pytest.raises(TimeoutError):
            await port.send(parcel(1))


async def test_no_connection_means_not_sent(rig: Rig) -> None:
    async with rig.channel(api_url="http://127.0.0.1:9/api/") as channel:
        with pytest.raises(Unavailable, match="no connection"):
            await channel.port.send(parcel(1))


async def test_another_workspace_is_never_written_to(rig: Rig, port: SlackPort) -> None:
    foreign = Address(workspace="TFOREIGN", channel=Channel.SLACK, place=DM)  # type: ignore[arg-type]  # a plain string will do here
    with pytest.raises(Rejected, match="not installed"):
        await port.send(Parcel(id=1, address=foreign, body="{}"))
    assert not rig.slack.messages(DM)


async def test_every_rendered_part_is_taken_by_slack(rig: Rig, port: SlackPort) -> None:
    text = " ".join(f"Sentence number {n} is here." for n in range(1_500))
    turn = Turn(id=TurnId(9), conversation=ConversationId(1), address=address(DM), text="?")
    served = Served(
        outcome=Answer(text=text, citations=()),
        language="de",
        probability=1.0,
        offer_languages=("de", "zh-Hant", "ar"),
    )
    bodies = port.render(served, turn)
    assert len(text) > 36_000
    for number, body in enumerate(bodies):
        await port.send(Parcel(id=number, address=address(DM), body=body))
    shown = "".join(m.blocks[0]["text"] for m in rig.slack.messages(DM))
    assert shown == text


async def test_a_status_stands_while_we_work_and_goes_with_the_reply(
    rig: Rig, port: SlackPort
) -> None:
    root = rig.slack.user_says(ROOM, "help", mention=True)
    thread, direct = address(f"{ROOM}/{root}"), address(DM)
    await port.working(direct, "de")
    assert not rig.slack.api.statuses, "there is no message to show it under"
    port.heard(direct, "1700000000.000100")
    for _ in range(3):
        await port.working(thread, "de")
        await port.working(direct, None)
    assert [(s["thread_ts"], s["status"]) for s in rig.slack.api.statuses] == [
        (root, say(Phrase.LOOKING_UP, "de")),
        ("1700000000.000100", say(Phrase.LOOKING_UP, "en")),
    ]
    await port.send(parcel(1))
    await rig.slack.called("assistant.threads.setStatus", 3)
    assert rig.slack.api.statuses[-1]["status"] == ""


async def test_proxies_of_the_environment_do_not_reach_loopback(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with rig.channel() as channel:
        await channel.port.send(parcel(random.randrange(1_000)))
    assert len(rig.slack.messages(DM)) == 1


async def test_an_agents_words_are_changed_and_taken_back_as_often_as_it_takes(
    rig: Rig, port: SlackPort
) -> None:
    ts = await port.send(parcel(1))
    better = replace(parcel(2, text="There you are."), replaces=ts)
    gone = replace(better, body="")
    for _ in range(2):
        assert await port.send(better) == ts
    [shown] = [m for m in rig.slack.team.channels[DM].messages.values() if m.ts == ts]
    assert (shown.text, shown.deleted) == ("There you are.", False)
    for _ in range(2):
        assert await port.send(gone) == ts
    assert shown.deleted
    with pytest.raises(Rejected, match="message_not_found"):
        await port.send(better)


async def test_a_file_of_ours_is_taken_back_as_often_as_it_takes(rig: Rig, port: SlackPort) -> None:
    ours, gone = "FAPP1", "FNEVER"
    rig.slack.team.files[ours] = FakeFile(ours, "a.txt", b"a", user=rig.slack.team.bot_user)
    theirs = rig.slack.user_uploads("b.txt", b"b")["id"]
    for ref in (ours, ours, gone):
        assert await port.send(replace(parcel(1), replaces=ref, body="")) == ref
    assert rig.slack.team.files[ours].deleted
    with pytest.raises(Rejected, match="cant_delete_file"):
        await port.send(replace(parcel(1), replaces=theirs, body=""))
    rig.slack.api.refuse["files.delete"] = "ratelimited"
    with pytest.raises(Unavailable):
        await port.send(replace(parcel(1), replaces=ours, body=""))
    rig.slack.api.down = True
    with pytest.raises(TimeoutError):
        await port.send(replace(parcel(1), replaces=ours, body=""))
