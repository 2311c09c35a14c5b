"""Playing the customer of a fake Slack over HTTP, for a bot in another process."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from tests.fakes.slack.server import FakeSlack


def add_routes(app: web.Application, slack: "FakeSlack") -> None:
    """POST /sim/say and /sim/press take the arguments of `user_says` and `press` as JSON."""

    async def say(request: web.Request) -> web.Response:
        return web.json_response({"ts": slack.user_says(**await request.json())})

    async def press(request: web.Request) -> web.Response:
        slack.press(**await request.json())
        return web.json_response({})

    async def messages(request: web.Request) -> web.Response:
        bot = request.query.get("bot", "1") == "1"
        found = slack.messages(request.query["channel"], bot=bot)
        return web.json_response([asdict(message) for message in found])

    async def counts(request: web.Request) -> web.Response:
        push = slack.push
        return web.json_response(
            {
                "sockets": len(push.sockets),
                "lost": push.lost,
                "unacknowledged": push.unacknowledged,
                "requests": len(slack.api.requests),
            }
        )

    app.router.add_post("/sim/say", say)
    app.router.add_post("/sim/press", press)
    app.router.add_get("/sim/messages", messages)
    app.router.add_get("/sim/counts", counts)
