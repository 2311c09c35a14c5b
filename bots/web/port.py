"""The way out to the browsers that are connected to this process."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.turn import Address, Parcel, Served, Turn

MAX_PER_PLACE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Something that is shown while it lasts and kept nowhere; `name` is `working` or `partial`."""

    name: str
    text: str = ""


class Watcher:
    """One browser window that waits for news of its conversation."""

    def __init__(self) -> None:
        """Start without news."""
        self.stopped = False
        self._news = asyncio.Event()
        self._passing: dict[str, Passing] = {}

    def tell(self, passing: Passing | None = None) -> None:
        """Wake the window: the transcript has grown, or there is something to show meanwhile."""
        if passing is not None:
            self._passing[passing.name] = passing
        self._news.set()

    def stop(self) -> None:
        """Tell the window that this process ends."""
        self.stopped = True
        self._news.set()

    async def news(self, timeout_s: float) -> tuple[Passing, ...] | None:
        """What to show meanwhile, the latest of each; None if nothing happened for so long."""
        try:
            # Python 3.11's wait_for loses a cancellation that comes together with the event.
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        return self.forget()

    def forget(self) -> tuple[Passing, ...]:
        """Take away what was to be shown meanwhile."""
        passing = tuple(self._passing.values())
        self._passing.clear()
        return passing


class WebPort:
    """The `Port` and `Presence` of the web: a reply is in the transcript, windows are woken."""

    def __init__(self) -> None:
        """Start with no window open."""
        self._watchers: dict[str, set[Watcher]] = {}
        self._stopped = False

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        """One parcel, which only says that there is something to read."""
        return (json.dumps({"turn": turn.id}),)

    def book(self, address: Address) -> float:
        """Now: a browser takes what comes."""
        return 0.0

    async def send(self, parcel: Parcel) -> str:
        """Wake the windows of this process; those of others look into the transcript."""
        self.wake(parcel.address.place)
        return str(parcel.id)

    async def find(self, parcel: Parcel) -> str | None:
        """A reply that has a parcel is in our own database: it has arrived."""
        return str(parcel.id)

    async def working(self, address: Address, language: str | None) -> None:
        """Show that a reply is being prepared."""
        self.wake(address.place, Passing(name="working"))

    async def partial(self, address: Address, text: str) -> None:
        """Show the beginning of the reply."""
        self.wake(address.place, Passing(name="partial", text=text))

    def wake(self, place: str, passing: Passing | None = None) -> None:
        """Tell every window of a place."""
        for watcher in self._watchers.get(place, ()):
            watcher.tell(passing)

    def is_full(self, place: str) -> bool:
        """Whether the place has as many windows as a person can have any use for."""
        return len(self._watchers.get(place, ())) >= MAX_PER_PLACE

    @contextmanager
    def watching(self, place: str) -> Iterator[Watcher]:
        """Be told of the place's news for the length of the block."""
        watcher = Watcher()
        if self._stopped:
            watcher.stop()
        self._watchers.setdefault(place, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[place].discard(watcher)
            if not self._watchers[place]:
                del self._watchers[place]

    def stop(self) -> None:
        """Let every window go, also one just opening, so that the server can close."""
        self._stopped = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.stop()
