import asyncio
import socket
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bots.telegram.api import TelegramApi
from bots.telegram.limits import Limit, Limits
from bots.telegram.places import address
from bots.telegram.presence import TelegramPresence
from bots.telegram.rendering import Body
from bots.telegram.sending import TelegramPort
from core.errors import Rejected, Unavailable
from core.turn import Attachment, Parcel
from tests.bots.telegram.conftest import WORKSPACE
from tests.fakes.telegram import FakeTelegram, FloodLimit, FloodLimits

GROUP = -500
FORUM = -1_001_000_000_001


def parcel(place: str, text: str = "Hello", html: str | None = None) -> Parcel:
    body = Body(html=text if html is None else html, plain=text)
    return Parcel(id=1, address=address(WORKSPACE, place), body=body.to_json())


@pytest.fixture
def port(api: TelegramApi) -> TelegramPort:
    return TelegramPort(api)


async def test_a_message_arrives_without_a_preview(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(42, "hi")
    html = '<a href="https://shop.example/x?a=1&amp;b=2">Returns</a> &lt;b&gt; مرحبا'
    ref = await port.send(parcel("42", "Returns <b> مرحبا", html))
    [shown] = telegram.messages(42)
    assert (ref, shown.text, shown.preview) == (str(shown.message_id), "Returns <b> مرحبا", False)
    assert shown.entities[0]["url"] == "https://shop.example/x?a=1&b=2"


async def test_a_topic_gets_its_reply_in_the_topic(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(FORUM, "@desk_bot hi", thread=77)
    await port.send(parcel(f"{FORUM}/77"))
    await port.send(parcel(str(FORUM)))
    assert [shown.thread for shown in telegram.messages(FORUM)] == [77, None]


async def test_html_that_telegram_cannot_read_is_sent_plain(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(42, "hi")
    await port.send(parcel("42", "a <b> c", "a <oops> c"))
    assert [shown.text for shown in telegram.messages(42)] == ["a <b> c"]


async def test_who_blocked_the_bot_is_refused_for_good(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(42, "hi")
    telegram.user_blocks(42)
    for place in ("42", "4711", f"{FORUM}/3", "no number"):
        with pytest.raises(Rejected):
            await port.send(parcel(place))
    assert telegram.messages(42) == ()


async def test_a_group_that_became_a_supergroup_gets_its_reply_there(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(GROUP, "@desk_bot hi")
    telegram.group_moves(GROUP, FORUM)
    await port.send(parcel(str(GROUP)))
    assert len(telegram.messages(FORUM)) == 1


async def test_a_429_is_postponed_by_what_it_says_and_the_chat_is_left_alone(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(42, "hi")
    telegram.user_says(43, "hi")
    telegram.fail_next("sendMessage", "429:30")
    with pytest.raises(Unavailable) as caught:
        await port.send(parcel("42"))
    assert caught.value.retry_after_s == pytest.approx(30.0, abs=10.0)
    assert port.book(address(WORKSPACE, "42")) == pytest.approx(30.0, abs=10.0)
    assert port.book(address(WORKSPACE, "43")) == 0


@pytest.mark.parametrize("fault", ["drop-after", "500-after", "drop", "500", "garbage"])
async def test_a_send_whose_end_we_never_learn_is_an_open_question(
    telegram: FakeTelegram, port: TelegramPort, fault: str
) -> None:
    telegram.user_says(42, "hi")
    telegram.fail_next("sendMessage", fault)
    with pytest.raises(TimeoutError):
        await port.send(parcel("42"))
    assert len(telegram.messages(42)) == ("after" in fault)
    with pytest.raises(LookupError):
        await port.find(parcel("42"))


async def test_a_refused_connection_is_surely_not_sent(telegram: FakeTelegram) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with TelegramApi(telegram.token, url) as api:
            with pytest.raises(Unavailable):
                await TelegramPort(api).send(parcel("42"))


async def test_a_refused_token_postpones_and_shows_no_token(telegram: FakeTelegram) -> None:
    async with TelegramApi("7654321:" + "s" * 35, telegram.url) as api:
        with pytest.raises(Unavailable) as caught:
            await TelegramPort(api).send(parcel("42"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "ssss" not in f"{error} {error!r}"
        error = error.__cause__


@pytest.mark.long
async def test_the_limits_are_kept_so_that_telegram_never_has_to_refuse() -> None:
    flood = FloodLimits(
        per_chat=FloodLimit(count=3, per_s=0.3),
        per_group=FloodLimit(count=5, per_s=1.0),
        overall=FloodLimit(count=30, per_s=0.1),
    )
    ours = Limits(
        per_chat=Limit(count=3, per_s=0.6),
        per_group=Limit(count=5, per_s=1.6),
        overall=Limit(count=30, per_s=0.4),
    )
    async with (
        FakeTelegram(limits=flood) as telegram,
        TelegramApi(telegram.token, telegram.url, limits=ours) as api,
    ):
        port = TelegramPort(api)
        chats = [GROUP, *range(1, 6)]
        for chat in chats:
            telegram.user_says(chat, "hi")

        async def fill(chat: int) -> None:
            for number in range(9):
                while (wait_s := port.book(address(WORKSPACE, str(chat)))) > 0:
                    await asyncio.sleep(wait_s)
                await port.send(parcel(str(chat), str(number)))

        await asyncio.gather(*map(fill, chats))
        assert telegram.methods.gate.refused == 0
        for chat in chats:
            assert [shown.text for shown in telegram.messages(chat)] == list("012345678")


async def test_a_place_that_is_no_chat_needs_no_booking(port: TelegramPort) -> None:
    assert port.book(address(WORKSPACE, "no number")) == 0


async def test_typing_and_drafts_are_shown_in_private_chats_only(
    telegram: FakeTelegram, api: TelegramApi
) -> None:
    presence = TelegramPresence(api)
    telegram.user_says(42, "hi")
    telegram.user_says(GROUP, "@desk_bot hi")
    for chat in (42, GROUP):
        await presence.working(address(WORKSPACE, str(chat)), "en")
        await presence.partial(address(WORKSPACE, str(chat)), "The first sentence <b>. " * 400)
    assert telegram.methods.actions == [(42, "typing")]
    [(chat, draft)] = telegram.methods.drafts
    assert chat == 42
    assert 3_000 < len(draft) <= 4_096


async def test_drafts_never_use_up_the_room_of_the_reply(
    telegram: FakeTelegram, api: TelegramApi, port: TelegramPort
) -> None:
    presence = TelegramPresence(api)
    telegram.user_says(42, "hi")
    for length in range(1, 9):
        await presence.partial(address(WORKSPACE, "42"), "word " * length)
    assert len(telegram.methods.drafts) == 2
    while (wait_s := port.book(address(WORKSPACE, "42"))) > 0:
        assert wait_s < 0.2
        await asyncio.sleep(wait_s)


async def test_a_server_that_knows_no_drafts_is_asked_once(
    telegram: FakeTelegram, api: TelegramApi
) -> None:
    presence = TelegramPresence(api)
    telegram.user_says(42, "hi")
    telegram.methods.forget("sendMessageDraft")
    with pytest.raises(Unavailable):
        await presence.partial(address(WORKSPACE, "42"), "word")
    await presence.partial(address(WORKSPACE, "42"), "word word")
    assert [method for method, _ in telegram.calls] == ["sendmessagedraft"]


async def test_the_library_logs_neither_token_nor_text(
    telegram: FakeTelegram, port: TelegramPort, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    telegram.user_says(42, "hi")
    telegram.fail_next("sendMessage", "garbage")
    with capture_logs() as logs:
        with pytest.raises(TimeoutError):
            await port.send(parcel("42", "my private words"))
        await port.send(parcel("42", "my private words"))
    said = caplog.text + str(logs)
    assert telegram.token not in said
    assert "my private words" not in said


async def test_an_agents_words_are_changed_and_taken_back_as_often_as_it_takes(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    telegram.user_says(42, "hi")
    ref = await port.send(parcel("42", "Hello"))
    for _ in range(2):
        assert await port.send(replace(parcel("42", "Good day"), replaces=ref)) == ref
    assert [shown.text for shown in telegram.messages(42)] == ["Good day"]
    for _ in range(2):
        assert await port.send(replace(parcel("42"), replaces=ref, body="")) == ref
    assert telegram.messages(42) == ()
    with pytest.raises(Rejected, match="not found"):
        await port.send(replace(parcel("42", "Too late"), replaces=ref))


def answering(number: int, file: Attachment | None = None) -> Parcel:
    body = Body(html="Hello", plain="Hello", file=file, reply_to=number)
    return Parcel(id=1, address=address(WORKSPACE, str(GROUP)), body=body.to_json())


async def test_in_a_group_it_answers_the_message_while_that_is_there(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    asked = telegram.user_says(GROUP, "@desk_bot hi")
    photo = Attachment(kind="photo", ref=telegram.user_sends(42, "photo"))
    place = Attachment(kind="location", ref="52.5,13.4")
    for file in (None, photo, place):
        await port.send(answering(asked, file))
    del telegram.world.messages[GROUP, asked]
    await port.send(answering(asked))
    assert [shown.reply_to for shown in telegram.messages(GROUP)] == [asked] * 3 + [None]


async def test_a_changed_message_goes_on_answering_what_it_did(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    asked = telegram.user_says(GROUP, "@desk_bot hi")
    ref = await port.send(answering(asked))
    later = telegram.user_says(GROUP, "@desk_bot and now?")
    changed = Body(html="Good day", plain="Good day", reply_to=later).to_json()
    assert await port.send(replace(answering(later), body=changed, replaces=ref)) == ref
    [shown] = telegram.messages(GROUP)
    assert (shown.text, shown.reply_to) == ("Good day", asked)


async def test_in_the_supergroup_that_a_group_became_no_message_has_its_old_number(
    telegram: FakeTelegram, port: TelegramPort
) -> None:
    asked = telegram.user_says(GROUP, "@desk_bot hi")
    telegram.group_moves(GROUP, FORUM)
    telegram.world.messages[FORUM, asked] = {"message_id": asked, "from": {"id": 6}}
    await port.send(answering(asked))
    [shown] = telegram.messages(FORUM)
    assert shown.reply_to is None
