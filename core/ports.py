"""What the core needs from the world, each named by the need."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from core.turn import (
    Address,
    Found,
    Message,
    Parcel,
    Passage,
    Served,
    Turn,
    WorkspaceId,
)

ShowPartial = Callable[[str], Awaitable[None]]
"""Shows the customer the verified beginning of a reply while the rest is being written."""


class Detector(Protocol):
    """Tells the language of a text."""

    async def detect(self, text: str) -> Sequence[tuple[str, float]]:
        """Languages of `text` as (BCP 47 tag, probability), most likely first; may be empty."""
        ...


class Retriever(Protocol):
    """Finds passages that answer a question."""

    async def search(
        self, workspace: WorkspaceId, question: str, *, language: str, limit: int = 5
    ) -> Found:
        """Search the workspace's current snapshot.

        A workspace without knowledge finds nothing, with probability 0.
        Raises: Unavailable: the index or the encoder cannot serve.
        """
        ...


class Generator(Protocol):
    """Writes a reply from numbered passages."""

    @property
    def model(self) -> str:
        """The name of the model version in service."""
        ...

    def write(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        language: str,
        history: Sequence[Message],
    ) -> AsyncIterator[str]:
        """Yield the reply piece by piece as the model writes it.

        Raises: Unavailable: the model is down, too slow or cut off.
        """
        ...


class Port(Protocol):
    """One channel's way out to its customers."""

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        """Cut a reply into platform messages within the platform's limits; pure, loses nothing."""
        ...

    async def send(self, parcel: Parcel) -> str:
        """Send one parcel and return the platform's id of the message.

        Raises:
            Unavailable: not sent for sure (429, refused connection); `retry_after_s` if told.
            Rejected: the platform will never take it (blocked, chat deleted).
            TimeoutError: nobody knows whether it was sent.
        """
        ...

    async def find(self, parcel: Parcel) -> str | None:
        """Look a dubious parcel up on the platform; None means that it is not there.

        Raises:
            LookupError: this platform cannot be read back.
            Unavailable: it cannot be asked now.
        """
        ...


class Presence(Protocol):
    """Shows a waiting customer that work goes on; its failures never hold up a reply."""

    async def working(self, address: Address, language: str | None) -> None:
        """Show that a reply is being prepared (typing, status)."""
        ...

    async def partial(self, address: Address, text: str) -> None:
        """Show the verified beginning of the reply; each call replaces the one before."""
        ...
