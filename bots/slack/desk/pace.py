"""How fast one channel may be written to."""

import asyncio
import time

from core.errors import Unavailable

# https://docs.slack.dev/apis/web-api/rate-limits: one message a second, short bursts allowed.
EVERY_S = 1.0
BURST = 3
# Whoever would wait longer comes back instead: a lease must not lapse in a queue.
PATIENCE_S = 8.0


class Pace:
    """Lets messages out one a second, in the order in which they asked."""

    def __init__(self, *, every_s: float = EVERY_S, burst: int = BURST) -> None:
        """Let `burst` out at once after a pause."""
        self._every_s = every_s
        self._slack_s = every_s * (burst - 1)
        self._next_s = 0.0

    async def turn(self) -> None:
        """Wait for our turn.

        Raises: Unavailable: the queue is too long; come back in `retry_after_s`.
        """
        now_s = time.monotonic()
        slot_s = max(self._next_s, now_s - self._slack_s)
        wait_s = slot_s - now_s
        if wait_s > PATIENCE_S:
            raise Unavailable("slack", "many wait for the desk's channel", retry_after_s=wait_s)
        self._next_s = slot_s + self._every_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def pause(self, for_s: float) -> None:
        """Let nothing out for that long: Slack said so."""
        self._next_s = max(self._next_s, time.monotonic() + for_s)
