"""A channel that keeps what it is sent, and fails when told to."""

import asyncio
from collections.abc import Callable

from core.turn import Address, Parcel, Served, Turn
from tests.patience import PATIENCE_S


class FakePort:
    """Implements the `Port` of core/ports.py; `faults` are raised one after another by `send`,
    `waits_s` returned by `book`.

    A fault given as `(error, True)` is raised after the parcel has been taken.
    """

    def __init__(self, *, readable: bool = True, parts: int = 1) -> None:
        self.sent: list[Parcel] = []
        self.faults: list[tuple[Exception, bool]] = []
        self.waits_s: list[float] = []
        self.readable = readable
        # What `find` raises, where nobody can look any more.
        self.closed: Exception | None = None
        self.parts = parts
        self.before_send: Callable[[Parcel], None] | None = None
        self._arrived = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [parcel.body for parcel in self.sent]

    async def until(self, count: int) -> list[str]:
        """The texts, once there are that many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.sent) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.texts

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        if self.parts == 1:
            return (served.outcome.text,)
        return tuple(f"{served.outcome.text} {part}" for part in range(1, self.parts + 1))

    def book(self, address: Address) -> float:
        return self.waits_s.pop(0) if self.waits_s else 0.0

    async def send(self, parcel: Parcel) -> str:
        if self.before_send is not None:
            self.before_send(parcel)
        error, taken = self.faults.pop(0) if self.faults else (None, True)
        if taken:
            self.sent.append(parcel)
            self._arrived.set()
        if error is not None:
            raise error
        return f"ref-{parcel.id}"

    async def find(self, parcel: Parcel) -> str | None:
        if self.closed is not None:
            raise self.closed
        if not self.readable:
            raise LookupError("this platform cannot be read back")
        return f"ref-{parcel.id}" if any(sent.id == parcel.id for sent in self.sent) else None
