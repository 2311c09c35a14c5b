"""The fake Slack's Web API: its methods, their errors and its rate limits."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.slack import limits
from tests.fakes.slack.push import Faults
from tests.fakes.slack.team import FakeChannel, FakeMessage, FakeTeam

SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,files:read,"
    "groups:history,groups:read,im:history,im:read,im:write,users:read"
)
Tell = Callable[[FakeTeam, str, dict[str, Any]], None]


class Refused(Exception):
    """An answer that is not ok."""


class WebApi:
    """Keeps what it was asked; `refuse` makes a method answer an error."""

    def __init__(self, faults: Faults, *, app_token: str, client: tuple[str, str]) -> None:
        self.faults = faults
        self.app_token = app_token
        self.client = client
        self.link_url = ""
        self.teams: dict[str, FakeTeam] = {}
        self.codes: dict[str, FakeTeam] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.pings: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.prompts: list[dict[str, Any]] = []
        self.ephemeral: list[dict[str, Any]] = []
        self.refuse: dict[str, str] = {}
        self.scopes = SCOPES
        self.on_change: Callable[[], Awaitable[None]]
        self.tell: Tell
        self._posted_s: dict[str, float] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
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
                return web.json_response({"ok": False, "error": "oops"}, status=500)
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
            return {"url": self.link_url}
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
        await self.on_change()
        return answer

    def _exchange(self, args: dict[str, Any]) -> dict[str, Any]:
        if (args.get("client_id"), args.get("client_secret")) != self.client:
            raise Refused("bad_client_secret")
        team = self.codes.pop(str(args.get("code")), None)
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
        self.tell(team, channel, message.shown())
        return {"channel": channel, "ts": message.ts, "message": message.shown()}

    def _chat_update(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message = _own_message(team, args, "cant_update_message")
        error = limits.refusal(team, args)
        if error:
            raise Refused(error)
        self.pings += limits.pings(args)
        message.text, message.blocks = str(args.get("text") or ""), args.get("blocks") or []
        message.edited = team.next_ts()
        return {"channel": args["channel"], "ts": message.ts, "text": message.text}

    def _chat_delete(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message = _own_message(team, args, "cant_delete_message")
        message.deleted = True
        return {"channel": args["channel"], "ts": message.ts}

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

    def _readable(self, team: FakeTeam, args: dict[str, Any]) -> FakeChannel:
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


def _own_message(team: FakeTeam, args: dict[str, Any], refusal: str) -> FakeMessage:
    """A message of the bot's, which alone it may change."""
    channel = team.channels.get(str(args.get("channel")))
    if channel is None:
        raise Refused("channel_not_found")
    message = channel.messages.get(str(args.get("ts")))
    if message is None or message.deleted:
        raise Refused("message_not_found")
    if message.bot_id != team.bot_id:
        raise Refused(refusal)
    return message


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
