"""Replies on their way to a Telegram chat."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import structlog
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, RetryAfter

from bots.telegram.api import TelegramApi, plain_errors, wait_of
from bots.telegram.buttons import Keyboard
from bots.telegram.carrying import Carrier, takes_words
from bots.telegram.files import TelegramFiles
from bots.telegram.places import chat_of
from bots.telegram.rendering import Body, render
from core.errors import Rejected
from core.ports import Files
from core.turn import Address, Channel, Parcel, Served, Turn

log = structlog.get_logger()

# A preview would make Telegram fetch the address before anybody has read it.
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class TelegramPort:
    """The way out to Telegram chats."""

    def __init__(self, api: TelegramApi, files: Mapping[Channel, Files] | None = None) -> None:
        """Send as the bot of `api`, within its limits; `files` brings those of other channels."""
        self._api = api
        self._carrier = Carrier(
            api, {Channel.TELEGRAM: TelegramFiles(api)} if files is None else files
        )

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        """Cut a reply into messages of at most 4,096 UTF-16 units."""
        return render(served, turn)

    def book(self, address: Address) -> float:
        """Seconds until our limits let a message out; a place that does not exist needs none."""
        try:
            chat_id, _ = chat_of(address.place)
        except Rejected:
            return 0.0
        return self._api.limits.book(chat_id)

    async def send(self, parcel: Parcel) -> str:
        """Send one message, for which a place was booked; its id counts within the chat."""
        chat_id, thread_id = chat_of(parcel.address.place)
        if parcel.replaces:
            await self._replace(chat_id, parcel)
            return parcel.replaces
        body = Body.from_json(parcel.body)
        with plain_errors():
            try:
                return await self._send(chat_id, thread_id, body)
            except ChatMigrated as moved:
                # A group that became a supergroup; it had no topics before, and counts anew.
                log.info("telegram_group_moved")
                return await self._send(moved.new_chat_id, None, replace(body, reply_to=None))

    async def find(self, parcel: Parcel) -> NoReturn:
        """Say that a bot cannot read a chat back."""
        raise LookupError("a Telegram bot cannot read its own messages back")

    async def _replace(self, chat_id: int, parcel: Parcel) -> None:
        """Change a message of ours, or take it back; Telegram allows the latter for 48 hours."""
        number = int(parcel.replaces)
        with plain_errors():
            try:
                if parcel.body:
                    await self._edit(chat_id, number, Body.from_json(parcel.body))
                else:
                    await self._api.bot.delete_message(chat_id, number)
            except BadRequest as error:
                # Done already, as after a crash.
                done = ("message is not modified", "message to delete not found")
                if not any(text in error.message.lower() for text in done):
                    raise
            except ChatMigrated as moved:
                raise Rejected("telegram: the message is in a group that has moved") from moved

    async def _edit(self, chat_id: int, number: int, body: Body) -> None:
        """Change a message's text; of a file, only what stands under it can be changed."""
        markup = markup_of(body.buttons)
        if body.file is None:
            await self._api.bot.edit_message_text(
                body.html,
                chat_id,
                number,
                parse_mode=ParseMode.HTML,
                link_preview_options=NO_PREVIEW,
                reply_markup=markup,
            )
        elif takes_words(body.file):
            await self._api.bot.edit_message_caption(
                chat_id,
                number,
                caption=body.html,
                parse_mode=ParseMode.HTML,
                reply_markup=markup,
            )

    async def _send(self, chat_id: int, thread_id: int | None, body: Body) -> str:
        try:
            if body.load is not None:
                carrying = self._carrier.carry(
                    chat_id,
                    thread_id,
                    body.load,
                    markup=markup_of(body.buttons),
                    reply=_reply_to(body),
                )
                return str(await carrying)
            return await self._post(chat_id, thread_id, body.html, body, ParseMode.HTML)
        except BadRequest as error:
            if "can't parse entities" not in error.message.lower():
                raise
            log.warning("telegram_html_refused")
            return await self._post(chat_id, thread_id, body.plain, body, None)
        except RetryAfter as error:
            self._api.limits.pause(chat_id, wait_of(error))
            raise

    async def _post(
        self, chat_id: int, thread_id: int | None, text: str, body: Body, mode: ParseMode | None
    ) -> str:
        message = await self._api.bot.send_message(
            chat_id=chat_id,
            text=text,
            parse_mode=mode,
            message_thread_id=thread_id,
            link_preview_options=NO_PREVIEW,
            reply_markup=markup_of(body.buttons),
            reply_parameters=_reply_to(body),
        )
        return str(message.message_id)


def _reply_to(body: Body) -> ReplyParameters | None:
    """The message that a body answers, unless that one is gone by then."""
    if body.reply_to is None:
        return None
    return ReplyParameters(body.reply_to, allow_sending_without_reply=True)


def markup_of(buttons: Keyboard) -> InlineKeyboardMarkup | None:
    """The buttons as the library spells them; None for none."""
    if not buttons:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(b.label, callback_data=b.data) for b in row] for row in buttons]
    )
