"""One file on its way into a Telegram chat, from there or from another channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telegram import InputFile, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest

from bots.telegram.api import TelegramApi
from bots.telegram.texts import readable
from core.errors import Rejected
from core.ports import Files
from core.turn import Attachment, Channel

# core.telegram.org/bots/api#sending-files
MAX_UPLOAD_BYTES = 50 * 1024 * 1024
MAX_CAPTION_UNITS = 1024
MAX_NAME_CHARS = 120
# The parameter that names the file, in the method of the same name.
_BY_ID = ("photo", "voice", "audio", "video", "document", "sticker")
_MESSAGE = "message:"
_WORDLESS = ("sticker", "location", "contact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A file with what is written under it, as HTML; `origin` is the channel that knows it."""

    file: Attachment
    origin: Channel
    caption: str = ""


def takes_words(file: Attachment) -> bool:
    """Whether Telegram shows words under such a file, and lets them be changed."""
    return file.kind not in _WORDLESS and not file.ref.startswith(_MESSAGE)


class Carrier:
    """Sends files by the id that Telegram knows them by, and uploads those that it does not."""

    def __init__(self, api: TelegramApi, files: Mapping[Channel, Files]) -> None:
        """Send as the bot of `api`; `files` fetches what is elsewhere."""
        self._api = api
        self._files = files

    async def carry(
        self,
        chat_id: int,
        thread_id: int | None,
        load: Load,
        *,
        markup: Any = None,
        reply: ReplyParameters | None = None,
    ) -> int:
        """Send a file for which a place was booked; the id of its message.

        Raises:
            TelegramError: as the Bot API answers.
            Rejected: it is gone or too large.
            Unavailable, TimeoutError: it cannot be fetched now.
        """
        where: dict[str, Any] = {"message_thread_id": thread_id, "reply_parameters": reply}
        more = {**where, "reply_markup": markup}
        if load.caption:
            more |= {"caption": load.caption, "parse_mode": ParseMode.HTML}
        if load.origin is not Channel.TELEGRAM:
            return await self._upload(chat_id, load, more)
        if load.file.ref.startswith(_MESSAGE):
            source, _, number = load.file.ref.removeprefix(_MESSAGE).partition("/")
            copied = await self._api.bot.copy_message(chat_id, int(source), int(number), **more)
            return copied.message_id
        if load.file.kind == "location":
            return await self._locate(chat_id, load, where)
        if load.file.kind == "contact":
            return await self._introduce(chat_id, load, where)
        try:
            return await self._send_known(chat_id, load, more)
        except BadRequest as error:
            # A round video is none of the kinds that can be sent again by their id.
            if "can't use file" not in error.message.lower():
                raise
            return await self._upload(chat_id, load, more)

    async def _send_known(self, chat_id: int, load: Load, more: dict[str, Any]) -> int:
        kind = load.file.kind if load.file.kind in _BY_ID else "document"
        if kind == "sticker":
            more = {name: value for name, value in more.items() if name not in _UNDER_A_FILE}
        send = getattr(self._api.bot, f"send_{kind}")
        message = await send(chat_id, load.file.ref, **more)
        return int(message.message_id)

    async def _locate(self, chat_id: int, load: Load, where: dict[str, Any]) -> int:
        latitude, _, longitude = load.file.ref.partition(",")
        message = await self._api.bot.send_location(
            chat_id, float(latitude), float(longitude), **where
        )
        return message.message_id

    async def _introduce(self, chat_id: int, load: Load, where: dict[str, Any]) -> int:
        message = await self._api.bot.send_contact(
            chat_id, load.file.ref, name_of(load.file), **where
        )
        return message.message_id

    async def _upload(self, chat_id: int, load: Load, more: dict[str, Any]) -> int:
        files = self._files.get(load.origin)
        if files is None:
            raise Rejected(f"no files come from {load.origin}")
        content = await files.fetch(load.file, max_bytes=MAX_UPLOAD_BYTES)
        named = InputFile(content, filename=name_of(load.file))
        message = await self._api.bot.send_document(chat_id, named, **more)
        return message.message_id


_UNDER_A_FILE = ("caption", "parse_mode")


def name_of(file: Attachment) -> str:
    """What to call a file that may have no name."""
    return " ".join(readable(file.name).split())[:MAX_NAME_CHARS] or file.kind
