"""The words of the desk: stays of conversations with people, and what happened in them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from core.staff import AccountId
from core.turn import Attachment, Author, Channel, ConversationId, Owner, WorkspaceId

CaseId = NewType("CaseId", int)
EventId = NewType("EventId", int)


class Act(StrEnum):
    """What an agent may do with a conversation."""

    CLAIM = "claim"
    REPLY = "reply"
    NOTE = "note"
    RETURN = "return"
    RESOLVE = "resolve"
    SNOOZE = "snooze"
    WAKE = "wake"
    # Back into the queue, for a colleague to take.
    RELEASE = "release"


class Change(StrEnum):
    """A change of hands that the customer is told of."""

    CLAIMED = "claimed"
    RETURNED = "returned"
    RESOLVED = "resolved"
    # The agent gave no sign of life for too long: it waits for another.
    LAPSED = "lapsed"
    # The agent has put it back into the queue.
    RELEASED = "released"


class EventKind(StrEnum):
    """What a desk shows, in the order in which it happened."""

    OPENED = "opened"
    BRIEFED = "briefed"
    # Somebody said something that the customer reads as well.
    MESSAGE = "message"
    NOTE = "note"
    EDITED = "edited"
    DELETED = "deleted"
    CLAIMED = "claimed"
    RETURNED = "returned"
    RESOLVED = "resolved"
    LAPSED = "lapsed"
    RELEASED = "released"
    SNOOZED = "snoozed"
    WOKEN = "woken"
    RATED = "rated"
    # The customer's platform took an agent's words.
    DELIVERED = "delivered"
    # An agent's words did not reach the customer, or may not have.
    UNDELIVERED = "undelivered"
    # Lines have got their translation only now; without a line, those that an agent took over.
    TRANSLATED = "translated"
    # The customer began a new conversation on the web, and does not see this one any more.
    LEFT = "left"


class Filter(StrEnum):
    """Which cases an inbox shows; those that are snoozed are in no other but the ended."""

    OPEN = "open"
    WAITING = "waiting"
    MINE = "mine"
    OTHERS = "others"
    SNOOZED = "snoozed"
    ENDED = "ended"


class Why(StrEnum):
    """Why an agent may not do something."""

    UNKNOWN = "unknown"
    # Another agent has it; `Refused.holder` is their name.
    TAKEN = "taken"
    NOT_CLAIMED = "not_claimed"
    WITH_BOT = "with_bot"
    CLOSED = "closed"
    ONLY_READS = "only_reads"
    NOT_YOURS = "not_yours"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    # Other words were kept under the same key.
    SAID_OTHERWISE = "said_otherwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something was not done; `core.handoff.explain` says why in an agent's language."""

    why: Why
    holder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stay of a conversation with people, from the handoff to its return or resolution.

    Times are in seconds since 1970 by the database's clock. `owner` is the conversation's now.
    `waiting_since` is None while the last word is the agent's. `briefing` is JSON, empty until it
    is made.
    """

    id: CaseId
    conversation: ConversationId
    workspace: WorkspaceId
    channel: Channel
    customer: str
    owner: Owner
    reason: str
    language: str
    opened_at: float
    priority: int = 0
    waiting_since: float | None = None
    due_at: float | None = None
    snoozed_until: float | None = None
    agent: AccountId | None = None
    agent_name: str = ""
    claimed_at: float | None = None
    first_answer_at: float | None = None
    ended_at: float | None = None
    ending: str = ""
    briefing: str = ""
    rating: int | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A case in the inbox of a desk, `waited_s` without an answer; 0 if none is owed.

    `last_message` is the customer's newest, as the agent reads it.
    """

    case: Case
    waited_s: float
    last_message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskLine:
    """One message of a conversation as agents see it.

    `text` is as its author wrote it, `translation` as the other side reads it. `event_id` names
    an agent's reply for `Desk.edit`. `fault` says why there is no translation though one is
    needed. `name` is the agent's, or the platform's id of a customer who joined in another's
    conversation. `details` is JSON about how a bot's reply came about.
    """

    id: int
    author: Author
    text: str
    language: str
    created_at: float
    translation: str | None = None
    translation_language: str | None = None
    name: str = ""
    account: AccountId | None = None
    internal: bool = False
    edited_at: float | None = None
    deleted_at: float | None = None
    attachments: tuple[Attachment, ...] = ()
    event_id: str = ""
    fault: str = ""
    details: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskEvent:
    """Something that happened to a conversation which was handed over.

    `case` is as it stands now, not as it stood then; None for a note on a conversation that the
    bot has had alone. `lines` is what was said since a desk last showed anything, of a case that
    opens where an earlier one was shown. `actor` is the agent's name, empty if it was
    the customer, the bot or the clock. `details` is JSON.
    """

    id: EventId
    kind: EventKind
    conversation: ConversationId
    created_at: float
    case: Case | None = None
    line: DeskLine | None = None
    lines: tuple[DeskLine, ...] = ()
    actor: str = ""
    account: AccountId | None = None
    details: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadLease:
    """The right to show one conversation on one desk; `fence` makes older rights worthless."""

    thread: int
    holder: str
    fence: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What a desk has to show next: `lines` is what was said before, for a place made anew.

    Without a `place` one has to be made; without an `event` there is no more.
    """

    place: str | None
    case: Case
    event: DeskEvent | None
    lines: tuple[DeskLine, ...] = ()
