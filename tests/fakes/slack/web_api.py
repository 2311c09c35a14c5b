"""The fake Slack's Web API: its methods, their errors and its rate limits."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.slack import limits
from tests.fakes.slack.answers import (
    Refused,
    arguments,
    is_true,
    own_message,
    page,
    readable,
    since,
    thread_of,
    too_many,
)
from tests.fakes.slack.desk_api import DeskApi
from tests.fakes.slack.push import Faults
from tests.fakes.slack.team import FakeTeam

SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,files:read,"
    "files:write,groups:history,groups:read,im:history,im:read,im:write,reactions:write,users:read"
)
# What Slack refuses a token that lacks a scope.
NEEDED = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.replies": "channels:history",
    "conversations.members": "channels:read",
    "conversations.info": "channels:read",
    "files.info": "files:read",
    "files.delete": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
    "users.info": "users:read",
}
Tell = Callable[[FakeTeam, str, dict[str, Any]], None]


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
        self.desk = DeskApi(self._told)
        # While true, nobody gets an answer.
        self.down = False
        self.scopes = SCOPES
        self.on_change: Callable[[], Awaitable[None]]
        self.tell: Tell
        self._posted_s: dict[str, float] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        args, token = await arguments(request)
        if self.down:
            return _hung_up(request)
        self.requests.append((method, args))
        if self.faults.happens(self.faults.refuse_429):
            return too_many(self.faults.retry_after_s)
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
                return _hung_up(request)
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
        team = self._team(method, token)
        name = "_" + method.replace(".", "_")
        handler = getattr(self, name, None) or getattr(self.desk, name[1:], None)
        if handler is None:
            raise Refused("unknown_method")
        answer: dict[str, Any] | web.Response = handler(team, args)
        await self.on_change()
        return answer

    def _team(self, method: str, token: str) -> FakeTeam:
        """Whose token this is, if it may do that."""
        team = self.teams.get(token)
        if team is None:
            raise Refused("invalid_auth" if token else "not_authed")
        if not team.token_works:
            raise Refused("token_revoked")
        if NEEDED.get(method, "chat:write") not in self.scopes.split(","):
            raise Refused("missing_scope")
        return team

    def _told(self, team: FakeTeam, channel: str, event: dict[str, Any]) -> None:
        self.tell(team, channel, event)

    async def upload(self, request: web.Request) -> web.Response:
        """Where the bytes of a file go."""
        found = [team.files.get(request.match_info["file"]) for team in self.teams.values()]
        file = next((file for file in found if file is not None), None)
        content = await request.read()
        return _hung_up(request) if self.down else self.desk.uploaded(file, content)

    async def download(self, request: web.Request) -> web.Response:
        """The bytes of a file; whoever has no token gets a page to sign in, as from Slack."""
        if self.down:
            return _hung_up(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        team = self.teams.get(token) if scheme == "Bearer" else None
        file = team.files.get(request.match_info["file"]) if team else None
        if file is None:
            page_ = "<!DOCTYPE html><title>Sign in</title>"
            return web.Response(text=page_, content_type="text/html")
        if file.deleted:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.mimetype)

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
            return too_many(1 / per_s)
        self._posted_s[channel] = now_s
        self.pings += limits.pings(args)
        message = team.write(
            channel,
            text=args.get("text") or args.get("markdown_text") or "",
            user=team.bot_user,
            bot_id=team.bot_id,
            app_id=team.app_id,
            thread_ts=thread_of(team.channels[channel], args),
            broadcast=is_true(args.get("reply_broadcast")),
            blocks=args.get("blocks") or [],
            metadata=args.get("metadata"),
        )
        # An app hears itself, too.
        self.tell(team, channel, message.shown())
        return {"channel": channel, "ts": message.ts, "message": message.shown()}

    def _chat_update(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message = own_message(team, args, "cant_update_message")
        error = limits.refusal(team, args)
        if error:
            raise Refused(error)
        self.pings += limits.pings(args)
        message.text, message.blocks = str(args.get("text") or ""), args.get("blocks") or []
        message.edited = team.next_ts()
        return {"channel": args["channel"], "ts": message.ts, "text": message.text}

    def _chat_delete(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message = own_message(team, args, "cant_delete_message")
        message.deleted = True
        return {"channel": args["channel"], "ts": message.ts}

    def _chat_postEphemeral(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        error = limits.refusal(team, args)
        if error:
            raise Refused(error)
        channel = team.channels[str(args["channel"])]
        if channel.people and args.get("user") not in channel.people:
            raise Refused("user_not_in_channel")
        self.ephemeral.append(args)
        return {"message_ts": team.next_ts()}

    def _users_conversations(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        names = {"im": "im", "public_channel": "channel", "private_channel": "group"}
        kinds = {names[kind] for kind in str(args.get("types", "public_channel")).split(",")}
        found = [c for c in team.channels.values() if c.kind in kinds and c.member]
        return page([{"id": c.id} for c in found if not c.archived], args, "channels")

    def _conversations_history(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        return page(since(readable(team, args).top(), args), args, "messages")

    def _conversations_replies(
        self, team: FakeTeam, args: dict[str, Any]
    ) -> dict[str, Any] | web.Response:
        channel, ts = readable(team, args), str(args.get("ts"))
        if ts not in channel.messages or not channel.thread(ts):
            raise Refused("thread_not_found")
        parent, *replies = channel.thread(ts)
        # Slack begins every answer with the message that the thread hangs on.
        return page([parent, *since(replies, args)], args, "messages")

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


def _hung_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
