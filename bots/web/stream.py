"""A conversation as server-sent events, from any line on."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from bots.web.port import Passing, Watcher
from bots.web.shown import as_html, shown
from core.adapters.transcript import Line
from core.errors import Unavailable
from core.turn import Author

# Proxies close a connection that says nothing for 30 to 60 s.
HEARTBEAT_S = 15.0
# After this long without news other processes' replies may take `CALM` times as long to show.
CALM_AFTER_S = 60.0
CALM = 5

ReadAfter = Callable[[int, float], Awaitable[Sequence[Line]]]

log = structlog.get_logger()


async def stream(
    watcher: Watcher,
    read: ReadAfter,
    lines: Sequence[Line],
    *,
    conversation: str,
    after: int,
    poll_s: float,
) -> AsyncIterator[str]:
    """Yield events: which `conversation`, its `lines` so far, `caught_up`, then whatever comes.

    `read` gives the lines above an id, and those changed since a time; it is asked when the
    watcher is told, and every `poll_s`. A browser that comes back is shown every change again.
    """
    yield "retry: 1000\n" + _event("conversation", {"conversation": conversation})
    shown = _Shown(after)
    for event in shown.events(lines):
        yield event
    yield _event("caught_up", {})
    silence = _Silence()
    while not watcher.stopped:
        passing = await watcher.news(poll_s * (CALM if silence.is_long() else 1))
        for each in passing or ():
            yield _passing_event(each)
        try:
            lines = await read(shown.after, shown.changed_after)
        except Unavailable as error:
            # The browser connects again, and is answered with 503 as long as this lasts.
            log.warning("stream_interrupted", dependency=error.dependency)
            return
        for event in shown.events(lines):
            yield event
        if any(line.author is Author.BOT for line in lines):
            # The beginning of a reply must not show after the whole of it.
            watcher.forget()
        if comment := silence.comment(news=bool(lines) or passing is not None):
            yield comment


class _Shown:
    """How far a browser has been shown a conversation, and its changes."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.changed_after = 0.0

    def events(self, lines: Sequence[Line]) -> Iterator[str]:
        """What is news among the lines; a change of what is not shown yet is none."""
        for line in lines:
            self.changed_after = max(self.changed_after, line.changed_at)
            if line.id <= self.after:
                yield _event("changed", shown(line))
                continue
            self.after = line.id
            if line.text or not line.changed_at:
                yield f"id: {line.id}\n{_event('line', shown(line))}"


class _Silence:
    """How long nothing was said."""

    def __init__(self) -> None:
        self._news_s = self._sent_s = time.monotonic()

    def is_long(self) -> bool:
        return time.monotonic() - self._news_s > CALM_AFTER_S

    def comment(self, *, news: bool) -> str:
        """What to send after a look around: a comment if nothing was sent for long."""
        now_s = time.monotonic()
        if news:
            self._news_s = self._sent_s = now_s
        elif now_s - self._sent_s > HEARTBEAT_S:
            self._sent_s = now_s
            return ":\n\n"
        return ""


class Seats:
    """How many streams may be open, in all and for one network address."""

    def __init__(self, *, total: int, per_address: int) -> None:
        """Start with every seat free."""
        self._total = total
        self._per_address = per_address
        self._taken: Counter[str] = Counter()

    def is_free(self, address: str) -> bool:
        """Whether one more may sit down."""
        return self._taken.total() < self._total and self._taken[address] < self._per_address

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """Sit for the length of the block."""
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


def _passing_event(passing: Passing) -> str:
    shown: dict[str, object] = {"text": passing.text, "html": as_html(passing.text)}
    return _event(passing.name, shown if passing.text else {})


def _event(name: str, data: dict[str, object]) -> str:
    # JSON holds no bare line break, so one data line is enough.
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
