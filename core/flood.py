"""How fast one customer may write."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

REMEMBERED = 50_000


class Allowance:
    """Token buckets by key: a burst at once, then a steady rate."""

    def __init__(self, *, burst: int, per_minute: float, clock_s: Callable[[], float]) -> None:
        """Start every key with a full bucket of `burst`; `clock_s` must never go back."""
        self._burst = float(burst)
        self._per_s = per_minute / 60
        self._clock_s = clock_s
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> bool:
        """Use up one token; False if the bucket is empty."""
        now = self._clock_s()
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_s)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > REMEMBERED:
            # The least recently seen has long refilled.
            self._buckets.popitem(last=False)
        return allowed

    def give_back(self, key: Hashable) -> None:
        """Take back the use of one token, for what did not come to anything."""
        if key in self._buckets:
            tokens, since = self._buckets[key]
            self._buckets[key] = (min(self._burst, tokens + 1), since)
