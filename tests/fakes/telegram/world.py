"""The chats, people and messages that the server knows."""

import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.telegram.markup import units
from tests.fakes.telegram.refusal import Refusal

Json = dict[str, Any]

SUPERGROUP_IDS_UNTIL = -1_000_000_000_000
_ENTITY = re.compile(r"(?<!\S)(/\w+(?:@\w+)?)|(?<!\w)(@\w{5,32})", re.ASCII)


@dataclass(slots=True)
class Topic:
    """A thread of a forum; `icon` is the id of a custom emoji."""

    name: str = "Topic"
    icon: str = ""
    closed: bool = False


@dataclass(slots=True)
class Chat:
    """A private chat or a group; `topics` are the threads of a forum.

    `members` are people; `bot_rights` is None where the bot is no admin.
    """

    id: int
    type: str
    is_forum: bool = False
    topics: dict[int, Topic] = field(default_factory=dict)
    members: set[int] = field(default_factory=set)
    bot_rights: Json | None = None
    blocked: bool = False
    moved_to: int | None = None

    def as_json(self) -> Json:
        chat: Json = {"id": self.id, "type": self.type}
        if self.type == "private":
            chat["first_name"] = "Customer"
        else:
            chat["title"] = f"Group {self.id}"
        if self.is_forum:
            chat["is_forum"] = True
        return chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One of the bot's messages as a customer sees it; `buttons` are (label, data)."""

    message_id: int
    text: str
    entities: tuple[Json, ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()
    thread: int | None = None
    preview: bool = True
    # What kind of file it is, and its id.
    file: tuple[str, str] | None = None
    reply_to: int | None = None


class World:
    """What exists, whoever asks for it."""

    def __init__(self, bot_id: int, username: str) -> None:
        self.bot: Json = {
            "id": bot_id,
            "is_bot": True,
            "first_name": "Desk",
            "username": username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.chats: dict[int, Chat] = {}
        self.messages: dict[tuple[int, int], Json] = {}
        self._numbers = itertools.count(1)

    def chat(self, chat_id: int) -> Chat:
        """A chat, made the first time somebody writes in it."""
        if chat_id not in self.chats:
            kind = "private" if chat_id > 0 else "group"
            if chat_id <= SUPERGROUP_IDS_UNTIL:
                kind = "supergroup"
            self.chats[chat_id] = Chat(chat_id, kind)
        return self.chats[chat_id]

    def writable(self, chat_id: int, thread: int | None) -> Chat:
        """A chat that the bot may write to, or a refusal in the server's words."""
        chat = self.chats.get(chat_id)
        if chat is None:
            raise Refusal(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.moved_to,
            )
        if chat.blocked and chat.type == "private":
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        if chat.blocked:
            raise Refusal(403, f"Forbidden: bot was kicked from the {chat.type} chat")
        if thread is not None and thread not in chat.topics:
            raise Refusal(400, "Bad Request: message thread not found")
        return chat

    def write(self, chat: Chat, sender: Json, thread: int | None, **content: object) -> Json:
        """Put a message into a chat."""
        message: Json = {
            "message_id": next(self._numbers),
            "from": sender,
            "chat": chat.as_json(),
            "date": int(time.time()),
            **content,
        }
        if thread is not None:
            message["message_thread_id"] = thread
            message["is_topic_message"] = True
        self.messages[chat.id, message["message_id"]] = message
        return message

    def own_message(self, chat_id: int, message_id: int) -> Json:
        """A message of the bot's that may be edited."""
        message = self.messages.get((chat_id, message_id))
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self.bot["id"]:
            raise Refusal(400, "Bad Request: message can't be edited")
        return message

    def shown(self, chat_id: int) -> tuple[Shown, ...]:
        """The bot's messages in a chat, oldest first."""
        return tuple(
            _shown(message)
            for (chat, _), message in self.messages.items()
            if chat == chat_id and message["from"]["id"] == self.bot["id"]
        )


def customer(user_id: int, language_code: str | None) -> Json:
    """A person as the server describes them."""
    user: Json = {"id": user_id, "is_bot": False, "first_name": "Customer"}
    if language_code is not None:
        user["language_code"] = language_code
    return user


def entities_of(text: str) -> list[Json]:
    """The commands and mentions that the server marks in what people write."""
    return [
        {
            "type": "bot_command" if match[1] else "mention",
            "offset": units(text[: match.start()]),
            "length": units(match[0]),
        }
        for match in _ENTITY.finditer(text)
    ]


def _shown(message: Json) -> Shown:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return Shown(
        message_id=message["message_id"],
        text=message.get("text", "") or message.get("caption", ""),
        entities=tuple(message.get("entities", ())),
        buttons=tuple((b["text"], b.get("callback_data", "")) for row in rows for b in row),
        thread=message.get("message_thread_id"),
        preview=not message.get("link_preview_options", {}).get("is_disabled", False),
        file=next(
            (
                (kind, (message[kind][0] if kind == "photo" else message[kind])["file_id"])
                for kind in ("photo", "voice", "audio", "video", "document", "sticker")
                if kind in message
            ),
            None,
        ),
        reply_to=message.get("reply_to_message", {}).get("message_id"),
    )
