"""What the core needs from the world, each named by the need."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol

from core.cases import Case, DeskEvent, DeskLine, EventId, Showing, ThreadLease
from core.nights import Decision
from core.staff import AccountId
from core.turn import (
    Accepted,
    Address,
    Attachment,
    ConversationId,
    Delivered,
    Found,
    Heard,
    Inbound,
    Lease,
    Meaning,
    Message,
    Parcel,
    Passage,
    Served,
    Step,
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
        self,
        workspace: WorkspaceId,
        question: str,
        *,
        language: str,
        limit: int = 5,
        conversation: ConversationId | None = None,
    ) -> Found:
        """Search the workspace's current snapshot, or that of a canary which the conversation drew.

        A workspace without knowledge finds nothing, with probability 0.
        Raises: Unavailable: the index or the encoder cannot serve.
        """
        ...


class Ear(Protocol):
    """Hears what a message means beyond what its words are listed for."""

    async def hear(self, text: str) -> Meaning:
        """What a message in any language means; a question unless that is all but out of it.

        Raises: Unavailable: the encoder cannot serve.
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
    ) -> AsyncGenerator[str, None]:
        """Yield the reply piece by piece as the model writes it.

        Raises: Unavailable: the model is down, too slow or cut off.
        """
        ...


class Translator(Protocol):
    """Writes texts in another language."""

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
        """The texts in the language of another BCP 47 tag, in the same order.

        Raises:
            Rejected: this pair of languages cannot be served.
            Unavailable: what translates is down, too slow or cut off.
        """
        ...


class Port(Protocol):
    """One channel's way out to its customers."""

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        """Cut a reply into platform messages within the platform's limits; pure, loses nothing."""
        ...

    def book(self, address: Address) -> float:
        """Seconds until the platform would take a message there; 0 keeps the place for one."""
        ...

    async def send(self, parcel: Parcel) -> str:
        """Send one parcel, for which a place was booked; returns the platform's id of the message.

        One that `replaces` a message changes it, or takes it back if its body is empty.

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
            Rejected: it will never be answered (chat deleted).
        """
        ...


class Presence(Protocol):
    """Shows a waiting customer that work goes on; its failures never hold up a reply."""

    async def working(self, address: Address, language: str | None) -> None:
        """Show that a reply is being prepared; called again every few seconds until it is there."""
        ...

    async def partial(self, address: Address, text: str) -> None:
        """Show the verified beginning of the reply; each call replaces the one before."""
        ...


class Files(Protocol):
    """One channel's files, to be brought to another."""

    async def fetch(self, file: Attachment, *, max_bytes: int) -> bytes:
        """What is in a file.

        Raises:
            Rejected: it is gone, is no file, or is larger than `max_bytes` or the channel lets out.
            Unavailable: the channel cannot be asked now.
            TimeoutError: it takes too long.
        """
        ...


class Inbox(Protocol):
    """Keeps what customers did, each thing once."""

    async def accept(
        self, inbound: Inbound, *, holder: str | None, held_s: float
    ) -> Accepted | None:
        """Commit one inbound; None if it, or a newer version of it, is there already.

        With a `holder` the conversation is claimed in the same transaction if it is free.

        Raises:
            Rejected: an id is longer than the schema can hold.
            Unavailable: it could not be committed; the platform must be made to send it again.
        """
        ...

    async def rate(self, address: Address, turn: int, *, helpful: bool) -> bool:
        """Keep the customer's verdict on a reply; False if that turn is not of this place."""
        ...

    async def leave(self, address: Address) -> None:
        """Tell the people who have a conversation, if any, that its customer has left it."""
        ...


class Leases(Protocol):
    """Decides who serves a conversation."""

    async def due(self, limit: int) -> tuple[ConversationId, ...]:
        """Conversations with something to do now that nobody holds; workspaces take turns."""
        ...

    async def claim(
        self, conversation: ConversationId, *, holder: str, held_s: float
    ) -> Lease | None:
        """Take a free or lapsed lease; None if somebody was faster."""
        ...

    async def renew(self, lease: Lease, *, held_s: float) -> None:
        """Hold it for that much longer.

        Raises: LeaseLost: somebody else has claimed it.
        """
        ...


class Turns(Protocol):
    """The turns of a held conversation. Every method may raise LeaseLost or Unavailable."""

    async def next(self, lease: Lease, *, last_try: bool = False) -> Turn | None:
        """The oldest unserved message together with those that directly follow it.

        With `last_try` it is noted that whoever claims the turn after us is to give it up.
        """
        ...

    async def finish(
        self,
        lease: Lease,
        turn: Turn,
        served: Served | None,
        bodies: Sequence[str],
        *,
        heard: Heard | None = None,
        begin: bool = False,
        error: str = "",
    ) -> Step | None:
        """Commit the outcome, its transcript and its parcels as one; what comes next.

        Without `served` the turn is only recorded; `heard` is how the other side reads it. With
        `begin` the next parcel is marked as being sent if it never was before. With `error` the
        turn is parked: visible, and not served again.

        Returns: None if the turn was edited meanwhile, or its conversation changed hands: it is
            left as it is, to be read anew.
        """
        ...

    async def put_back(self, lease: Lease, *, retry_in_s: float) -> None:
        """Let go of the conversation with its turn unserved, to be tried again later."""
        ...


class Outbox(Protocol):
    """The parcels of a held conversation, sent in order. May raise LeaseLost or Unavailable."""

    async def next(self, lease: Lease) -> Step:
        """What comes next; parcels that a person's takeover has made stale are dropped."""
        ...

    async def begin(self, lease: Lease, parcel: Parcel) -> Step:
        """Mark the parcel as being sent, if it still comes next."""
        ...

    async def settle(self, lease: Lease, parcel: Parcel, delivered: Delivered) -> Step:
        """Record what became of a parcel and go on; one of unknown fate waits for a person.

        That it was sent is recorded even if the lease is lost.
        """
        ...


class DeskPort(Protocol):
    """One platform on which agents see the conversations that were handed over."""

    async def open(self, case: Case, lines: Sequence[DeskLine]) -> str:
        """Make a place for a conversation, and show what was said so far; how it is found again.

        Raises: as `show` does, without LookupError.
        """
        ...

    async def show(self, place: str, event: DeskEvent) -> str:
        """Show what happened, and the case as it stands now; the platform's id of the message.

        After a failure it may be called again with what is shown already.

        Raises:
            Unavailable: not shown (429, refused connection); `retry_after_s` if told.
            Rejected: the platform will never take it.
            LookupError: the place is gone, and has to be made anew.
            TimeoutError: nobody knows whether it was shown.
        """
        ...


class DecisionPort(Protocol):
    """One platform on which people decide what nights made."""

    async def post(self, decision: Decision) -> str:
        """Show what was found, without a button; where that stands.

        Raises: as `show` does, without LookupError.
        """
        ...

    async def show(self, place: str, decision: Decision) -> None:
        """Let what stands there ask, or tell what was decided.

        Raises: as `DeskPort.show` does; LookupError: nothing stands there any more.
        """
        ...


class Deciding(Protocol):
    """Puts versions into service, or sees that they never serve."""

    async def promote(self, workspace: WorkspaceId, name: str, *, account: AccountId) -> object:
        """Put a version into service.

        Raises: Rejected: it may not serve, or cannot.
        """
        ...

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId
    ) -> None:
        """Decide that a version never serves, or that a canary is over.

        Raises: Rejected: it is decided already.
        """
        ...


class Threads(Protocol):
    """Where one desk shows which conversation, and how far. May raise LeaseLost, Unavailable."""

    async def claim_due(self, *, holder: str, held_s: float, limit: int) -> tuple[ThreadLease, ...]:
        """Take what has something to show that nobody else is showing."""
        ...

    async def next(self, lease: ThreadLease) -> Showing | None:
        """What to show next; None, and the lease is given back, if there is nothing."""
        ...

    async def opened(self, lease: ThreadLease, place: str | None, *, held_s: float) -> None:
        """Keep the place; None if it is gone, and has to be made anew."""
        ...

    async def shown(
        self, lease: ThreadLease, event: EventId, ref: str, *, held_s: float, error: str = ""
    ) -> None:
        """Go on behind an event, shown as `ref`, or given up with `error`."""
        ...

    async def put_back(self, lease: ThreadLease, *, retry_in_s: float, error: str) -> None:
        """Let go, to be tried again later."""
        ...
