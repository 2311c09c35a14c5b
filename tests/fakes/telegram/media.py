"""Files that a bot sends, by their id or by uploading them."""

import itertools
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.telegram.limits import FloodGate
from tests.fakes.telegram.markup import parse_html, units
from tests.fakes.telegram.refusal import Refusal
from tests.fakes.telegram.world import Json, World

KINDS = ("photo", "voice", "audio", "video", "document", "sticker")
MAX_CAPTION_UNITS = 1024
MAX_UPLOAD_BYTES = 50 * 1024 * 1024


class Media:
    """The methods of the Bot API that send files; `files` is what each id stands for."""

    def __init__(
        self, world: World, gate: FloodGate, files: dict[str, bytes], under: Callable[[Json], Json]
    ) -> None:
        self.world = world
        self.gate = gate
        self.files = files
        self._under = under
        self._numbers = itertools.count(1)
        self.table: dict[str, Callable[[Json], Any]] = {
            **{f"send{kind}": self._sender(kind) for kind in KINDS},
            "sendlocation": self._locate,
            "sendcontact": self._introduce,
            "copymessage": self._copy,
            "editmessagecaption": self._edit_caption,
        }

    def _sender(self, kind: str) -> Callable[[Json], Json]:
        def send(fields: Json) -> Json:
            file_id = self._file(kind, fields.get(kind))
            item: Json = {"file_id": file_id, "file_unique_id": file_id, **_SHAPES.get(kind, {})}
            return self._write(fields, **{kind: [item] if kind == "photo" else item})

        return send

    def _file(self, kind: str, given: Any) -> str:
        if isinstance(given, web.FileField):
            content = given.file.read()
            if len(content) > MAX_UPLOAD_BYTES:
                raise Refusal(413, "Request Entity Too Large")
            file_id = f"file-{kind}-uploaded-{next(self._numbers)}"
            self.files[file_id] = content
            return file_id
        if given not in self.files:
            raise Refusal(400, "Bad Request: wrong remote file identifier specified")
        known = str(given).split("-")[1]
        if known != kind:
            kinds = f"{known.title()} as {kind.title()}"
            raise Refusal(400, f"Bad Request: can't use file of type {kinds}")
        return str(given)

    def _write(self, fields: Json, **content: object) -> Json:
        chat_id = int(fields["chat_id"])
        thread = int(fields["message_thread_id"]) if "message_thread_id" in fields else None
        chat = self.world.writable(chat_id, thread)
        content |= _caption(fields) | self._under(fields)
        self.gate.pass_through(chat_id)
        return self.world.write(chat, self.world.bot, thread, **content)

    def _locate(self, fields: Json) -> Json:
        place = {"latitude": float(fields["latitude"]), "longitude": float(fields["longitude"])}
        return self._write(fields, location=place)

    def _introduce(self, fields: Json) -> Json:
        given = {name: str(fields.get(name, "")) for name in ("phone_number", "first_name")}
        for name, value in given.items():
            if not value:
                raise Refusal(400, f"Bad Request: {name.replace('_', ' ')} is empty")
        return self._write(fields, contact=given)

    def _copy(self, fields: Json) -> Json:
        source = self.world.messages.get((int(fields["from_chat_id"]), int(fields["message_id"])))
        if source is None:
            raise Refusal(400, "Bad Request: message to copy not found")
        kept = {k: v for k, v in source.items() if k in (*KINDS, "text", "caption", "poll", "dice")}
        return {"message_id": self._write(fields, **kept)["message_id"]}

    def _edit_caption(self, fields: Json) -> Json:
        chat_id = int(fields["chat_id"])
        self.world.writable(chat_id, None)
        message = self.world.own_message(chat_id, int(fields["message_id"]))
        if not any(kind in message for kind in KINDS if kind != "sticker"):
            raise Refusal(400, "Bad Request: there is no caption in the message to edit")
        # What an edit does not name is gone.
        gone = {"caption": None, "caption_entities": None, "reply_markup": None}
        content = gone | _caption(fields) | self._under(fields)
        if all(message.get(name) == value for name, value in content.items()):
            raise Refusal(400, "Bad Request: message is not modified")
        self.gate.pass_through(chat_id)
        message.update(content)
        for name in [name for name, value in content.items() if value is None]:
            del message[name]
        return message


_SHAPES: dict[str, Json] = {
    "photo": {"width": 90, "height": 60},
    "video": {"width": 90, "height": 60, "duration": 3},
    "voice": {"duration": 3},
    "audio": {"duration": 3},
    "sticker": {
        "type": "regular",
        "width": 512,
        "height": 512,
        "is_animated": False,
        "is_video": False,
    },
}


def _caption(fields: Json) -> Json:
    caption = str(fields.get("caption", ""))
    entities: list[Json] = []
    if not caption:
        return {}
    if str(fields.get("parse_mode", "")).lower() == "html":
        caption, entities = parse_html(caption)
    if units(caption) > MAX_CAPTION_UNITS:
        raise Refusal(400, "Bad Request: message caption is too long")
    return {"caption": caption, "caption_entities": entities}
