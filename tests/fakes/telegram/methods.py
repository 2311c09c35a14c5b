"""The methods of the Bot API, as far as a support bot calls them."""

import json
from collections.abc import Callable
from typing import Any

from tests.fakes.telegram.forum import Forum
from tests.fakes.telegram.limits import FloodGate
from tests.fakes.telegram.markup import parse_html, units
from tests.fakes.telegram.media import Media
from tests.fakes.telegram.refusal import Refusal
from tests.fakes.telegram.world import Json, World

MAX_TEXT_UNITS = 4096
MAX_DATA_BYTES = 64
MAX_NOTICE_CHARS = 200


class Methods:
    """Everything that changes or reads the world at the bot's request."""

    def __init__(self, world: World, gate: FloodGate) -> None:
        self.world = world
        self.gate = gate
        self.actions: list[tuple[int, str]] = []
        self.drafts: list[tuple[int, str]] = []
        self.notices: dict[str, str] = {}
        self.open_queries: set[str] = set()
        self.commands: dict[str, list[Json]] = {}
        self.files: dict[str, bytes] = {}
        self._table: dict[str, Callable[[Json], Any]] = {
            "getme": lambda fields: self.world.bot,
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_text,
            "editmessagereplymarkup": self._edit_markup,
            "deletemessage": self._delete,
            "sendmessagedraft": self._send_draft,
            "sendchataction": self._send_action,
            "answercallbackquery": self._answer_query,
            "setmycommands": self._set_commands,
            "getmycommands": lambda fields: self.commands.get(fields.get("language_code", ""), []),
            "getfile": self._get_file,
            **Forum(world, gate).table,
            **Media(world, gate, self.files, self._under).table,
        }

    def call(self, method: str, fields: Json) -> object:
        """The result of a method, or a refusal in the server's words."""
        handler = self._table.get(method.lower())
        if handler is None:
            raise Refusal(404, "Not Found: method not found")
        return handler(fields)

    def forget(self, method: str) -> None:
        """Be a server that is too old to know a method."""
        del self._table[method.lower()]

    def _send_message(self, fields: Json) -> Json:
        chat_id, thread = _place(fields)
        chat = self.world.writable(chat_id, thread)
        content = _text(fields)
        content |= self._under(fields)
        if "link_preview_options" in fields:
            content["link_preview_options"] = _decoded(fields["link_preview_options"])
        self.gate.pass_through(chat_id)
        return self.world.write(chat, self.world.bot, thread, **content)

    def _under(self, fields: Json) -> Json:
        return _markup(fields) | self._replied(fields)

    def _replied(self, fields: Json) -> Json:
        if "reply_parameters" not in fields:
            return {}
        replied = _decoded(fields["reply_parameters"])
        answered = self.world.messages.get((_place(fields)[0], replied["message_id"]))
        if answered is not None:
            return {"reply_to_message": answered}
        if not replied.get("allow_sending_without_reply"):
            raise Refusal(400, "Bad Request: message to be replied not found")
        return {}

    def _edit_text(self, fields: Json) -> Json:
        message = self._editable(fields)
        if "text" not in message:
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        # Buttons that an edit does not name are gone.
        content = {"reply_markup": None} | _text(fields) | _markup(fields)
        if all(message.get(name) == value for name, value in content.items()):
            raise Refusal(400, "Bad Request: message is not modified")
        self.gate.pass_through(_place(fields)[0])
        message.update(content)
        if message["reply_markup"] is None:
            del message["reply_markup"]
        return message

    def _edit_markup(self, fields: Json) -> Json:
        message = self._editable(fields)
        markup = _markup(fields)
        if markup.get("reply_markup") == message.get("reply_markup"):
            raise Refusal(400, "Bad Request: message is not modified")
        self.gate.pass_through(_place(fields)[0])
        message.pop("reply_markup", None)
        message.update(markup)
        return message

    def _delete(self, fields: Json) -> bool:
        chat_id, _ = _place(fields)
        self.world.writable(chat_id, None)
        number = _number(fields, "message_id")
        if (chat_id, number) not in self.world.messages:
            raise Refusal(400, "Bad Request: message to delete not found")
        self.world.own_message(chat_id, number)
        self.gate.pass_through(chat_id)
        del self.world.messages[chat_id, number]
        return True

    def _editable(self, fields: Json) -> Json:
        chat_id, _ = _place(fields)
        self.world.writable(chat_id, None)
        return self.world.own_message(chat_id, _number(fields, "message_id"))

    def _send_draft(self, fields: Json) -> bool:
        chat_id, thread = _place(fields)
        chat = self.world.writable(chat_id, thread)
        if chat.type != "private":
            raise Refusal(400, "Bad Request: drafts can be sent to private chats only")
        if _number(fields, "draft_id") == 0:
            raise Refusal(400, "Bad Request: draft_id must be non-zero")
        text = str(fields.get("text", ""))
        if units(text) > MAX_TEXT_UNITS:
            raise Refusal(400, "Bad Request: message is too long")
        self.gate.pass_through(chat_id)
        self.drafts.append((chat_id, text))
        return True

    def _send_action(self, fields: Json) -> bool:
        chat_id, thread = _place(fields)
        self.world.writable(chat_id, thread)
        if chat_id < 0:
            self.gate.pass_through(chat_id)
        self.actions.append((chat_id, str(fields.get("action", ""))))
        return True

    def _answer_query(self, fields: Json) -> bool:
        query = str(fields.get("callback_query_id", ""))
        if query not in self.open_queries:
            raise Refusal(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        text = str(fields.get("text", ""))
        if len(text) > MAX_NOTICE_CHARS:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        self.open_queries.discard(query)
        self.notices[query] = text
        return True

    def _set_commands(self, fields: Json) -> bool:
        commands = _decoded(fields.get("commands", "[]"))
        for command in commands:
            if (
                not 1 <= len(command["description"]) <= 256
                or not 1 <= len(command["command"]) <= 32
            ):
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        code = str(fields.get("language_code", ""))
        if code and len(code) != 2:
            raise Refusal(400, "Bad Request: LANG_CODE_INVALID")
        self.commands[code] = commands
        return True

    def _get_file(self, fields: Json) -> Json:
        file_id = str(fields.get("file_id", ""))
        if file_id not in self.files:
            raise Refusal(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        return {
            "file_id": file_id,
            "file_unique_id": file_id,
            "file_size": len(self.files[file_id]),
            "file_path": f"documents/{file_id}",
        }


def _place(fields: Json) -> tuple[int, int | None]:
    thread = fields.get("message_thread_id")
    return _number(fields, "chat_id"), int(thread) if thread is not None else None


def _number(fields: Json, name: str) -> int:
    try:
        return int(fields[name])
    except (KeyError, TypeError, ValueError):
        raise Refusal(400, f"Bad Request: {name} is empty or wrong") from None


def _decoded(value: Any) -> Any:
    """A nested value, which forms carry as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refusal(400, "Bad Request: can't parse a JSON-encoded parameter") from None


def _text(fields: Json) -> Json:
    text = str(fields.get("text", ""))
    entities: list[Json] = []
    if str(fields.get("parse_mode", "")).lower() == "html":
        text, entities = parse_html(text)
    if units(text.strip()) > MAX_TEXT_UNITS:
        raise Refusal(400, "Bad Request: message is too long")
    if not text.strip():
        raise Refusal(400, "Bad Request: message text is empty")
    return {"text": text.strip(), "entities": entities}


def _markup(fields: Json) -> Json:
    if "reply_markup" not in fields:
        return {}
    markup = _decoded(fields["reply_markup"])
    for row in markup.get("inline_keyboard", []):
        for button in row:
            if not button.get("text"):
                raise Refusal(400, "Bad Request: can't parse inline keyboard button: no text")
            if not 1 <= len(button.get("callback_data", "").encode()) <= MAX_DATA_BYTES:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": markup}
