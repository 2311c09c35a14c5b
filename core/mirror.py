"""One platform's desk follows what happened, thread by thread, at its own pace."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

from core.cases import Showing, ThreadLease
from core.crashpoints import passed
from core.errors import LeaseLost, Rejected, Unavailable
from core.holder import holder_name
from core.ports import DeskPort, Threads
from core.sending import backoff_s

MAX_ACTIVE = 16
POLL_S = 0.5
STOP_S = 10.0
# One call to the platform ends well within a lease, so that nobody else makes it meanwhile.
SHOW_S = 20.0
HELD_S = 30.0
# A desk that cannot be written to at all is a matter for its admins.
CLOSED_S = 60.0

log = structlog.get_logger()


class Mirror:
    """Shows each handed-over conversation on one desk: every event, in order, at least once.

    What fails waits by itself: neither a customer nor another conversation waits with it.
    """

    def __init__(
        self,
        name: str,
        desk: DeskPort,
        threads: Threads,
        *,
        max_active: int = MAX_ACTIVE,
        poll_s: float = POLL_S,
        held_s: float = HELD_S,
        kept: Callable[[], None] = lambda: None,
    ) -> None:
        """Look for news every `poll_s`, and at once after `wake`; `name` stands in logs.

        `kept` is called once it is kept that something was shown, and where.
        """
        self._name = name
        self._desk = desk
        self._threads = threads
        self._max_active = max_active
        self._poll_s = poll_s
        self._held_s = held_s
        self._kept = kept
        self._holder = holder_name()
        self._news = asyncio.Event()
        self._showing: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start looking."""
        self._looking = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Claim nothing more, and end what is being shown, for at most `STOP_S`."""
        tasks = [task for task in (self._looking,) if task is not None]
        for task in tasks:
            task.cancel()
        if self._showing:
            await asyncio.wait(self._showing, timeout=STOP_S)
        for task in self._showing:
            task.cancel()
        await asyncio.gather(*tasks, *self._showing, return_exceptions=True)

    def wake(self) -> None:
        """Tell that something happened."""
        self._news.set()

    async def look(self) -> int:
        """Begin to show what is due; the number of threads claimed.

        Raises: Unavailable: the database does not answer.
        """
        room = self._max_active - len(self._showing)
        if room <= 0:
            return 0
        claimed = await self._threads.claim_due(
            holder=self._holder, held_s=self._held_s, limit=room
        )
        for lease in claimed:
            task = asyncio.create_task(self._show(lease))
            self._showing.add(task)
            task.add_done_callback(self._done)
        return len(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._showing.discard(task)
        self._news.set()

    async def _keep_looking(self) -> None:
        while True:
            try:
                claimed = await self.look()
            except Unavailable as error:
                log.warning("mirror_interrupted", desk=self._name, error=str(error))
                claimed = 0
            except Exception:
                log.exception("mirror_failed", desk=self._name)
                claimed = 0
            if claimed:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._news.wait()
            self._news.clear()

    async def _show(self, lease: ThreadLease) -> None:
        """Show one conversation until there is no more; whatever goes wrong, others go on."""
        try:
            await self._follow(lease)
        except LeaseLost:
            log.warning("mirror_lease_lost", desk=self._name)
        except Unavailable as error:
            wait_s = error.retry_after_s
            await self._put_back(lease, str(error), wait_s)
        except TimeoutError as error:
            await self._put_back(lease, str(error) or "no answer in time", None)
        except Rejected as error:
            log.warning("desk_closed", desk=self._name, error=str(error))
            await self._put_back(lease, str(error), CLOSED_S)
        except Exception as error:
            log.exception("mirror_failed", desk=self._name)
            await self._put_back(lease, type(error).__name__, None)

    async def _follow(self, lease: ThreadLease) -> None:
        while (showing := await self._threads.next(lease)) is not None:
            passed("thread_read")
            if showing.place is None:
                await self._open(lease, showing)
            else:
                await self._show_event(lease, showing, showing.place)

    async def _open(self, lease: ThreadLease, showing: Showing) -> None:
        async with asyncio.timeout(SHOW_S):
            place = await self._desk.open(showing.case, showing.lines)
        passed("thread_opened")
        await self._threads.opened(lease, place, held_s=self._held_s)
        self._kept()

    async def _show_event(self, lease: ThreadLease, showing: Showing, place: str) -> None:
        event = showing.event
        if event is None:
            return
        ref, error = "", ""
        try:
            async with asyncio.timeout(SHOW_S):
                ref = await self._desk.show(place, event)
        except LookupError:
            log.info("desk_place_gone", desk=self._name, conversation=event.conversation)
            await self._threads.opened(lease, None, held_s=self._held_s)
            return
        except Rejected as refused:
            # What the platform will never take must not keep what follows from being shown.
            error = str(refused)
            log.warning("event_not_shown", desk=self._name, kind=event.kind, error=error)
        passed("event_shown")
        await self._threads.shown(lease, event.id, ref, held_s=self._held_s, error=error)
        self._kept()

    async def _put_back(self, lease: ThreadLease, error: str, wait_s: float | None) -> None:
        retry_in_s = backoff_s(lease.failures) if wait_s is None else wait_s
        log.warning("desk_not_reached", desk=self._name, error=error, retry_in_s=retry_in_s)
        with suppress(Unavailable, LeaseLost):
            await self._threads.put_back(lease, retry_in_s=retry_in_s, error=error)
