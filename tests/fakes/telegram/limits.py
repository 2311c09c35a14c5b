"""Telegram's flood limits, on a clock that tests may speed up."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.fakes.telegram.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimit:
    """At most `count` sends in any `per_s` seconds."""

    count: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """What the server enforces; about what is known of the real one."""

    per_chat: FloodLimit = FloodLimit(count=3, per_s=3.0)
    per_group: FloodLimit = FloodLimit(count=20, per_s=60.0)
    overall: FloodLimit = FloodLimit(count=30, per_s=1.0)


class FloodGate:
    """Counts sends against the limits; a refused send counts for nothing."""

    def __init__(self, limits: FloodLimits | None) -> None:
        self.limits = limits
        self.refused = 0
        self._sends: defaultdict[str, deque[float]] = defaultdict(deque)

    def pass_through(self, chat_id: int) -> None:
        """Let one send through, or refuse it with the seconds to wait."""
        if self.limits is None:
            return
        now = time.monotonic()
        windows = {"all": self.limits.overall, f"chat {chat_id}": self.limits.per_chat}
        if chat_id < 0:
            windows[f"group {chat_id}"] = self.limits.per_group
        wait_s = max(self._wait_s(name, limit, now) for name, limit in windows.items())
        if wait_s > 0:
            self.refused += 1
            seconds = max(1, math.ceil(wait_s))
            raise Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        for name in windows:
            self._sends[name].append(now)

    def _wait_s(self, name: str, limit: FloodLimit, now: float) -> float:
        sends = self._sends[name]
        while sends and sends[0] <= now - limit.per_s:
            sends.popleft()
        return sends[0] + limit.per_s - now if len(sends) >= limit.count else 0.0
