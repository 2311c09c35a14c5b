"""What an update in the desk's group means."""

import re
from dataclasses import dataclass
from enum import StrEnum

from telegram import CallbackQuery, Message, MessageEntity, Update, User

from bots.telegram.attachments import attachments
from bots.telegram.desk.keys import DecisionPress, Key, KeyPress, decode
from bots.telegram.texts import in_full, storable
from bots.telegram.updates import version_of
from core.language import is_tag
from core.staff import tidy_name
from core.turn import Attachment

# What begins a message that no customer may read.
NOTE_MARK = "//"
TAKE_BACK = "/delete"
HELP = "/help"
_COMMAND = re.compile(r"(/\w{1,32})(?:@\w+)?(?=\s|$)", re.ASCII)
_NOTE = re.compile(r"//+\s*|/note(?:@\w+)?(?:\s+|$)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who did something, as Telegram knows them; `language` is that of their app, or empty."""

    id: int
    name: str
    language: str


class Tone(StrEnum):
    """For whom a message is meant."""

    CUSTOMER = "customer"
    # Among colleagues, and its author knows it.
    TEAM = "team"
    # Not for the customer, which its author may not know.
    DOUBTFUL = "doubtful"
    HELP = "help"
    TAKE_BACK = "take_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message in a topic; `replied` is the one that it answers.

    That one is the program's if `to_bot`, and one of its suggested replies if `suggestion`. Items
    of one `album` share its id. Without a `person` nobody can tell who wrote it: an anonymous admin
    or a channel. Of a message and its edits, the one with the larger `version` is newer.
    """

    chat_id: int
    thread: int
    message: int
    update: int
    sent_at: float
    person: Person | None
    text: str
    tone: Tone
    version: float
    edited: bool = False
    replied: int | None = None
    to_bot: bool = False
    suggestion: bool = False
    album: str = ""
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button of the desk; `said` is the text above it, empty where that is too old to be told."""

    query_id: str
    message: int
    person: Person
    press: KeyPress | DecisionPress | None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMoved:
    """The group got another id."""

    chat_id: int


DeskMeaning = Written | Pressed | GroupMoved


def chat_in(update: Update) -> int | None:
    """The chat that an update is about."""
    message = update.message or update.edited_message
    if message is None and update.callback_query is not None:
        shown = update.callback_query.message
        return shown.chat.id if shown is not None else None
    return message.chat.id if message is not None else None


def read(update: Update) -> DeskMeaning | None:
    """The meaning of an update in the group; None for what concerns no conversation."""
    if update.callback_query is not None:
        return _pressed(update.callback_query)
    message = update.message or update.edited_message
    if message is None:
        return None
    if message.migrate_to_chat_id is not None:
        return GroupMoved(chat_id=message.migrate_to_chat_id)
    # Replies in "General" carry a thread's id as well, which is no topic.
    if not message.is_topic_message or message.message_thread_id is None or _is_service(message):
        return None
    return _written(message, update, message.message_thread_id)


def _written(message: Message, update: Update, thread: int) -> Written | None:
    sender = message.from_user
    unnamed = message.sender_chat is not None or sender is None
    if not unnamed and sender is not None and sender.is_bot:
        return None
    text = (in_full(message) or storable(_emoji(message))).strip()
    edited = update.edited_message is not None
    if edited and message.location is not None and not text:
        # A live location moves on its own.
        return None
    replied = _replied(message)
    to_bot = replied is not None and _is_bots(replied)
    to_self = replied is not None and replied.from_user == sender
    return Written(
        chat_id=message.chat.id,
        thread=thread,
        message=message.message_id,
        update=update.update_id,
        sent_at=message.date.timestamp(),
        person=person_of(sender) if sender is not None and not unnamed else None,
        text=_NOTE.sub("", text, count=1) if _NOTE.match(text) else text,
        tone=_tone(
            text,
            talks_to_colleague=replied is not None and not to_bot and not to_self,
            # Also where it was made one only after the customer had read it.
            below_note=replied is not None and _NOTE.match(in_full(replied).strip()) is not None,
            message=message,
        ),
        version=version_of(message, update),
        edited=edited,
        replied=replied.message_id if replied is not None else None,
        to_bot=to_bot,
        suggestion=to_bot and replied is not None and _is_suggestion(replied),
        album=message.media_group_id or "",
        files=() if _emoji(message) else attachments(message),
    )


def _tone(text: str, *, talks_to_colleague: bool, below_note: bool, message: Message) -> Tone:
    command = _COMMAND.match(text)
    if command is not None and command[1].lower() == HELP:
        return Tone.HELP
    if command is not None and command[1].lower() == TAKE_BACK:
        return Tone.TAKE_BACK
    if _NOTE.match(text) or talks_to_colleague:
        return Tone.TEAM
    # A mistyped command is not for the customer, nor is what calls a colleague.
    calls = any(entity.offset == 0 and "mention" in entity.type for entity in _entities(message))
    doubtful = text.startswith("/") or calls or below_note
    return Tone.DOUBTFUL if doubtful else Tone.CUSTOMER


def _entities(message: Message) -> tuple[MessageEntity, ...]:
    return (*message.entities, *message.caption_entities)


def _replied(message: Message) -> Message | None:
    """The message that this one answers; in a topic each answers at least its opening."""
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created is not None:
        return None
    return None if replied.message_id == message.message_thread_id else replied


def _is_bots(message: Message) -> bool:
    # An anonymous admin or a channel, too, writes through a bot: Telegram's.
    return (
        message.from_user is not None and message.from_user.is_bot and message.sender_chat is None
    )


def _is_suggestion(message: Message) -> bool:
    rows = message.reply_markup.inline_keyboard if message.reply_markup is not None else ()
    presses = (decode(str(button.callback_data)) for row in rows for button in row)
    return any(isinstance(press, KeyPress) and press.key is Key.USE for press in presses)


def _emoji(message: Message) -> str:
    return (message.sticker.emoji or "") if message.sticker is not None else ""


def _is_service(message: Message) -> bool:
    """Whether it tells of the topic or the group, and nobody wrote it."""
    return not (message.text or message.caption or message.effective_attachment)


def _pressed(query: CallbackQuery) -> Pressed | None:
    if query.message is None or query.data is None or query.from_user.is_bot:
        return None
    return Pressed(
        query_id=query.id,
        message=query.message.message_id,
        person=person_of(query.from_user),
        press=decode(query.data),
        said=(query.message.text or "") if isinstance(query.message, Message) else "",
    )


def person_of(user: User) -> Person:
    """A user as an agent."""
    code = user.language_code
    return Person(
        id=user.id,
        name=tidy_name(storable(user.full_name)) or str(user.id),
        language=code if code is not None and is_tag(code) else "",
    )
