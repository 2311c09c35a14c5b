"""The fake Slack as a server, with an API for tests to play the customer."""

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

from tests.fakes.slack import sim
from tests.fakes.slack.push import Faults, Push
from tests.fakes.slack.team import FakeFile, FakeMessage, FakeTeam
from tests.fakes.slack.web_api import WebApi
from tests.patience import PATIENCE_S


class FakeSlack:
    """Use as an async context; `team` is the one of `bot_token`."""

    def __init__(self, *, port: int = 0, faults: Faults | None = None) -> None:
        self.bot_token, self.app_token = "xoxb-fake-1", "xapp-fake-1"
        self.signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
        self.client_id, self.client_secret = "11.22", "client-secret"
        self.team = FakeTeam("T0HOME", token=self.bot_token)
        self.faults = faults or Faults()
        self.push = Push(self.faults, signing_secret=self.signing_secret)
        self.api = WebApi(
            self.faults, app_token=self.app_token, client=(self.client_id, self.client_secret)
        )
        self.api.teams[self.bot_token] = self.team
        self.api.tell, self.api.on_change = self._tell, self._change
        self.connections_opened = 0
        self.mute_sockets = False
        self._changed = asyncio.Condition()
        self._numbers: dict[str, int] = defaultdict(int)
        self._transports: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._port = port
        self.url = ""

    # -- a server ---------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self.api.serve)
        app.router.add_post("/upload/{file}", self.api.upload)
        app.router.add_get("/files-pri/{file}", self.api.download)
        app.router.add_get("/link", self._link)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        sim.add_routes(app, self)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        self.api.desk.url = self.url
        self.api.link_url = f"ws://127.0.0.1:{port}/link?ticket=1"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.push.close()
        for socket in tuple(self.push.sockets):
            await socket.close()
        await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    # -- the customer -----------------------------------------------------------------------

    def user_says(
        self,
        channel: str,
        text: str,
        *,
        thread_ts: str | None = None,
        mention: bool = False,
        user: str = "U0CUSTOMER",
        team: FakeTeam | None = None,
        files: Sequence[Mapping[str, Any]] = (),
        attachments: Sequence[Mapping[str, Any]] = (),
        event: bool = True,
    ) -> str:
        """Write as a customer; returns the `ts`. Without `event` nobody is told."""
        team = team or self.team
        written = f"<@{team.bot_user}> {text}" if mention else text
        message = team.write(
            channel,
            text=written,
            user=user,
            thread_ts=thread_ts,
            files=[dict(item) for item in files],
            attachments=[dict(item) for item in attachments],
        )
        if event:
            self._tell(team, channel, message.shown())
            if mention and team.channels[channel].kind != "im":
                self._tell(team, channel, message.shown() | {"type": "app_mention"})
        return message.ts

    def tells_again(self, channel: str, ts: str) -> None:
        """Bring a message once more, or late, as Slack does after a failure."""
        self._tell(self.team, channel, self.team.channels[channel].messages[ts].shown())

    def user_edits(self, channel: str, ts: str, text: str, *, event: bool = True) -> None:
        message = self.team.channels[channel].messages[ts]
        before = message.shown()
        message.text, message.edited = text, self.team.next_ts()
        if event:
            self._tell_change(channel, message, before)

    def user_deletes(self, channel: str, ts: str) -> None:
        """Delete a message; one that has replies is changed to a tombstone."""
        message = self.team.channels[channel].messages[ts]
        before = message.shown()
        message.deleted = True
        if self.team.channels[channel].replies(ts):
            self._tell_change(channel, message, before)
            return
        self._tell(
            self.team,
            channel,
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": ts,
                "ts": self.team.next_ts(),
                "previous_message": before,
            },
        )

    def user_deletes_file(self, channel: str, ts: str, file: str) -> None:
        """Delete a file; the message keeps a stone in its place."""
        message = self.team.channels[channel].messages[ts]
        before = message.shown()
        self.team.files[file].deleted = True
        message.files = [
            {"id": file, "mode": "tombstone"} if shown["id"] == file else shown
            for shown in message.files
        ]
        self._tell_change(channel, message, before)

    def user_opens_chat(
        self, channel: str = "D0CUSTOMER", user: str = "U0CUSTOMER", *, tab: str = "messages"
    ) -> None:
        event = {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab}
        self.push.send("events_api", self.team.callback(event, self._event_id()))

    def user_uploads(self, name: str, content: bytes, *, mimetype: str = "text/plain") -> Any:
        """A file for a message of `user_says`."""
        file = FakeFile(f"F{len(self.team.files) + 1:08d}", name, content, mimetype)
        self.team.files[file.id] = file
        return file.shown(self.url)

    def submit(self, view_id: str, values: Mapping[str, Any], *, user: str) -> None:
        """Send off a modal with what stands in its fields, by block and action."""
        view = self.api.desk.views[view_id] | {"state": {"values": values}}
        payload = {
            "type": "view_submission",
            "team": {"id": self.team.id},
            "user": {"id": user},
            "api_app_id": self.team.app_id,
            "view": view,
        }
        self.push.send("interactive", payload)

    def press_home(self, action_id: str, *, user: str) -> None:
        """Press a button on somebody's Home tab."""
        blocks = self.api.desk.homes[user]["blocks"]
        element = next(e for e in _elements(blocks) if e.get("action_id") == action_id)
        payload = {
            "type": "block_actions",
            "team": {"id": self.team.id},
            "user": {"id": user},
            "api_app_id": self.team.app_id,
            "trigger_id": self._trigger(),
            "container": {"type": "view"},
            "view": self.api.desk.homes[user],
            "actions": [_action(element)],
        }
        self.push.send("interactive", payload)

    def press(
        self,
        channel: str,
        ts: str,
        action_id: str,
        *,
        negative: bool = False,
        user: str = "U0",
        at_s: float | None = None,
    ) -> None:
        """Press a button under a message of the bot, now or at a time of Slack's clock."""
        message = self.team.channels[channel].messages[ts]
        elements = [item for block in message.blocks for item in block.get("elements", [])]
        element = next(item for item in elements if item.get("action_id") == action_id)
        pressed = f"{time.time() if at_s is None else at_s:.6f}"
        action = {"action_id": action_id, "type": element["type"], "action_ts": pressed}
        if element["type"] == "feedback_buttons":
            half = element["negative_button" if negative else "positive_button"]
            action |= {"value": half["value"], "text": half["text"]}
        else:
            action |= {"value": element["value"], "text": element["text"]}
        container = {"type": "message", "message_ts": ts, "channel_id": channel}
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = {
            "type": "block_actions",
            "team": {"id": self.team.id},
            "user": {"id": user},
            "api_app_id": self.team.app_id,
            "trigger_id": self._trigger(),
            "container": container,
            "channel": {"id": channel},
            "message": message.shown(),
            "actions": [action],
        }
        self.push.send("interactive", payload)

    def _trigger(self) -> str:
        trigger = f"trigger-{secrets.token_hex(4)}"
        self.api.desk.triggers.add(trigger)
        return trigger

    def bot_says(self, channel: str, text: str, *, thread_ts: str | None = None) -> str:
        """Write as somebody else's bot."""
        message = self.team.write(
            channel, text=text, user="UOTHERBOT", bot_id="BOTHER", thread_ts=thread_ts
        )
        self._tell(self.team, channel, message.shown() | {"subtype": "bot_message"})
        self._tell(self.team, channel, message.shown())
        return message.ts

    def messages(self, channel: str, *, bot: bool = True) -> list[FakeMessage]:
        """What stands in a channel, oldest first; only the bot's unless told otherwise."""
        found = sorted(self.team.channels[channel].messages.values(), key=lambda m: m.ts)
        mine = [m for m in found if not m.deleted and m.bot_id == self.team.bot_id]
        return mine if bot else [m for m in found if not m.deleted]

    async def replies(self, channel: str, count: int) -> list[FakeMessage]:
        """The bot's messages in a channel, once there are that many."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.messages(channel)) >= count)
        return self.messages(channel)

    async def changed(self) -> None:
        """Wait for the next call of the app."""
        async with self._changed:
            await self._changed.wait()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for the calls of the app that make something true."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(done)

    async def called(self, method: str, count: int = 1) -> None:
        """Wait until the app has called a method that often."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(
                lambda: sum(called == method for called, _ in self.api.requests) >= count
            )

    async def connected(self, count: int = 1) -> None:
        """Wait until the app has opened that many sockets altogether."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self.connections_opened >= count)

    async def disconnect(self, *, politely: bool = True) -> None:
        """End the sockets as Slack does every few hours, or as a broken network does."""
        for socket in tuple(self.push.sockets):
            if politely:
                await socket.send_str(json.dumps({"type": "disconnect", "reason": "warning"}))
            else:
                self._transports[socket].abort()

    def next_guest(self) -> FakeTeam:
        """The team whose administrator has agreed last."""
        return next(reversed(self.api.codes.values()))

    def uninstall(self, team: FakeTeam) -> None:
        team.token_works = False
        event = {"type": "app_uninstalled"}
        self.push.send("events_api", team.callback(event, self._event_id()))

    def tell(self, event: dict[str, Any]) -> None:
        """Bring any event."""
        self.push.send("events_api", self.team.callback(event, self._event_id()))

    # -- events -----------------------------------------------------------------------------

    def _tell(self, team: FakeTeam, channel: str, event: dict[str, Any]) -> None:
        place = {"channel": channel, "event_ts": event["ts"]}
        if event["type"] == "message":
            place["channel_type"] = team.channels[channel].kind
        self.push.send("events_api", team.callback(event | place, self._event_id()))

    def _tell_change(self, channel: str, message: FakeMessage, before: dict[str, Any]) -> None:
        self._tell(
            self.team,
            channel,
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "ts": self.team.next_ts(),
                "message": message.shown(),
                "previous_message": before,
            },
        )

    def _event_id(self) -> str:
        self._numbers["event"] += 1
        return f"Ev{self._numbers['event']:08d}"

    # -- Socket Mode ------------------------------------------------------------------------

    async def _link(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=not self.mute_sockets)
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        if isinstance(request.transport, asyncio.Transport):
            self._transports[socket] = request.transport
        self.push.sockets.append(socket)
        self.connections_opened += 1
        await self._change()
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    told = json.loads(frame.data)
                    self.push.acknowledged(told.get("envelope_id", ""), told.get("payload"))
        finally:
            self.push.closed(socket)
            self._transports.pop(socket, None)
        return socket

    # -- OAuth ------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """A customer's administrator who always agrees, each time for a new team."""
        code = secrets.token_hex(8)
        number = len(self.api.teams) + 1
        self.api.codes[code] = FakeTeam(f"T{number}GUEST", token=f"xoxb-fake-{number}")
        query = urlencode({"code": code, "state": request.query["state"]})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{query}")

    async def _change(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _elements(blocks: Any) -> list[dict[str, Any]]:
    """Every element of some blocks; a section may have one at its side."""
    found = [item for block in blocks for item in block.get("elements", [])]
    return found + [block["accessory"] for block in blocks if "accessory" in block]


def _action(element: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "action_id": element["action_id"],
        "type": element["type"],
        "action_ts": str(time.time()),
        "value": element["value"],
        "text": element["text"],
    }
