"""The bots that `benchmarks.path` compares: ours, and a bare echo on each platform's own library.

Each echoes the text of a message. Ours keeps it first, and answers once and in order.
"""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters

from bots.server import build_app, serving
from bots.telegram.api import TelegramApi
from bots.telegram.channel import TelegramChannel
from bots.telegram.limits import Limit, Limits
from bots.telegram.presence import TelegramPresence
from bots.telegram.sending import TelegramPort
from core.adapters.conversations import Conversations
from core.adapters.database import Database, open_database
from core.adapters.holds import Holds
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.flood import Allowance
from core.ports import ShowPartial
from core.serving import Pace, Station
from core.turn import Answer, Channel, Served, Turn, WorkspaceId
from dragoman.channels import ChatChannel, keep_running, open_channels
from dragoman.logs import configure
from dragoman.settings import Settings


async def echo(turn: Turn, show: ShowPartial) -> Served:
    """A model that answers at once."""
    return Served(
        outcome=Answer(text=f"re: {turn.text}", citations=()), language="en", probability=1.0
    )


async def _healthy() -> Mapping[str, str | None]:
    return {}


async def ours(told: Mapping[str, Any]) -> None:
    """The durable path: everything that `dragoman run` does to a message, but for the answer."""
    settings = Settings(data_dir=Path(tempfile.mkdtemp()), **told["settings"])
    async with open_database(told["database_url"] or settings.database) as database:
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=echo,
            ports={},
            presences={},
            # Waiting for the rest of a message is a choice, not a cost.
            pace=Pace(gather_s=0.0),
            default_language="en",
        )
        delivery = Delivery(
            inbox=SqlInbox(database),
            leases=SqlLeases(database),
            station=station,
            allowance=Allowance(burst=10**6, per_minute=10**6, clock_s=lambda: 0.0),
        )
        async with _channel(settings, database, delivery) as channel:
            station.ports[channel.name] = channel.port
            app = build_app(channel.routes, ready=_healthy)
            async with delivery, keep_running([channel], print):
                await _serve(app, told["port"])


@asynccontextmanager
async def _channel(
    settings: Settings, database: Database, delivery: Delivery
) -> AsyncIterator[ChatChannel]:
    """The one channel that has a token; Telegram without our send limits, which would be all."""
    if not settings.telegram_bot_token.get_secret_value():
        async with open_channels(settings, database, delivery) as channels:
            yield channels[0]
        return
    free = Limit(count=10**6, per_s=1.0)
    token = settings.telegram_bot_token.get_secret_value()
    limits = Limits(per_chat=free, overall=free)
    async with TelegramApi(token, settings.telegram_api_url, limits=limits) as api:
        telegram = TelegramChannel(
            api,
            workspace=WorkspaceId(settings.workspace),
            accept=delivery.accept,
            rate=delivery.rate,
            move=Conversations(database).move,
            holds=Holds(database),
            public_url=settings.public_url,
        )
        yield ChatChannel(
            name=Channel.TELEGRAM,
            port=TelegramPort(api),
            presence=TelegramPresence(api),
            routes=telegram.routes,
            run=telegram.run,
            check=telegram.check,
        )


async def bolt(told: Mapping[str, Any]) -> None:
    """slack-bolt's own way, which acknowledges before it works."""
    given = told["settings"]
    client = AsyncWebClient(token=given["slack_bot_token"], base_url=given["slack_api_url"])
    app = AsyncApp(client=client, signing_secret=given["slack_signing_secret"])

    @app.event("message")
    async def repeat(event: dict[str, Any], client: AsyncWebClient) -> None:
        await client.chat_postMessage(channel=event["channel"], text=f"re: {event['text']}")

    handler = AsyncSlackRequestHandler(app)

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    await _serve(Starlette(routes=[Route("/slack/events", events, methods=["POST"])]), told["port"])


async def ptb(told: Mapping[str, Any]) -> None:
    """python-telegram-bot's own way: a queue in memory, one update after the other."""
    given = told["settings"]
    built = Application.builder().token(given["telegram_bot_token"]).updater(None)
    application = built.base_url(f"{given['telegram_api_url']}/bot").build()

    async def repeat(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        if update.message is not None:
            await context.bot.send_message(update.message.chat_id, f"re: {update.message.text}")

    application.add_handler(MessageHandler(filters.TEXT, repeat))

    async def webhook(request: Request) -> Response:
        await application.update_queue.put(Update.de_json(await request.json(), application.bot))
        return Response()

    async with application:
        await application.start()
        route = Route("/telegram", webhook, methods=["POST"])
        await _serve(Starlette(routes=[route]), told["port"])


async def _serve(app: Starlette, port: int) -> None:
    async with serving(app, host="127.0.0.1", port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    configure(level="error", form="json")
    logging.getLogger("slack_bolt").setLevel(logging.ERROR)
    subject = {"ours": ours, "bolt": bolt, "ptb": ptb}[sys.argv[1]]
    uvloop.run(subject(json.loads(sys.argv[2])))
