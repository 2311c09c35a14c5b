"""The whole desk: what answers, how it is delivered, and every way in."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from bots.server import build_app, check_free
from bots.server import serving as serving_http
from bots.web.ask import ask_route
from bots.web.chat import Chat
from bots.web.console.console import console_routes
from bots.web.console.doors import LARGER_BODIES
from bots.web.port import WebPort
from core.adapters.absences import Absences
from core.adapters.conversations import Conversations
from core.adapters.cursors import Cursors
from core.adapters.desk import Desk
from core.adapters.documents import Documents
from core.adapters.erasures import forget_again
from core.adapters.expectation import Expectations
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.nights import SqlNights
from core.adapters.outbox import SqlOutbox
from core.adapters.retention import Retention
from core.adapters.transcript import Transcript
from core.adapters.turns import SqlTurns
from core.delivery import Chore, Delivery
from core.interpreting import Interpreter
from core.serving import Pace, Station
from core.turn import Channel, WorkspaceId
from dragoman import running
from dragoman.briefing import keep_briefing
from dragoman.channels import keep_running, open_channels
from dragoman.composition import Core, ask, load_demo, open_core
from dragoman.desk_console import console_needs
from dragoman.health import SPARE, Health, keeps
from dragoman.learning import keep_learning, keep_watching
from dragoman.metrics import database_gauge, night_gauges, queue_gauges
from dragoman.settings import Settings
from retrieval.knowledge import silent
from retrieval.writing import Progress

log = structlog.get_logger()

Announce = Callable[[str, list[str], int, str | None], None]
"""Told the URL, the channels, the count of documents, and a link while there is no admin."""


@asynccontextmanager
async def serving(
    settings: Settings, announce: Announce | None = None, progress: Progress = silent
) -> AsyncIterator[str]:
    """The whole desk: HTTP, each channel that has a token, and delivery; yields its URL."""
    # A second desk would first poll Telegram, and serve what is due, in place of the first one.
    check_free(settings.host, settings.port)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings))
        # Who was erased may be back with a backup.
        await forget_again(core.database, settings.sealing_key(), settings.data_dir)
        await load_demo(core, progress)
        await core.retrieval.warm(core.workspace)
        # Whoever rolled back may have been killed before the index knew what was added since.
        core.models.catch_up_behind(core.workspace)
        delivery, station = make_delivery(core)
        web = WebPort()
        station.ports[Channel.WEB], station.presences[Channel.WEB] = web, web
        channels = await stack.enter_async_context(
            open_channels(settings, core.database, delivery, core.preferences, core.models)
        )
        for channel in channels:
            station.ports[channel.name] = channel.port
            station.presences[channel.name] = channel.presence
        await stack.enter_async_context(delivery)
        await stack.enter_async_context(keep_briefing(core))
        await stack.enter_async_context(keep_learning(settings, core.database, core.preferences))
        await stack.enter_async_context(keep_watching(settings, core.database))
        health = Health(core)
        await stack.enter_async_context(keep_running(channels, health.channel_stopped))
        token = secrets.token_urlsafe(32)
        secret = settings.cookie_key()
        console = console_needs(
            core,
            preferences=core.preferences,
            health=health,
            channels=channels,
            desk=Desk(core.database, wake=delivery.wake),
            secret=secret,
        )
        delivery.listen("console", console.news.hurry)
        chat = Chat(
            delivery=delivery,
            transcript=Transcript(core.database),
            port=web,
            workspace=core.workspace,
            secret=secret,
            default_language=settings.default_language,
            framed=bool(settings.frame_ancestors),
        )
        app = build_app(
            [
                *chat.routes,
                *console_routes(console),
                ask_route(lambda text, language: ask(core, text, language), token=token),
                *(route for channel in channels for route in channel.routes),
            ],
            ready=health.problems,
            spare=SPARE,
            frame_ancestors=settings.frame_ancestors,
            client_ip_header=settings.client_ip_header,
            larger_bodies=LARGER_BODIES,
        )
        url = await stack.enter_async_context(
            serving_http(
                app, host=settings.host, port=settings.port, on_stop=[web.stop, console.news.stop]
            )
        )
        here = running.Running(url=url, token=token)
        running.announce(settings.data_dir, here)
        stack.callback(running.withdraw, settings.data_dir, here)
        if announce is not None:
            names = ["web", *(str(channel.name) for channel in channels)]
            documents = await Documents(core.database).count(core.workspace)
            first_admin = await console.invitations.first(core.workspace)
            announce(settings.public_url.rstrip("/") or url, names, documents, first_admin)
        yield url


def make_delivery(core: Core) -> tuple[Delivery, Station]:
    """Delivery comes before the channels, which hand it what they take in."""
    settings = core.settings
    station = Station(
        turns=SqlTurns(core.database),
        outbox=SqlOutbox(core.database),
        answer=core.pipeline.answer,
        ports={},
        presences={},
        pace=Pace(gather_s=settings.gather_s, resend_unknown=settings.resend_unknown),
        default_language=settings.default_language,
        interpreter=Interpreter(
            translator=core.translator,
            detector=core.detector,
            desk_language=core.preferences.desk_language,
            default_language=settings.default_language,
            expects=Expectations(core.database, core.preferences).told,
        ),
    )

    async def idle_s(workspace: WorkspaceId) -> float:
        return 60.0 * (await core.preferences.of(workspace)).idle_minutes

    async def look_after_absences() -> None:
        await absences.look()

    delivery = Delivery(
        inbox=SqlInbox(core.database),
        leases=SqlLeases(core.database),
        station=station,
        chores={
            # First, since a silent database keeps the others waiting.
            "database_gauge": database_gauge(lambda: keeps(core.database)).look,
            "absences": look_after_absences,
            "queue_gauges": queue_gauges(Conversations(core.database)).look,
            "night_gauges": night_gauges(
                SqlNights(core.database), learns=core.settings.nights
            ).look,
            "cursors": Cursors(core.database).look,
            **_retention(core),
        },
    )
    absences = Absences(core.database, idle_s, wake=delivery.wake)
    return delivery, station


def _retention(core: Core) -> Mapping[str, Chore]:
    """The chore that deletes what is too old, where it is not all kept."""
    days = core.settings.keep_days
    return {"retention": Retention(core.database, days * 86_400.0).look} if days else {}


async def serve(settings: Settings, *, announce: Announce, progress: Progress) -> None:
    """Run the desk until SIGINT or SIGTERM, then finish what is in hand.

    A desk that has not started yet has nothing in hand, and ends at once.
    """
    loop, starting = asyncio.get_running_loop(), asyncio.current_task()
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        if starting is not None:
            starting.cancel()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, end)
    try:
        async with serving(settings, announce, progress):
            starting = None
            await stop.wait()
            log.info("stopping")
    except asyncio.CancelledError:
        if starting is None or not stop.is_set():
            raise
        starting.uncancel()
        log.info("stopped_while_starting")
