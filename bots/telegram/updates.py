"""What a Telegram update means to us."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from telegram import Chat, Message, MessageEntity, Update
from telegram.constants import ChatType

from bots.telegram.api import Me
from bots.telegram.attachments import attachments
from bots.telegram.following import Overheard
from bots.telegram.places import address, address_of, place_of
from bots.telegram.presses import Pressed, read_press
from bots.telegram.texts import in_full, storable
from core.language import is_tag, named_by
from core.turn import Address, Inbound, Kind, WorkspaceId

_CHATS = (ChatType.PRIVATE, ChatType.GROUP, ChatType.SUPERGROUP)
_COMMAND = re.compile(r"/(\w{1,32})(?:@(\w+))?(?:\s+|$)", re.ASCII)
# Two edits within a second carry the same date; the update's number tells which is newer.
_EDITS_PER_S = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A group became a supergroup, which has another id."""

    address: Address
    place: str


Meaning = Inbound | Overheard | Pressed | Moved


def read(update: Update, me: Me, workspace: WorkspaceId) -> Meaning | None:
    """The meaning of an update; None if it is not for us."""
    event_id = f"{me.id}/{update.update_id}"
    if update.callback_query is not None:
        return read_press(update.callback_query, event_id, workspace)
    message = update.message or update.edited_message
    if message is None:
        return None
    if message.migrate_to_chat_id is not None:
        return _moved(workspace, message.chat.id, message.migrate_to_chat_id)
    if message.migrate_from_chat_id is not None:
        return _moved(workspace, message.migrate_from_chat_id, message.chat.id)
    if not _is_a_persons(message) or message.chat.type not in _CHATS:
        return None
    inbound = _inbound(message, me, event_id, workspace, update)
    if inbound is None or message.chat.type == ChatType.PRIVATE or _is_addressed(message, me):
        return inbound
    # What begins with a command is for whoever knows it.
    if _COMMAND.match(_text(message)):
        return None
    return Overheard(inbound=inbound, album=message.media_group_id is not None)


def _inbound(
    message: Message, me: Me, event_id: str, workspace: WorkspaceId, update: Update
) -> Inbound | None:
    edited = update.edited_message is not None
    attached = () if message.sticker and message.sticker.emoji else attachments(message)
    kind, text = _said(message, me)
    if edited:
        if kind is not Kind.MESSAGE or not text:
            # A command is not edited into another, and a live location moves on its own.
            return None
        kind = Kind.EDIT
    elif kind is Kind.MESSAGE and not text and not attached:
        if not _text(message).strip():
            return None
        # We were called, and told nothing else.
        text = _question_above(message, me)
        kind = Kind.MESSAGE if text else Kind.OPENED
    return Inbound(
        address=address_of(workspace, message),
        event_id=event_id,
        customer=_customer(message),
        kind=kind,
        text=text,
        message_ref=str(message.message_id),
        version=version_of(message, update) if edited else 0.0,
        sent_at=message.date.timestamp(),
        language_hint=_language(message),
        attachments=attached,
    )


def _moved(workspace: WorkspaceId, old: int, new: int) -> Moved:
    return Moved(address=address(workspace, place_of(old)), place=place_of(new))


def _question_above(message: Message, me: Me) -> str:
    """What the person asked to whose message this one is a reply; empty if nobody did."""
    replied = message.reply_to_message
    if replied is None or not _is_a_persons(replied):
        return ""
    kind, text = _said(replied, me)
    return text if kind is Kind.MESSAGE else ""


def _is_a_persons(message: Message) -> bool:
    sender = message.from_user
    if sender is None or message.is_automatic_forward:
        return False
    # Another bot, or ourselves; an anonymous admin also writes through a bot of Telegram's.
    return not sender.is_bot or message.sender_chat is not None


def _is_addressed(message: Message, me: Me) -> bool:
    """In a group: by a command, by name, or as a reply to one of our messages."""
    command = _COMMAND.match(_text(message))
    if command is not None:
        return _names_us(command, me) and command[1].lower() in _COMMANDS
    replied = message.reply_to_message
    if replied is not None and replied.from_user is not None and replied.from_user.id == me.id:
        # Every message of a topic counts as a reply to its opening, which may have been ours.
        return replied.forum_topic_created is None
    return bool(_mentions(message, me))


_COMMANDS = {
    "start": Kind.OPENED,
    "help": Kind.OPENED,
    "ask": Kind.MESSAGE,
    "human": Kind.WANTS_PERSON,
    "language": Kind.CHOOSES_LANGUAGE,
}


def _said(message: Message, me: Me) -> tuple[Kind, str]:
    """What was done and the words that go with it."""
    text = _text(message)
    command = _COMMAND.match(text)
    if command is None or command[1].lower() not in _COMMANDS or not _names_us(command, me):
        return Kind.MESSAGE, _text(message, without=_mentions(message, me)).strip()
    kind, rest = _COMMANDS[command[1].lower()], text[command.end() :].strip()
    if kind is Kind.CHOOSES_LANGUAGE:
        return kind, named_by(rest) or ""
    # What follows /start is a link's payload; what follows /human is worth keeping.
    return kind, "" if kind is Kind.OPENED else rest


def _names_us(command: re.Match[str], me: Me) -> bool:
    return command[2] is None or command[2].lower() == me.username.lower()


def _mentions(message: Message, me: Me) -> list[MessageEntity]:
    """The pieces of the text that name us."""
    types: list[str | None] = [MessageEntity.MENTION, MessageEntity.TEXT_MENTION]
    entities = message.parse_entities(types) or message.parse_caption_entities(types)
    return [
        entity
        for entity, piece in entities.items()
        if piece.lower() == f"@{me.username.lower()}"
        or (entity.user is not None and entity.user.id == me.id)
    ]


def _text(message: Message, without: Iterable[MessageEntity] = ()) -> str:
    """What was written; a sticker says its emoji, and is no file for a person to look into."""
    emoji = message.sticker.emoji if message.sticker is not None else None
    return in_full(message, without=without) or storable(emoji or "")


def _customer(message: Message) -> str:
    sender: Chat | None = message.sender_chat
    return str(
        sender.id if sender is not None else message.from_user.id if message.from_user else 0
    )


def _language(message: Message) -> str | None:
    """The language of the customer's app; only a hint, and only if it looks like one."""
    code = message.from_user.language_code if message.from_user is not None else None
    return code if code is not None and is_tag(code) else None


def version_of(message: Message, update: Update) -> float:
    """What orders the edits of a message; larger is newer."""
    date = message.edit_date or message.date
    return int(date.timestamp()) + (update.update_id % _EDITS_PER_S) / _EDITS_PER_S
