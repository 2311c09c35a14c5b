"""What a worker of the distributed form does in each of its queues."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from bots.web.port import WebPort
from core.adapters.nights import SqlNights
from core.errors import Misconfigured
from core.turn import Channel
from dragoman.app import make_delivery
from dragoman.channels import open_channels
from dragoman.composition import open_core
from dragoman.learning import CHILD, Learning
from dragoman.settings import Settings
from workers import broker
from workers.celery_app import EVERY_S, Queue, Work, build_app, start_worker


def work(settings: Settings, queues: str, *, beat: bool, concurrency: int) -> None:
    """Serve queues until told to stop.

    Raises: Misconfigured: the broker is of no kind that we know, or there is no such queue.
    """
    served = _chosen(queues)
    broker.check_scheme(settings.broker_url)
    keeps_nights = settings.nights and Queue.TRAINING in served
    app = build_app(
        settings.broker_url,
        lambda: open_work(settings),
        every_s={
            queue: seconds
            for queue, seconds in EVERY_S.items()
            if queue is not Queue.TRAINING or settings.nights
        },
        keeper=(*CHILD, "keep", "--parent") if keeps_nights else (),
    )
    start_worker(app, served, beat=beat, concurrency=concurrency)


def _chosen(queues: str) -> tuple[Queue, ...]:
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = sorted(set(names) - set(Queue))
    if unknown or not names:
        raise Misconfigured(
            f"{', '.join(unknown) or 'nothing'} is no queue; {', '.join(Queue)} are"
        )
    return tuple(Queue(name) for name in names)


@asynccontextmanager
async def open_work(settings: Settings) -> AsyncIterator[Mapping[Queue, Work]]:
    """What a worker does in each queue; a model is only ever one that serves elsewhere.

    Raises: Misconfigured, Unavailable: a part cannot be used; the message says which.
    """
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings, model=bool(settings.model_url)))
        delivery, station = make_delivery(core)
        # Windows are woken by the replica that has them, which looks into the transcript.
        web = WebPort()
        station.ports[Channel.WEB], station.presences[Channel.WEB] = web, web
        channels = await stack.enter_async_context(
            open_channels(settings, core.database, delivery, core.preferences)
        )
        for channel in channels:
            station.ports[channel.name] = channel.port
            station.presences[channel.name] = channel.presence
        learning = Learning(settings, core.database, core.preferences)

        async def serve_turns() -> int:
            # The first customer must not wait for the encoder; it is loaded once.
            await core.retrieval.warm(core.workspace)
            return await delivery.serve_due()

        async def catch_up() -> None:
            workspaces, _ = await SqlNights(core.database).workspaces()
            for workspace in workspaces:
                await core.retrieval.knowledge.catch_up(workspace)

        yield {
            Queue.TURNS: serve_turns,
            Queue.INDEXING: catch_up,
            Queue.TRAINING: learning.bell.ring,
        }
