"""The words of one turn: what comes in, what is decided, what goes out."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

WorkspaceId = NewType("WorkspaceId", str)
# Far above what claims can count up to.
LAST_TRY = 1_000_000

ConversationId = NewType("ConversationId", int)
TurnId = NewType("TurnId", int)


class Channel(StrEnum):
    """Where a conversation takes place."""

    SLACK = "slack"
    TELEGRAM = "telegram"
    WEB = "web"
    TERMINAL = "terminal"


class Kind(StrEnum):
    """What happened in a conversation: first what a customer did, then what an agent did."""

    MESSAGE = "message"
    # What a message that is in the transcript says now, for people to read; nobody answers it.
    EDIT = "edit"
    # The customer opened the chat (Telegram's /start) or asked what the bot can do (/help).
    OPENED = "opened"
    WANTS_PERSON = "wants_person"
    CHOOSES_LANGUAGE = "chooses_language"
    # A message beyond what one customer may send; it is kept, and not answered one by one.
    FLOOD = "flood"
    # The customer pressed one of five buttons under the question how it was; `text` is the digit.
    RATES = "rates"

    AGENT_REPLY = "agent_reply"
    # `text` is what an earlier reply should say instead; empty takes it back.
    AGENT_EDIT = "agent_edit"
    # The conversation changed hands; `text` is a `core.cases.Change` that the customer is told of.
    CHANGE = "change"

    @property
    def by_agent(self) -> bool:
        """Whether it is an agent's doing."""
        return self in (Kind.AGENT_REPLY, Kind.AGENT_EDIT, Kind.CHANGE)


class Author(StrEnum):
    """Who wrote a message of the transcript."""

    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"


class Owner(StrEnum):
    """Who is expected to write next in a conversation."""

    BOT = "bot"
    WAITING = "waiting"
    HUMAN = "human"
    CLOSED = "closed"


class Reason(StrEnum):
    """Why a conversation is handed to a person."""

    ASKED = "asked"
    LOW_CONFIDENCE = "low_confidence"
    NO_KNOWLEDGE = "no_knowledge"
    ATTACHMENT = "attachment"
    # Something of ours was down: the index, the model, the database.
    FAULT = "fault"
    # Nobody can tell whether the reply reached the customer.
    DELIVERY_UNKNOWN = "delivery_unknown"
    # Several replies in a row did not help.
    MISSES = "misses"
    INSULT = "insult"
    NEGATIVE = "negative"
    URGENT = "urgent"
    # A topic or a customer that the admins want people to see to.
    RULE = "rule"
    # An agent took over without being asked.
    TAKEN = "taken"


class Meaning(StrEnum):
    """What a message is about, as far as no article is needed for it; most are questions."""

    PERSON = "person"
    INSULT = "insult"
    URGENT = "urgent"
    NEGATIVE = "negative"
    SMALL_TALK = "small talk"
    # No help desk does that: other people's data, orders to the bot, somebody's homework.
    MISUSE = "misuse"
    QUESTION = "question"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where replies of one conversation go.

    `place` is spelt by the channel alone (a Slack channel and thread, a Telegram chat and topic,
    a web visitor's id) and is unique within the workspace and channel.
    """

    workspace: WorkspaceId
    channel: Channel
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file; `ref` is a channel's own name for fetching it later.

    `channel` says which one's, where that is not the conversation's: an agent sent it.
    """

    kind: str
    ref: str
    name: str = ""
    size_bytes: int = 0
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One thing a customer did, as the platform reported it.

    `event_id` makes a redelivery recognisable and is unique in (channel, workspace).
    `message_ref` is the platform's id of the message, the same for a message and its edits;
    `version` orders the edits of one message, larger is newer. `sent_at` is when the customer sent
    it by the platform's clock, in seconds since 1970, 0 where that is not told. With
    `CHOOSES_LANGUAGE`, `text` is the language tag that was picked, or empty to be shown the
    choice. With `RATES`, `target` is the turn that asked; without one the newest is meant.
    """

    address: Address
    event_id: str
    customer: str
    kind: Kind = Kind.MESSAGE
    text: str = ""
    message_ref: str | None = None
    version: float = 0.0
    sent_at: float = 0.0
    language_hint: str | None = None
    attachments: tuple[Attachment, ...] = ()
    target: TurnId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of the transcript, oldest first wherever several stand together.

    `choices` are the titles that were offered below it.
    """

    author: Author
    text: str
    language: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent as a turn needs to know them."""

    id: int
    name: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The question how it was, asked once a conversation was resolved.

    `case` is what it is about. `rating` is what the customer has answered, from 1 to 5; `age_s`
    counts from the question.
    """

    case: int
    rating: int | None = None
    comment: str = ""
    age_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is served: one message, or a burst of them written in one go.

    `customer` is the channel's id of who wrote, `message_ref` the platform's of what the reply is
    to: the last message of the turn, or the customer's last where an agent wrote. `language` is the
    language of the conversation so far, `chosen` whether the customer picked it.
    `history` holds the last messages before this turn. `rows` are the inbox rows it is made of, as
    (id, version), `texts` what each says; `epoch` is the conversation's when they were read.
    `agent` wrote the turn, or else holds the conversation; `target` is the reply that they change,
    or the message that the customer changed.
    """

    id: TurnId
    conversation: ConversationId
    address: Address
    text: str
    kind: Kind = Kind.MESSAGE
    customer: str = ""
    message_ref: str | None = None
    language: str | None = None
    chosen: bool = False
    language_hint: str | None = None
    owner: Owner = Owner.BOT
    attachments: tuple[Attachment, ...] = ()
    history: tuple[Message, ...] = ()
    rows: tuple[tuple[int, float], ...] = ()
    texts: tuple[str, ...] = ()
    epoch: int = 0
    agent: Agent | None = None
    target: TurnId | None = None
    survey: Survey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A span of a document that may answer a question.

    `start` and `end` are character offsets into the document's text; `source` is the address a
    reader can open, or empty; `score` is comparable within one search only.
    """

    id: str
    document: str
    title: str
    text: str
    language: str
    heading: str = ""
    source: str = ""
    start: int = 0
    end: int = 0
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search brought: passages best first, and how far to trust the first.

    `probability` is calibrated: of the questions given p, a share of about p is answered by the
    cited passages. `index` names the snapshot that was searched, `encoder` what built it.
    """

    passages: tuple[Passage, ...]
    probability: float
    index: str
    encoder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply supported by the cited passages; `verbatim` when it is the passage's own words."""

    text: str
    citations: tuple[Passage, ...]
    verbatim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarify:
    """A question back; each of `choices` is a text the customer may send as it stands."""

    text: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """The turn goes to a person; `text` tells the customer so.

    `priority` is 0 (normal), 1 (high) or 2 (urgent). `due_at` is when the customer was told to
    expect an answer, in seconds since 1970.
    """

    reason: Reason
    text: str
    priority: int = 0
    due_at: float | None = None


Outcome = Answer | Clarify | Handoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the customer reads of people: an agent's own words, or a notice about them.

    `sender` is the agent's name, empty in a notice. `asks_rating` shows five buttons, 1 to 5.
    `due_at` is as in `Handoff`.
    `replaces` is the turn whose reply this is to stand for instead; without `text` it is taken
    back.
    """

    text: str
    sender: str = ""
    attachments: tuple[Attachment, ...] = ()
    asks_rating: bool = False
    replaces: TurnId | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One message and how the other side reads it.

    `translation` is None where both share a language, or where `fault` says why there is none.
    """

    text: str
    language: str
    translation: str | None = None
    translation_language: str | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A turn as the other side reads it, message by message.

    `language` is the conversation's from now on, `chosen` whether the customer picked it.
    """

    lines: tuple[Spoken, ...]
    language: str | None = None
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How a turn ended, with what an operator needs to explain it.

    `chosen` is true once the customer has picked the language; `offer_languages` asks the channel
    to show the choice. `survey` is a rating or a comment to be kept. `model` is empty where no
    model wrote, `index` and `encoder` where nothing was searched. Timings are in milliseconds by
    step.
    """

    outcome: Outcome | Words
    language: str
    probability: float
    chosen: bool = False
    offer_languages: tuple[str, ...] = ()
    survey: Survey | None = None
    model: str = ""
    index: str = ""
    encoder: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One platform message of a reply, rendered and cut to the platform's limits.

    `body` is the channel's own JSON text; `id` is the outbox row, `attempts` how often a send was
    begun before. `dubious` means that an earlier send was begun and its end never learnt.
    `replaces` is the platform's id of a message that this one is to stand for instead; an empty
    body takes it back.
    """

    id: int
    address: Address
    body: str
    attempts: int = 0
    dubious: bool = False
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to serve one conversation; `fence` makes every older right worthless.

    `attempts` counts the claims since a turn was last finished, this one included; beyond
    `LAST_TRY`, the turn's last try has failed.
    """

    conversation: ConversationId
    holder: str
    fence: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A new inbox row; `lease` is ours when nobody else was serving the conversation."""

    conversation: ConversationId
    lease: Lease | None
    owner: Owner = Owner.BOT


class Fate(StrEnum):
    """What became of a parcel."""

    SENT = "sent"
    POSTPONED = "pending"
    # It may have been sent: the platform is to be asked before anything else.
    DUBIOUS = "sending"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The end of one attempt to send; `retry_in_s` says when to try or ask again."""

    fate: Fate
    ref: str = ""
    error: str = ""
    retry_in_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do next under a lease: send this parcel, else serve a turn, else it was let go.

    `begun` means that the parcel is marked as being sent.
    """

    parcel: Parcel | None = None
    begun: bool = False
    held: bool = False
