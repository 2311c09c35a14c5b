"""Topics of a forum, who is in it, and what a bot may do there."""

from collections.abc import Callable
from typing import Any

from tests.fakes.telegram.limits import FloodGate
from tests.fakes.telegram.refusal import Refusal
from tests.fakes.telegram.world import Chat, Json, Topic, World

# Some of those that the real server offers, each with its id.
ICONS = {"❓": "501", "🔥": "502", "💬": "503", "📆": "504", "✅": "505", "🤖": "506", "💡": "507"}
MAX_NAME_CHARS = 128


class Forum:
    """The methods of the Bot API that are about forums."""

    def __init__(self, world: World, gate: FloodGate) -> None:
        self.world = world
        self.gate = gate
        self.table: dict[str, Callable[[Json], Any]] = {
            "getchat": self._get_chat,
            "getchatmember": self._get_member,
            "getforumtopiciconstickers": lambda fields: [_sticker(emoji) for emoji in ICONS],
            "createforumtopic": self._create,
            "editforumtopic": self._edit,
            "closeforumtopic": lambda fields: self._close(fields, closed=True),
            "reopenforumtopic": lambda fields: self._close(fields, closed=False),
        }

    def _chat(self, fields: Json) -> Chat:
        return self.world.writable(int(fields["chat_id"]), None)

    def _get_chat(self, fields: Json) -> Json:
        chat = self._chat(fields)
        return {**chat.as_json(), "accent_color_id": 0, "max_reaction_count": 1}

    def _get_member(self, fields: Json) -> Json:
        chat, user = self._chat(fields), int(fields["user_id"])
        if user == self.world.bot["id"]:
            if chat.bot_rights is None:
                return {"status": "member", "user": self.world.bot}
            return {"status": "administrator", "user": self.world.bot, **_rights(chat)}
        status = "member" if user in chat.members else "left"
        person = {"id": user, "is_bot": False, "first_name": "Person"}
        return {"status": status, "user": person}

    def _manageable(self, fields: Json) -> Chat:
        chat = self._chat(fields)
        if not chat.is_forum:
            raise Refusal(400, "Bad Request: the chat is not a forum")
        if not (chat.bot_rights or {}).get("can_manage_topics"):
            raise Refusal(400, "Bad Request: not enough rights to create a topic")
        return chat

    def _create(self, fields: Json) -> Json:
        chat = self._manageable(fields)
        name, icon = _named(fields), _icon(fields)
        self.gate.pass_through(chat.id)
        made = {
            "name": name,
            "icon_color": 7322096,
            **({"icon_custom_emoji_id": icon} if icon else {}),
        }
        message = self.world.write(chat, self.world.bot, None, forum_topic_created=made)
        thread = int(message["message_id"])
        message |= {"message_thread_id": thread, "is_topic_message": True}
        chat.topics[thread] = Topic(name=name, icon=icon)
        return {"message_thread_id": thread, **made}

    def _topic(self, fields: Json) -> Topic:
        chat, thread = self._manageable(fields), int(fields["message_thread_id"])
        if thread not in chat.topics:
            raise Refusal(400, "Bad Request: message thread not found")
        return chat.topics[thread]

    def _edit(self, fields: Json) -> bool:
        topic = self._topic(fields)
        name, icon = _named(fields), _icon(fields)
        if (name, icon) == (topic.name, topic.icon):
            raise Refusal(400, "Bad Request: TOPIC_NOT_MODIFIED")
        self.gate.pass_through(int(fields["chat_id"]))
        topic.name, topic.icon = name, icon
        return True

    def _close(self, fields: Json, *, closed: bool) -> bool:
        topic = self._topic(fields)
        if topic.closed == closed:
            raise Refusal(400, "Bad Request: TOPIC_NOT_MODIFIED")
        self.gate.pass_through(int(fields["chat_id"]))
        topic.closed = closed
        return True


def _named(fields: Json) -> str:
    name = str(fields.get("name", ""))
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise Refusal(400, "Bad Request: topic name is empty or too long")
    return name


def _icon(fields: Json) -> str:
    icon = str(fields.get("icon_custom_emoji_id", ""))
    if icon and icon not in ICONS.values():
        raise Refusal(400, "Bad Request: DOCUMENT_INVALID")
    return icon


def _rights(chat: Chat) -> Json:
    named = (
        *("can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages"),
        *("can_manage_video_chats", "can_restrict_members", "can_promote_members"),
        *("can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories"),
        *("can_delete_stories", "can_manage_topics"),
    )
    return dict.fromkeys(named, False) | (chat.bot_rights or {})


def _sticker(emoji: str) -> Json:
    return {
        "file_id": f"sticker-{ICONS[emoji]}",
        "file_unique_id": f"sticker-{ICONS[emoji]}",
        "type": "custom_emoji",
        "width": 100,
        "height": 100,
        "is_animated": False,
        "is_video": False,
        "emoji": emoji,
        "custom_emoji_id": ICONS[emoji],
    }
