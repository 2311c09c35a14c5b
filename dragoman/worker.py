"""What a worker of the distributed form does in each of its queues."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from bots.web.port import WebPort
from core.adapters.nights import SqlNights
from core.errors import Misconfigured, Unavailable
from core.turn import Channel, WorkspaceId
from dragoman.app import make_delivery
from dragoman.channels import open_channels
from dragoman.composition import open_core
from dragoman.learning import CHILD, Learning
from dragoman.settings import Settings
from workers import broker
from workers.celery_app import EVERY_S, TASK_S, Queue, Work, build_app, start_worker

# Nearly a whole bell, for those who have much to index; the rest is for who comes next.
WORKSPACE_S = 0.75 * TASK_S

log = structlog.get_logger()


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

        async def workspaces() -> tuple[WorkspaceId, ...]:
            names, _ = await SqlNights(core.database).workspaces()
            return names

        yield {
            Queue.TURNS: serve_turns,
            Queue.INDEXING: CatchingUp(workspaces, core.retrieval.knowledge.catch_up).go_on,
            Queue.TRAINING: learning.bell.ring,
        }


class CatchingUp:
    """Goes from workspace to workspace, bell after bell, so that none keeps the others waiting."""

    def __init__(
        self,
        workspaces: Callable[[], Awaitable[tuple[WorkspaceId, ...]]],
        catch_up: Callable[[WorkspaceId], Awaitable[object]],
        *,
        each_s: float = WORKSPACE_S,
    ) -> None:
        """`catch_up` may raise Unavailable, or take longer than `each_s`: the next one's turn."""
        self._workspaces = workspaces
        self._catch_up = catch_up
        self._each_s = each_s
        self._left: deque[WorkspaceId] = deque()

    async def go_on(self) -> None:
        """Look into those that are left of the round, or of a new one."""
        if not self._left:
            self._left.extend(await self._workspaces())
        while self._left:
            await self._look_into(self._left.popleft())

    async def _look_into(self, workspace: WorkspaceId) -> None:
        try:
            async with asyncio.timeout(self._each_s):
                await self._catch_up(workspace)
        except Unavailable as error:
            log.warning("index_not_caught_up", workspace=workspace, reason=str(error))
        except TimeoutError:
            reason = f"took longer than {self._each_s:.0f} s"
            log.warning("index_not_caught_up", workspace=workspace, reason=reason)
        except asyncio.CancelledError:
            # It had less than its time.
            self._left.appendleft(workspace)
            raise
