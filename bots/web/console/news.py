"""Tells open pages that something happened at the desk."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import structlog

from core.errors import Unavailable

POLL_S = 0.25
HEARTBEAT_S = 15.0

log = structlog.get_logger()


class News:
    """How far the desk's events go; however many pages ask, the database is asked once a while."""

    def __init__(self, latest: Callable[[], Awaitable[int]], *, poll_s: float = POLL_S) -> None:
        """`latest` reads the newest event's id; what other processes do is seen `poll_s` later."""
        self._latest = latest
        self._poll_s = poll_s
        self._read_s = float("-inf")
        self._known = 0
        self._reading = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._stopped = False

    async def latest(self) -> int:
        """The newest event as of a moment ago."""
        async with self._reading:
            if time.monotonic() - self._read_s >= self._poll_s:
                self._known = await self._latest()
                self._read_s = time.monotonic()
            return self._known

    def hurry(self) -> None:
        """Something was done here: every page gets to know at once."""
        self._read_s = float("-inf")
        self._stirred.set()
        self._stirred = asyncio.Event()

    def stop(self) -> None:
        """Let every page go, so that the server can close."""
        self._stopped = True
        self._stirred.set()

    async def stream(
        self, after: int, is_welcome: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[str]:
        """Server-sent events from an id on, for as long as whoever listens `is_welcome`."""
        yield "retry: 1000\n\n"
        spoken_s = asked_s = time.monotonic()
        while not self._stopped:
            # What is done while we read must not wait for the next look.
            stirred = self._stirred
            try:
                newest = await self.latest()
                if time.monotonic() - asked_s > HEARTBEAT_S:
                    asked_s = time.monotonic()
                    if not await is_welcome():
                        return
            except Unavailable as error:
                # The browser connects again, and is answered with 503 as long as this lasts.
                log.warning("news_interrupted", dependency=error.dependency)
                return
            if newest != after:
                after, spoken_s = newest, time.monotonic()
                yield f"id: {newest}\nevent: news\ndata: {newest}\n\n"
            elif time.monotonic() - spoken_s > HEARTBEAT_S:
                spoken_s = time.monotonic()
                yield ":\n\n"
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await stirred.wait()
