"""Files that agents send reach customers in Telegram, wherever the agent sent them from."""

from dataclasses import replace

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


async def say(port: TelegramPort, words: Words, *, replaces: str = "") -> list[str]:
    served = Served(outcome=words, language="en", probability=0.0)
    bodies = port.render(served, TURN)
    return [
        await port.send(Parcel(id=number, address=ADDRESS, body=body, replaces=replaces))
        for number, body in enumerate(bodies)
    ]


@pytest.mark.parametrize("kind", ["photo", "voice", "audio", "video", "document", "sticker"])
async def test_what_telegram_has_already_is_sent_by_its_id(
    api: TelegramApi, telegram: FakeTelegram, kind: str
) -> None:
    telegram.user_says(CHAT, "hello")
    file_id = telegram.user_sends(2002, kind)
    file = Attachment(kind=kind, ref=file_id, channel="telegram")
    await say(TelegramPort(api), Words(text="Here it is", sender="Anna", attachments=(file,)))
    [shown] = telegram.messages(CHAT)
    assert shown.file == (kind, file_id)
    assert shown.text == ("" if kind == "sticker" else "Anna\nHere it is")


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


async def test_the_words_under_a_file_can_be_changed(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    file = replace(PDF, ref=telegram.user_sends(2002, "document"))
    port = TelegramPort(api)
    [ref] = await say(port, Words(text="your invoise", attachments=(file,)))
    await say(port, Words(text="your invoice"), replaces=ref)
    [shown] = telegram.messages(CHAT)
    assert shown.text == "your invoice"
    assert shown.file == ("document", file.ref)


async def test_several_files_and_long_words_come_in_messages_of_their_own(
    api: TelegramApi, telegram: FakeTelegram
) -> None:
    telegram.user_says(CHAT, "hello")
    files = tuple(replace(PDF, ref=telegram.user_sends(2002, "document")) for _ in range(2))
    await say(TelegramPort(api), Words(text="word " * 300, sender="Anna", attachments=files))
    shown = telegram.messages(CHAT)
    assert [message.file and message.file[1] for message in shown] == [
        *(f.ref for f in files),
        None,
    ]
    assert shown[2].text.startswith("Anna\nword")
