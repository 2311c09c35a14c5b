"""The fake Slack as a server, with an API for tests to play the customer."""

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

from tests.fakes.slack import limits
from tests.fakes.slack.push import Faults, Push
from tests.fakes.slack.team import FakeMessage, FakeTeam

SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,files:read,"
    "groups:history,groups:read,im:history,im:read,im:write,users:read"
)


class Refused(Exception):
    """An answer that is not ok."""


class FakeSlack:
    """Use as an async context; `team` is the one of `bot_token`."""

    def __init__(self, *, port: int = 0, faults: Faults | None = None) -> None:
        self.bot_token, self.app_token = "xoxb-fake-1", "xapp-fake-1"
        self.signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
        self.client_id, self.client_secret = "11.22", "client-secret"
        self.team = FakeTeam("T0HOME", token=self.bot_token)
        self.teams = {self.bot_token: self.team}
        self.faults = faults or Faults()
        self.push = Push(self.faults, signing_secret=self.signing_secret)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.pings: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.prompts: list[dict[str, Any]] = []
        self.ephemeral: list[dict[str, Any]] = []
        self.scopes = SCOPES
        self.refuse: dict[str, str] = {}
        self.connections_opened = 0
        self.mute_sockets = False
        self._codes: dict[str, FakeTeam] = {}
        self._posted_s: dict[str, float] = {}
        self._changed = asyncio.Condition()
        self._numbers: dict[str, int] = defaultdict(int)
        self._transports: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._port = port
        self.url = ""

    # -- a server ---------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link", self._link)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        self.extend(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.push.close()
        for socket in tuple(self.push.sockets):
            await socket.close()
        await self._runner.cleanup()

    def extend(self, app: web.Application) -> None:
        """A hook for more routes."""

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
        )
        if event:
            self._tell(team, channel, message.shown())
            if mention and team.channels[channel].kind != "im":
                self._tell(team, channel, message.shown() | {"type": "app_mention"})
        return message.ts

    def user_edits(self, channel: str, ts: str, text: str, *, event: bool = True) -> None:
        message = self.team.channels[channel].messages[ts]
        before = message.shown()
        message.text, message.edited = text, self.team.next_ts()
        if event:
            self._tell_change(channel, message, before)

    def user_deletes(self, channel: str, ts: str) -> None:
        message = self.team.channels[channel].messages[ts]
        message.deleted = True
        self._tell(
            self.team,
            channel,
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": ts,
                "ts": self.team.next_ts(),
                "previous_message": message.shown(),
            },
        )

    def user_opens_chat(self, channel: str = "D0CUSTOMER", user: str = "U0CUSTOMER") -> None:
        event = {"type": "app_home_opened", "user": user, "channel": channel, "tab": "messages"}
        self.push.send("events_api", self.team.callback(event, self._event_id()))

    def press(
        self, channel: str, ts: str, action_id: str, *, negative: bool = False, user: str = "U0"
    ) -> None:
        """Press a button under a message of the bot."""
        message = self.team.channels[channel].messages[ts]
        elements = [item for block in message.blocks for item in block.get("elements", [])]
        element = next(item for item in elements if item.get("action_id") == action_id)
        action = {"action_id": action_id, "type": element["type"], "action_ts": str(time.time())}
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
            "container": container,
            "channel": {"id": channel},
            "message": message.shown(),
            "actions": [action],
        }
        self.push.send("interactive", payload)

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

    async def replies(
        self, channel: str, count: int, *, within_s: float = 10.0
    ) -> list[FakeMessage]:
        """The bot's messages in a channel, once there are that many."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: len(self.messages(channel)) >= count)
        return self.messages(channel)

    async def called(self, method: str, count: int = 1, *, within_s: float = 10.0) -> None:
        """Wait until the app has called a method that often."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(
                lambda: sum(called == method for called, _ in self.requests) >= count
            )

    async def connected(self, count: int = 1, *, within_s: float = 10.0) -> None:
        """Wait until the app has opened that many sockets altogether."""
        async with asyncio.timeout(within_s), self._changed:
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
        return next(reversed(self._codes.values()))

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
                    self.push.acknowledged(json.loads(frame.data).get("envelope_id", ""))
        finally:
            self.push.sockets.remove(socket)
            self._transports.pop(socket, None)
        return socket

    # -- OAuth ------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """A customer's administrator who always agrees, each time for a new team."""
        code = secrets.token_hex(8)
        number = len(self.teams) + 1
        self._codes[code] = FakeTeam(f"T{number}GUEST", token=f"xoxb-fake-{number}")
        query = urlencode({"code": code, "state": request.query["state"]})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{query}")

    # -- the Web API ------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        args, token = await _arguments(request)
        self.requests.append((method, args))
        if self.faults.happens(self.faults.refuse_429):
            return _too_many(self.faults.retry_after_s)
        try:
            answer = await self._answer(method, args, token)
        except Refused as error:
            return web.json_response({"ok": False, "error": str(error)})
        if isinstance(answer, web.Response):
            return answer
        if method == "chat.postMessage":
            if self.faults.happens(self.faults.fail_after_accept):
                return web.Response(status=500, text="oops")
            if self.faults.happens(self.faults.drop_after_accept):
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
        headers = {"x-oauth-scopes": self.scopes}
        return web.json_response({"ok": True, **answer}, headers=headers)

    async def _answer(
        self, method: str, args: dict[str, Any], token: str
    ) -> dict[str, Any] | web.Response:
        if method in self.refuse:
            raise Refused(self.refuse[method])
        if method == "apps.connections.open":
            if token != self.app_token:
                raise Refused("invalid_auth" if token else "not_authed")
            return {"url": f"{self.url.replace('http', 'ws', 1)}/link?ticket=1"}
        if method == "oauth.v2.access":
            return self._exchange(args)
        team = self.teams.get(token)
        if team is None:
            raise Refused("invalid_auth" if token else "not_authed")
        if not team.token_works:
            raise Refused("token_revoked")
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            raise Refused("unknown_method")
        answer: dict[str, Any] | web.Response = handler(team, args)
        await self._change()
        return answer

    async def _change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _exchange(self, args: dict[str, Any]) -> dict[str, Any]:
        if (args.get("client_id"), args.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            raise Refused("bad_client_secret")
        team = self._codes.pop(str(args.get("code")), None)
        if team is None:
            raise Refused("invalid_code")
        self.teams[team.token] = team
        return {
            "access_token": team.token,
            "token_type": "bot",
            "bot_user_id": team.bot_user,
            "team": {"id": team.id, "name": team.id},
            "is_enterprise_install": team.enterprise_install,
        }

    def _auth_test(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        return {
            "team": "Fake",
            "team_id": team.id,
            "user": "dragoman",
            "user_id": team.bot_user,
            "bot_id": team.bot_id,
            "is_enterprise_install": team.enterprise_install,
        }

    def _chat_postMessage(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        error = limits.refusal(team, args)
        if error:
            raise Refused(error)
        channel = str(args["channel"])
        per_s, now_s = self.faults.posts_per_s, time.monotonic()
        if per_s and now_s - self._posted_s.get(channel, 0.0) < 1 / per_s:
            return _too_many(1 / per_s)
        self._posted_s[channel] = now_s
        self.pings += limits.pings(args)
        message = team.write(
            channel,
            text=args.get("text") or args.get("markdown_text") or "",
            user=team.bot_user,
            bot_id=team.bot_id,
            app_id=team.app_id,
            thread_ts=args.get("thread_ts"),
            blocks=args.get("blocks") or [],
            metadata=args.get("metadata"),
        )
        # An app hears itself, too.
        self._tell(team, channel, message.shown())
        return {"channel": channel, "ts": message.ts, "message": message.shown()}

    def _chat_postEphemeral(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        self.ephemeral.append(args)
        return {"message_ts": team.next_ts()}

    def _users_info(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        user = str(args.get("user"))
        return {"user": {"id": user, "locale": team.locales.get(user, "en-US")}}

    def _users_conversations(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        names = {"im": "im", "public_channel": "channel", "private_channel": "group"}
        kinds = {names[kind] for kind in str(args.get("types", "public_channel")).split(",")}
        found = [c for c in team.channels.values() if c.kind in kinds and c.member]
        return _page([{"id": c.id} for c in found if not c.archived], args, "channels")

    def _conversations_history(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        return _page(_since(self._readable(team, args).top(), args), args, "messages")

    def _conversations_replies(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        channel, ts = self._readable(team, args), str(args.get("ts"))
        if ts not in channel.messages:
            raise Refused("thread_not_found")
        parent, *replies = channel.thread(ts)
        # Slack begins every answer with the message that the thread hangs on.
        return _page([parent, *_since(replies, args)], args, "messages")

    def _readable(self, team: FakeTeam, args: dict[str, Any]) -> Any:
        channel = team.channels.get(str(args.get("channel")))
        if channel is None:
            raise Refused("channel_not_found")
        if not channel.member:
            raise Refused("not_in_channel")
        return channel

    def _assistant_threads_setStatus(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        if not args.get("thread_ts") or "status" not in args:
            raise Refused("invalid_arguments")
        self.statuses.append(args)
        return {}

    def _assistant_threads_setSuggestedPrompts(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any]:
        if not 0 < len(args.get("prompts", [])) <= 4:
            raise Refused("invalid_arguments")
        self.prompts.append(args)
        return {}


async def _arguments(request: web.Request) -> tuple[dict[str, Any], str]:
    """The arguments of a call, from query, form or JSON, and who calls."""
    args: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        args |= json.loads(await request.text() or "{}")
    else:
        args.update(await request.post())
    for key in ("blocks", "metadata", "prompts"):
        if isinstance(args.get(key), str):
            args[key] = json.loads(args[key])
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return args, secret if scheme == "Bearer" else str(args.get("token", ""))


def _too_many(retry_after_s: float) -> web.Response:
    return web.json_response(
        {"ok": False, "error": "ratelimited"},
        status=429,
        # Real Slack tells whole seconds.
        headers={"Retry-After": f"{retry_after_s:g}"},
    )


def _since(messages: list[dict[str, Any]], args: dict[str, Any]) -> list[dict[str, Any]]:
    oldest = float(args.get("oldest") or 0)
    found = [message for message in messages if float(message["ts"]) > oldest]
    if str(args.get("include_all_metadata", "0")).lower() in {"1", "true"}:
        return found
    return [{key: value for key, value in m.items() if key != "metadata"} for m in found]


def _page(items: list[dict[str, Any]], args: dict[str, Any], key: str) -> dict[str, Any]:
    """One page of a list; the cursor is where the next begins."""
    start, limit = int(args.get("cursor") or 0), min(int(args.get("limit") or 100), 999)
    end = start + limit
    more = str(end) if end < len(items) else ""
    return {
        key: items[start:end],
        "has_more": bool(more),
        "response_metadata": {"next_cursor": more},
    }
