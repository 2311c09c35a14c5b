"""The Celery app of the distributed form: doorbells that say "look", for what the database holds.

A message carries nothing but its name, is done within seconds, and may be lost or doubled: the next
one is rung soon, and what it leads to is done once because a row says so. What runs for hours (a
night) is looked after by a process beside the queues, which a worker keeps.
"""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from enum import StrEnum
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import (
    beat_embedded_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
)

from core.errors import DragomanError
from workers.processes import die_with

log = structlog.get_logger()


class Queue(StrEnum):
    """What is rung for, each in a queue of its own."""

    TURNS = "turns"
    INDEXING = "indexing"
    TRAINING = "training"


EVERY_S: Mapping[Queue, float] = {Queue.TURNS: 5.0, Queue.INDEXING: 600.0, Queue.TRAINING: 60.0}
"""How often beat rings."""

Work = Callable[[], Awaitable[object]]
Opening = Callable[[], AbstractAsyncContextManager[Mapping[Queue, Work]]]

# One that takes longer gives back what it has; Celery kills it only if it hangs.
TASK_S = 120.0
_HUNG_S = 180.0
_KEEPER_LOOK_S = 5.0
_KEEPER_STOP_S = 20.0


def build_app(
    broker_url: str,
    opening: Opening,
    *,
    every_s: Mapping[Queue, float] = EVERY_S,
    keeper: Sequence[str] = (),
) -> Celery:
    """The app that does what `opening` yields, a work a queue.

    Each pool process opens that once, at its first task. `keeper` is the command of the process
    that a worker keeps beside its queues; it is told our process id as a last argument.
    """
    app = Celery("dragoman", broker=broker_url, set_as_current=False)
    app.conf.update(_settings(broker_url))
    hands = _Hands(opening)
    for queue in Queue:
        app.task(name=_task(queue))(_doing(hands, queue))
    app.conf.beat_schedule = {
        str(queue): {
            "task": _task(queue),
            "schedule": seconds,
            # Where nobody listens, bells do not pile up.
            "options": {"queue": str(queue), "expires": seconds},
        }
        for queue, seconds in every_s.items()
    }
    if keeper:
        app.steps["worker"].add(type("Keeper", (_Keeper,), {"command": tuple(keeper)}))
    setup_logging.connect(_quieten)
    # A worker that is killed leaves neither of them behind.
    beat_embedded_init.connect(_die_with_worker)
    worker_process_init.connect(_die_with_worker)
    worker_process_shutdown.connect(hands.close, weak=False)
    return app


def start_worker(app: Celery, queues: Sequence[Queue], *, beat: bool, concurrency: int) -> None:
    """Serve queues until SIGTERM, then for some seconds what is in hand."""
    app.worker_main(
        [
            *("worker", "--queues", ",".join(queues), "--concurrency", str(concurrency)),
            *("--without-gossip", "--without-mingle"),
            *(["--beat"] if beat else []),
        ]
    )


def _settings(broker_url: str) -> Mapping[str, Any]:
    """What it takes to lose nothing, nor to wait for ever; decision 0010 says more."""
    transport: Mapping[str, Any] = {"confirm_publish": True}
    if broker_url.startswith("redis"):
        transport = {
            "visibility_timeout": 300,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "health_check_interval": 30,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        }
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "task_time_limit": _HUNG_S,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 10_000,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_soft_shutdown_timeout": 20.0,
        "worker_redirect_stdouts": False,
        "broker_connection_timeout": 5,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": transport,
        # Its schedule is short and harmless when doubled: it needs no file.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_max_loop_interval": 5,
        "timezone": "UTC",
    }


def _task(queue: Queue) -> str:
    return f"dragoman.{queue}"


def _doing(hands: "_Hands", queue: Queue) -> Callable[[], None]:
    def do() -> None:
        hands.do(queue)

    return do


class _Hands:
    """What a pool process works with: one event loop, and what was opened on it."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._works: Mapping[Queue, Work] | None = None

    def do(self, queue: Queue) -> None:
        """Do it; what goes wrong is told, and tried at the next bell."""
        # Made after the fork: two processes must not share a loop.
        self._runner = self._runner or asyncio.Runner()
        try:
            self._runner.run(self._do(queue))
        except DragomanError as error:
            log.warning("bell_in_vain", queue=queue, error=str(error))
        except TimeoutError:
            log.warning("bell_in_vain", queue=queue, error=f"took longer than {TASK_S:.0f} s")
        except Exception:
            log.exception("bell_in_vain", queue=queue)

    async def _do(self, queue: Queue) -> None:
        async with asyncio.timeout(TASK_S):
            if self._works is None:
                self._works = await self._stack.enter_async_context(self._opening())
            await self._works[queue]()

    def close(self, **_: object) -> None:
        """Close what was opened in this process."""
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()


class _Keeper(bootsteps.StartStopStep):  # type: ignore[misc]
    """Keeps a process beside the queues: starts it again whenever it has ended."""

    requires = frozenset({"celery.worker.components:Timer"})
    command: tuple[str, ...] = ()

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, parent: Any) -> None:
        """Start it, and look after it every few seconds."""
        self._look()
        parent.timer.call_repeatedly(_KEEPER_LOOK_S, self._look)

    def stop(self, parent: Any) -> None:
        """Let it give back what it holds."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_KEEPER_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def terminate(self, parent: Any) -> None:
        """The same: what it holds for others must not wait for its lease to lapse."""
        self.stop(parent)

    def _look(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            log.warning("keeper_lost", code=self._process.returncode)
        self._process = subprocess.Popen(
            [*self.command, str(os.getpid())], stdin=subprocess.DEVNULL, start_new_session=True
        )


def _die_with_worker(**_: object) -> None:
    die_with(os.getppid())


def _quieten(**_: object) -> None:
    """Celery sets logging up unless somebody listens here, who may do it instead."""
    logging.getLogger("celery.beat").addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """While the broker is away, beat says so at each bell: in a line, not in a hundred."""
    if record.exc_info:
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
        record.exc_info = None
    return True
