"""The HTTP side of the fake Bot API, with the customers' side for tests."""

import asyncio
import itertools
import json
from collections import deque
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.telegram.delivery import DEFAULT_TYPES, Dice, Faults, Updates
from tests.fakes.telegram.limits import FloodGate, FloodLimits
from tests.fakes.telegram.methods import Methods
from tests.fakes.telegram.refusal import Refusal
from tests.fakes.telegram.world import (
    Chat,
    Json,
    Shown,
    Topic,
    World,
    customer,
    entities_of,
)

TOKEN = "7654321:AAfake-token-of-the-fake-telegram-00"
SENDS = frozenset(
    {
        *("sendmessage", "editmessagetext", "editmessagereplymarkup", "sendmessagedraft"),
        *("senddocument", "createforumtopic", "editforumtopic", "closeforumtopic"),
    }
)
NEW_FILE_BYTES = b"what a customer sent"


class FakeTelegram:
    """`async with FakeTelegram() as telegram:` serves `telegram.url` until the block ends."""

    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "desk_bot",
        faults: Faults | None = None,
        limits: FloodLimits | None = None,
        port: int = 0,
    ) -> None:
        """Without `limits` the bot may send as fast as it likes; port 0 is any free one."""
        self.token = token
        self.url = ""
        self.calls: list[tuple[str, Json]] = []
        self._dice = Dice(faults or Faults())
        self.world = World(int(token.partition(":")[0]), username)
        self.updates = Updates(self._dice)
        self.methods = Methods(self.world, FloodGate(limits))
        self._next: dict[str, deque[str]] = {}
        self._queries = itertools.count(1)
        self._port = port
        self._runner = web.AppRunner(
            self._app(), access_log=None, shutdown_timeout=0.2, handler_cancellation=True
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.updates.stop_pushing()
        await self._runner.cleanup()

    # What tests and people do -----------------------------------------------------------------

    def user_says(
        self,
        chat: int,
        text: str,
        *,
        user: int | None = None,
        thread: int | None = None,
        reply_to: int | None = None,
        language_code: str | None = "en",
        **more: object,
    ) -> int:
        """A customer writes; the message's id. `more` are further fields of the Message."""
        place = self.world.chat(chat)
        if thread is not None:
            place.is_forum = True
            place.topics.setdefault(thread, Topic())
        content: Json = {"text": text, "entities": entities_of(text)} if text else {}
        # In a topic what replies to nothing replies to the message that opened it.
        answered = self.world.messages.get((chat, reply_to or thread or 0))
        if answered is not None:
            content["reply_to_message"] = answered
        sender = customer(user or abs(chat), language_code)
        place.members.add(int(sender["id"]))
        message = self.world.write(place, sender, thread, **(content | more))
        self.updates.add("message", message)
        return int(message["message_id"])

    def user_sends(
        self,
        chat: int,
        kind: str,
        *,
        caption: str = "",
        user: int | None = None,
        thread: int | None = None,
        **fields: object,
    ) -> str:
        """A customer sends a file of that kind ("voice", "document", ...); its file_id."""
        file_id = f"file-{kind}-{len(self.methods.files)}"
        self.methods.files[file_id] = NEW_FILE_BYTES
        item: Json = {"file_id": file_id, "file_unique_id": file_id, "file_size": 20} | FILES[kind]
        more: Json = {kind: [item] if kind == "photo" else item | fields}
        if caption:
            more |= {"caption": caption, "caption_entities": entities_of(caption)}
        self.user_says(chat, "", user=user, thread=thread, **more)
        return file_id

    def user_edits(self, chat: int, message_id: int, text: str) -> None:
        """A customer edits what they wrote."""
        message = self.world.messages[chat, message_id]
        edited = {
            **message,
            "text": text,
            "entities": entities_of(text),
            "edit_date": max(message["date"], message.get("edit_date", 0)),
        }
        self.world.messages[chat, message_id] = edited
        self.updates.add("edited_message", edited)

    def user_presses(self, chat: int, label: str, *, user: int | None = None) -> str:
        """A customer presses the newest button whose label contains this; the query's id."""
        for message in reversed(self.world.shown(chat)):
            for text, data in message.buttons:
                if label in text:
                    return self.press(chat, message.message_id, data, user=user)
        raise AssertionError(f"no button in chat {chat} says {label!r}")

    def press(
        self,
        chat: int,
        message_id: int,
        data: str,
        *,
        user: int | None = None,
        language_code: str = "en",
    ) -> str:
        """A press with this callback data, as a customized app could send it too."""
        query = f"q{next(self._queries)}"
        self.methods.open_queries.add(query)
        self.updates.add(
            "callback_query",
            {
                "id": query,
                "from": customer(user or abs(chat), language_code),
                "chat_instance": "1",
                "message": self.world.messages[chat, message_id],
                "data": data,
            },
        )
        return query

    def open_forum(self, chat: int, *members: int, rights: Json | None = None) -> int:
        """A forum supergroup in which the bot manages topics, unless `rights` says otherwise."""
        place = self.world.chat(chat)
        place.is_forum = True
        place.bot_rights = {"can_manage_topics": True} if rights is None else rights
        place.members |= set(members)
        return chat

    def topic_is_deleted(self, chat: int, thread: int) -> None:
        """Somebody deletes a topic with everything in it."""
        del self.world.chats[chat].topics[thread]
        for key, message in list(self.world.messages.items()):
            if key[0] == chat and message.get("message_thread_id") == thread:
                del self.world.messages[key]

    def topics(self, chat: int) -> dict[int, Topic]:
        """The topics of a forum, by their ids."""
        return self.world.chats[chat].topics

    def in_topic(self, chat: int, thread: int) -> tuple[Shown, ...]:
        """What the bot said in a topic, beside what the server says for it."""
        said = self.world.shown(chat)
        return tuple(m for m in said if m.thread == thread and (m.text or m.file))

    def user_blocks(self, chat: int) -> None:
        """A customer blocks the bot, or a group throws it out."""
        self.world.chat(chat).blocked = True

    def group_moves(self, old: int, new: int) -> None:
        """A group becomes a supergroup."""
        self.world.chat(old).moved_to = new
        moved = self.world.chat(old)
        self.world.chats[new] = Chat(
            new,
            "supergroup",
            is_forum=moved.is_forum,
            members=moved.members,
            bot_rights=moved.bot_rights,
        )
        sender = customer(1, "en")
        note = self.world.write(self.world.chat(old), sender, None, migrate_to_chat_id=new)
        self.updates.add("message", note)

    def messages(self, chat: int) -> tuple[Shown, ...]:
        """What the bot said in a chat."""
        return self.world.shown(chat)

    def fail_next(self, method: str, fault: str, times: int = 1) -> None:
        """Make calls fail: `429:SECONDS`, `500`, `500-after`, `drop`, `drop-after`, `garbage`.

        `400:TEXT` refuses one for good, `none` lets one through.
        """
        self._next.setdefault(method.lower(), deque()).extend([fault] * times)

    # HTTP -------------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        return app

    async def _file(self, request: web.Request) -> web.Response:
        content = self.methods.files.get(request.match_info["path"].rpartition("/")[2])
        if request.match_info["token"] != self.token or content is None:
            return web.json_response(Refusal(404, "Not Found").as_json(), status=404)
        return web.Response(body=content)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"].lower()
        try:
            self._check_token(request)
            fields = await _fields(request)
            if method != "getupdates":
                self.calls.append((method, fields))
            fault = self._fault(method)
            if fault is not None and not fault.endswith("after"):
                return await _break(request, fault)
            result = await self._result(method, fields)
        except Refusal as refusal:
            return web.json_response(refusal.as_json(), status=refusal.code)
        if fault is not None:
            return await _break(request, fault)
        return web.json_response({"ok": True, "result": result})

    def _check_token(self, request: web.Request) -> None:
        if request.match_info["token"] != self.token:
            raise Refusal(401, "Unauthorized")

    def _fault(self, method: str) -> str | None:
        planned = self._next.get(method)
        if planned:
            fault = planned.popleft()
            return None if fault == "none" else fault
        faults = self._dice.faults
        if method == "getupdates":
            return "drop" if self._dice.falls(faults.drop) else None
        if method not in SENDS:
            return None
        shares = {"429:1": faults.too_many, "500-after": faults.fail_after}
        shares["drop-after"] = faults.drop_after
        return next((name for name, share in shares.items() if self._dice.falls(share)), None)

    async def _result(self, method: str, fields: Json) -> object:
        updates = self.updates
        if method == "getupdates":
            if "allowed_updates" in fields:
                updates.allowed = json.loads(fields["allowed_updates"]) or DEFAULT_TYPES
            offset = int(fields["offset"]) if "offset" in fields else None
            limit, timeout_s = int(fields.get("limit", 100)), float(fields.get("timeout", 0))
            await self._dice.delay()
            return await updates.poll(offset, limit, timeout_s)
        if method == "setwebhook" and fields.get("url"):
            updates.allowed = json.loads(fields.get("allowed_updates", "[]")) or DEFAULT_TYPES
            updates.set_hook(fields["url"], fields.get("secret_token", ""))
            return True
        if method in ("deletewebhook", "setwebhook"):
            updates.stop_pushing()
            return True
        if method == "getwebhookinfo":
            return self._hook_info()
        return self.methods.call(method, fields)

    def _hook_info(self) -> Json:
        hook = self.updates.hook
        info: Json = {
            "url": hook.url if hook else "",
            "has_custom_certificate": False,
            "pending_update_count": len(self.updates.pending),
            "allowed_updates": list(self.updates.allowed),
        }
        if hook is not None and hook.last_error:
            info |= {"last_error_date": 1, "last_error_message": hook.last_error}
        return info


FILES: dict[str, Json] = {
    "voice": {"duration": 3, "mime_type": "audio/ogg"},
    "audio": {"duration": 3},
    "document": {"file_name": "invoice.pdf", "mime_type": "application/pdf"},
    "photo": {"width": 90, "height": 60},
    "video": {"duration": 3, "width": 90, "height": 60},
    "sticker": {
        "type": "regular",
        "width": 512,
        "height": 512,
        "is_animated": False,
        "is_video": False,
        "emoji": "👍",
    },
}


async def _fields(request: web.Request) -> Json:
    """The parameters, from the address and from a form or JSON body."""
    fields: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        fields |= await request.json()
    elif request.can_read_body:
        fields |= dict(await request.post())
    return fields


async def _break(request: web.Request, fault: str) -> web.StreamResponse:
    if fault.startswith("429"):
        seconds = int(fault.partition(":")[2])
        refusal = Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        return web.json_response(refusal.as_json(), status=429)
    if fault.startswith("400"):
        refusal = Refusal(400, f"Bad Request: {fault.partition(':')[2]}")
        return web.json_response(refusal.as_json(), status=400)
    if fault.startswith("500"):
        return web.json_response(Refusal(500, "Internal Server Error").as_json(), status=500)
    if fault == "garbage":
        return web.Response(text="<html>hello</html>")
    if request.transport is not None:
        request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()
