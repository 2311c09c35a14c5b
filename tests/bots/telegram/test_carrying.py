"""Files that agents send reach customers in Telegram, wherever the agent sent them from."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import pytest

from bots.telegram.api import TelegramApi
from bots.telegram.files import TelegramFiles
from bots.telegram.sending import TelegramPort
from core.errors import Rejected
from core.turn import (
    Address,
    Attachment,
    Channel,
    ConversationId,
    Parcel,
    Served,
    Turn,
    TurnId,
    Words,
    WorkspaceId,
)
from tests.fakes.telegram import FakeTelegram

CHAT = 1001
ADDRESS = Address(workspace=WorkspaceId("acme"), channel=Channel.TELEGRAM, place=str(CHAT))
TURN = Turn(id=TurnId(1), conversation=ConversationId(1), address=ADDRESS, text="")
PDF = Attachment(kind="document", ref="", name="invoice.pdf", channel="telegram")


class Elsewhere:
    """The files of another channel."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def fetch(self, file: Attachment, *, max_bytes: int) -> bytes:
        if len(self.content) > max_bytes:
            raise Rejected("too large")
        return self.content


async def say(port: TelegramPort, words: Words, *, replaces: Sequence[str] = ()) -> list[str]:
    """Send words, or change in place what was sent before; the ids of their messages."""
    served = Served(outcome=words, language="en", probability=0.0)
    bodies = port.render(served, TURN)
    parts = zip_longest(bodies, replaces, fillvalue="")
    return [
        await port.send(Parcel(id=number, address=ADDRESS, body=body, replaces=ref))
        for number, (body, ref) in enumerate(parts)
    ]


@pytest.mark.parametrize("kind", ["photo", "voice", "audio", "video", "document", "sticker"])
async def test_what_telegram_has_already_is_sent_by_its_id(
    api: TelegramApi, telegram: FakeTelegram, kind: str
) -> None:
    telegram.user_says(CHAT, "hello")
    file_id = telegram.user_sends(2002, kind)
    file = Attachment(kind=kind, ref=file_id, channel="telegram")
    await say(TelegramPort(api), Words(text="Here it is", sender="Anna", attachments=(file,)))
    shown, *below = telegram.messages(CHAT)
    assert shown.file == (kind, file_id)
    # Telegram shows no words under a sticker.
    assert [shown.text, *(message.text for message in below)] == (
        ["", "Anna\nHere it is"] if kind == "sticker" else ["Anna\nHere it is"]
    )


async def test_a_place_and_a_contact_are_sent_as_such(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    sent = (
        Attachment(kind="location", ref="52.5,13.4", channel="telegram"),
        Attachment(kind="contact", ref="+4930999", name="Kurier", channel="telegram"),
        Attachment(kind="contact", ref="+4930998", channel="telegram"),
    )
    await say(TelegramPort(api), Words(text="Here they are", sender="Anna", attachments=sent))
    place, named, nameless, words = list(telegram.world.messages.values())[1:]
    assert place["location"] == {"latitude": 52.5, "longitude": 13.4}
    assert named["contact"] == {"phone_number": "+4930999", "first_name": "Kurier"}
    assert nameless["contact"]["phone_number"] == "+4930998"
    assert words["text"] == "Anna\nHere they are"


async def test_what_came_by_another_channel_is_uploaded(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    port = TelegramPort(api, {Channel.SLACK: Elsewhere(b"%PDF of an invoice")})
    file = replace(PDF, ref="F123", channel="slack")
    await say(port, Words(text="", attachments=(file,)))
    [shown] = telegram.messages(CHAT)
    assert shown.file is not None
    assert telegram.methods.files[shown.file[1]] == b"%PDF of an invoice"


async def test_what_is_too_large_or_from_nowhere_is_refused(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    port = TelegramPort(api, {Channel.SLACK: Elsewhere(bytes(50 * 1024 * 1024 + 1))})
    for channel in ("slack", "web"):
        with pytest.raises(Rejected):
            await say(port, Words(text="", attachments=(replace(PDF, channel=channel),)))
    with pytest.raises(Rejected):
        await TelegramFiles(api).fetch(replace(PDF, size_bytes=21 * 1024 * 1024), max_bytes=2**30)
    with pytest.raises(Rejected):
        await TelegramFiles(api).fetch(replace(PDF, ref="nobody's"), max_bytes=2**30)
    assert telegram.messages(CHAT) == ()


LONG = " ".join(f"word {number}" for number in range(300))
LONGER = " ".join(f"word {number}" for number in range(800))


def files(telegram: FakeTelegram, count: int, kind: str = "document") -> tuple[Attachment, ...]:
    return tuple(replace(PDF, kind=kind, ref=telegram.user_sends(2002, kind)) for _ in range(count))


async def test_several_files_come_before_the_words_which_begin_under_the_last(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    sent = files(telegram, 2)
    await say(TelegramPort(api), Words(text=LONG, sender="Anna", attachments=sent))
    shown = telegram.messages(CHAT)
    assert [message.file and message.file[1] for message in shown] == [*(f.ref for f in sent), None]
    assert shown[0].text == ""
    assert shown[1].text.startswith("Anna\nword")
    assert " ".join(f"{shown[1].text} {shown[2].text}".split()) == f"Anna {LONG}"


@pytest.mark.parametrize("kind", ["document", "photo", "sticker"])
@pytest.mark.parametrize("count", [1, 2])
async def test_words_beside_files_are_changed_whatever_their_length_and_the_files_stay(
    api: TelegramApi, telegram: FakeTelegram, count: int, kind: str
) -> None:
    telegram.user_says(CHAT, "hello")
    port, sent, refs = TelegramPort(api), files(telegram, count, kind), list[str]()
    for text in ("your invoise", "your invoice", LONG, LONGER, "", LONG, "your invoice"):
        arrived = await say(port, Words(text=text, sender="Anna", attachments=sent), replaces=refs)
        shown = telegram.messages(CHAT)
        refs = [ref for ref in arrived if int(ref) in {message.message_id for message in shown}]
        assert [m.file for m in shown if m.file] == [(kind, file.ref) for file in sent]
        read = " ".join(message.text for message in shown)
        has_name = text or kind != "sticker"
        assert read.split() == [*(["Anna"] if has_name else []), *text.split()]
    await say(port, Words(text="", sender="Anna"), replaces=refs)
    assert telegram.messages(CHAT) == ()


async def test_a_caption_that_is_changed_to_nothing_is_gone(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    port, sent = TelegramPort(api), files(telegram, 1)
    refs = await say(port, Words(text="not for you", attachments=sent))
    for _ in range(2):
        await say(port, Words(text="", attachments=sent), replaces=refs)
    [shown] = telegram.messages(CHAT)
    assert (shown.text, shown.file) == ("", ("document", sent[0].ref))
