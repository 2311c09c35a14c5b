"""How many messages Telegram takes per chat, per group, from one bot."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

REMEMBERED_CHATS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `count` sends in any `per_s` seconds."""

    count: int
    per_s: float


# Telegram names 1 a second per chat (short bursts pass), 20 a minute per group, 30 a second in all
# (core.telegram.org/bots/faq). Each window is a little longer: what counts is when they arrive.
PER_CHAT = Limit(count=3, per_s=3.2)
PER_GROUP = Limit(count=20, per_s=61.0)
# 27 a second, spread: the fewer sends are under way at a time, the fewer are in doubt if we die.
OVERALL = Limit(count=3, per_s=0.11)


class Limits:
    """Books a place for each send; one stuck chat never delays another."""

    def __init__(
        self,
        *,
        per_chat: Limit = PER_CHAT,
        per_group: Limit = PER_GROUP,
        overall: Limit = OVERALL,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with nothing sent; `clock_s` must never go back."""
        self._per_chat = per_chat
        self._per_group = per_group
        self._clock_s = clock_s
        self._overall = _Window(overall)
        self._chats: OrderedDict[int, tuple[_Window, ...]] = OrderedDict()
        self._paused: dict[int, float] = {}

    def book(self, chat_id: int, *, keep: int = 0) -> float:
        """Seconds until a send fits beside `keep` more; 0 books it.

        In a group the places are kept of its minute, which is what runs short there.
        """
        wait_s = self.opens_in(chat_id, keep=keep)
        if wait_s <= 0:
            now = self._clock_s()
            for window in (self._overall, *self._windows(chat_id)):
                window.add(now)
        return wait_s

    def opens_in(self, chat_id: int, *, keep: int = 0) -> float:
        """Seconds until a send would fit beside `keep` more."""
        now = self._clock_s()
        windows = (self._overall, *self._windows(chat_id))
        kept = [0] * (len(windows) - 1) + [keep] if chat_id < 0 else [keep] * len(windows)
        opens = (window.opens(each) for window, each in zip(windows, kept, strict=True))
        return max(now, self._paused.get(chat_id, now), *opens) - now

    def spare(self, chat_id: int) -> bool:
        """Book a send for right now if room is left for a message after it."""
        return self.book(chat_id, keep=1) <= 0

    def pause(self, chat_id: int, for_s: float) -> None:
        """Send nothing to this chat for that long: Telegram asked for it."""
        now = self._clock_s()
        self._paused = {chat: until for chat, until in self._paused.items() if until > now}
        self._paused[chat_id] = now + for_s

    def _windows(self, chat_id: int) -> tuple["_Window", ...]:
        windows = self._chats.pop(chat_id, None)
        if windows is None:
            # Groups and channels have negative ids.
            limits = (self._per_chat, self._per_group) if chat_id < 0 else (self._per_chat,)
            windows = tuple(_Window(limit) for limit in limits)
        self._chats[chat_id] = windows
        if len(self._chats) > REMEMBERED_CHATS:
            self._chats.popitem(last=False)
        return windows


class _Window:
    """The last sends that count against one limit."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._sends: deque[float] = deque(maxlen=limit.count)

    def opens(self, keep: int) -> float:
        """When the next send fits, with `keep` places left free."""
        usable = max(1, self._limit.count - keep)
        if len(self._sends) < usable:
            return float("-inf")
        return self._sends[-usable] + self._limit.per_s

    def add(self, at: float) -> None:
        self._sends.append(at)
