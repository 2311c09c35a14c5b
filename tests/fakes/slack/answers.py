"""How Slack's answers are made: arguments, errors, pages."""

import json
from typing import Any

from aiohttp import web

from tests.fakes.slack.team import FakeChannel, FakeMessage, FakeTeam


class Refused(Exception):
    """An answer that is not ok."""


def readable(team: FakeTeam, args: dict[str, Any]) -> FakeChannel:
    channel = team.channels.get(str(args.get("channel")))
    if channel is None:
        raise Refused("channel_not_found")
    if not channel.member:
        raise Refused("not_in_channel")
    return channel


def thread_of(channel: FakeChannel, args: dict[str, Any]) -> str | None:
    """The thread of a post; Slack puts a reply into the channel once its thread is gone.

    Source: https://github.com/slack-go/slack/issues/1571
    """
    thread = args.get("thread_ts")
    return str(thread) if thread and channel.thread(str(thread)) else None


def message_at(team: FakeTeam, args: dict[str, Any], key: str = "timestamp") -> FakeMessage:
    channel = team.channels.get(str(args.get("channel")))
    if channel is None:
        raise Refused("channel_not_found")
    message = channel.messages.get(str(args.get(key)))
    if message is None or message.deleted:
        raise Refused("message_not_found")
    return message


def is_true(value: object) -> bool:
    return str(value).lower() in {"1", "true"}


def own_message(team: FakeTeam, args: dict[str, Any], refusal: str) -> FakeMessage:
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


async def arguments(request: web.Request) -> tuple[dict[str, Any], str]:
    """The arguments of a call, from query, form or JSON, and who calls."""
    args: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        args |= json.loads(await request.text() or "{}")
    else:
        args.update(await request.post())
    for key in ("blocks", "metadata", "prompts", "view"):
        if isinstance(args.get(key), str):
            args[key] = json.loads(args[key])
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return args, secret if scheme == "Bearer" else str(args.get("token", ""))


def too_many(retry_after_s: float) -> web.Response:
    return web.json_response(
        {"ok": False, "error": "ratelimited"},
        status=429,
        # Real Slack tells whole seconds.
        headers={"Retry-After": f"{retry_after_s:g}"},
    )


def since(messages: list[dict[str, Any]], args: dict[str, Any]) -> list[dict[str, Any]]:
    oldest = float(args.get("oldest") or 0)
    found = [message for message in messages if float(message["ts"]) > oldest]
    if is_true(args.get("include_all_metadata")):
        return found
    return [{key: value for key, value in m.items() if key != "metadata"} for m in found]


def page(items: list[Any], args: dict[str, Any], key: str) -> dict[str, Any]:
    """One page of a list; the cursor is where the next begins."""
    start, limit = int(args.get("cursor") or 0), min(int(args.get("limit") or 100), 999)
    end = start + limit
    more = str(end) if end < len(items) else ""
    return {
        key: items[start:end],
        "has_more": bool(more),
        "response_metadata": {"next_cursor": more},
    }
