"""What a press of one of our buttons does."""

from collections.abc import Awaitable
from dataclasses import dataclass, replace

import structlog
from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from telegram.error import ChatMigrated

from bots.telegram.api import TelegramApi, plain_errors
from bots.telegram.buttons import Act, Press, decode
from bots.telegram.places import address_of, chat_of
from bots.telegram.texts import storable
from core.errors import DragomanError
from core.language import is_tag
from core.phrases import Phrase, say
from core.turn import Inbound, Kind, WorkspaceId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A press; `press` is None for a button that is none of ours.

    `inbound` names place and customer, and what the press says to the desk unless it is feedback.
    `keyboard` is what the message showed, if Telegram still knows.
    """

    query_id: str
    press: Press | None
    inbound: Inbound
    message_id: int
    keyboard: InlineKeyboardMarkup | None


def read_press(query: CallbackQuery, event_id: str, workspace: WorkspaceId) -> Pressed | None:
    """The meaning of a callback query; None if it belongs to no message of ours."""
    message = query.message
    if message is None or query.data is None or query.from_user.is_bot:
        return None
    keyboard = message.reply_markup if isinstance(message, Message) else None
    code = query.from_user.language_code
    inbound = Inbound(
        address=address_of(workspace, message),
        event_id=event_id,
        customer=str(query.from_user.id),
        # It begins with the message that the button stands under, as a reply's address.
        message_ref=f"{message.message_id}/press/{event_id}",
        language_hint=code if code is not None and is_tag(code) else None,
    )
    press = decode(query.data)
    if press is not None:
        inbound = _meant(press, inbound, _label(keyboard, query.data), message.message_id)
    return Pressed(
        query_id=query.id,
        press=press,
        inbound=inbound,
        message_id=message.message_id,
        keyboard=keyboard,
    )


def _meant(press: Press, inbound: Inbound, label: str, message_id: int) -> Inbound:
    if press.act is Act.PERSON:
        return replace(inbound, kind=Kind.WANTS_PERSON)
    if press.act is Act.RATING:
        return replace(inbound, kind=Kind.RATES, text=press.value, target=press.turn)
    if press.act is Act.LANGUAGE:
        return replace(inbound, kind=Kind.CHOOSES_LANGUAGE, text=press.value)
    if press.act is Act.CHOICE:
        # The same choice of the same menu is answered once, however often it is pressed.
        ref = f"{message_id}/choice/{press.value}"
        return replace(inbound, text=storable(label).strip(), message_ref=ref)
    return inbound


def _label(keyboard: InlineKeyboardMarkup | None, data: str) -> str:
    rows = keyboard.inline_keyboard if keyboard is not None else ()
    return next((button.text for row in rows for button in row if button.callback_data == data), "")


def notice(pressed: Pressed, *, kept: bool) -> str:
    """What to show at the top of the customer's screen for a moment; empty for nothing."""
    press = pressed.press
    if press is None or not kept:
        return ""
    if press.act is Act.FEEDBACK:
        return say(Phrase.FEEDBACK_THANKS, press.language)
    if press.act is Act.CHOICE and not pressed.inbound.text:
        # Telegram no longer knows the message, so nobody knows what the button said.
        return say(Phrase.ASK_FOR_WORDS, press.language)
    return ""


async def acknowledge(api: TelegramApi, pressed: Pressed, text: str) -> None:
    """End the waiting sign on the button and take away what was chosen; a failure is only logged.

    Until a callback query is answered the customer's app shows that it is being worked on.
    """
    await _tried(api.bot.answer_callback_query(pressed.query_id, text or None))
    # After an outage the query is too old to be answered, and the button still there.
    await _tried(_take_away(api, pressed))


async def _tried(step: Awaitable[object]) -> None:
    try:
        with plain_errors():
            await step
    except (DragomanError, TimeoutError, ChatMigrated) as error:
        log.info("telegram_press_not_acknowledged", error=str(error))


async def _take_away(api: TelegramApi, pressed: Pressed) -> None:
    """Remove the buttons of the kind that was pressed, so that nobody wonders if it worked."""
    chat_id, _ = chat_of(pressed.inbound.address.place)
    if pressed.keyboard is None or pressed.press is None or not api.limits.spare(chat_id):
        return
    left = without(pressed.keyboard, pressed.press.act)
    await api.bot.edit_message_reply_markup(chat_id, pressed.message_id, reply_markup=left)


def without(keyboard: InlineKeyboardMarkup, act: Act) -> InlineKeyboardMarkup | None:
    """The keyboard without the buttons of one act; None if no button is left."""
    rows = [[button for button in row if not _is(button, act)] for row in keyboard.inline_keyboard]
    rows = [row for row in rows if row]
    return InlineKeyboardMarkup(rows) if rows else None


def _is(button: InlineKeyboardButton, act: Act) -> bool:
    press = decode(button.callback_data) if isinstance(button.callback_data, str) else None
    return press is not None and press.act is act
