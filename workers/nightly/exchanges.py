"""What customers asked, and what people answered: the only thing that is learnt from."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from core.adapters.briefings import read_briefing
from core.adapters.database import Database
from core.adapters.tables import accounts, conversations, handoffs, inbox, proposals
from core.escalation import last_question
from core.language import same_language
from core.suggestions import Fate
from core.turn import Author, Message, WorkspaceId
from workers.training.dataset.conversations import Line, joined, told
from workers.training.dataset.examples import Said

RECENT = 20
"""As many messages before an answer may hold its question: a chat may go on for years."""


class How(StrEnum):
    """What a person did for a reply."""

    WRITTEN = "written"
    ACCEPTED = "accepted"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who a conversation is with; `since` is when it began, in seconds since 1970."""

    channel: str
    id: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stay with people. `articles` are those that the agent was shown, best first.

    `since` is when the last before it was resolved, 0 if none was: that matter is over.
    `published` is the article that was made of it with an admin's approval, empty if none was.
    """

    opened_at: float
    since: float = 0.0
    fate: Fate | None = None
    articles: tuple[str, ...] = ()
    published: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A passage that the bot showed the customer; `disliked` if they said it did not help."""

    document: str
    title: str
    passage: str
    language: str
    disliked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question, and a person's answer in their own words.

    `shown` is how the customer read the answer. `told` is what was said up to the question, in the
    answer's language; empty where nobody translated it. `messages` are the ids of the question and
    the answer, `at` is when it was given. `rejected` is the bot's reply that the customer disliked.
    """

    conversation: int
    customer: Customer
    messages: tuple[int, ...]
    at: float
    question: str
    language: str
    answer: str
    answer_language: str
    shown: str
    told: tuple[Said, ...]
    how: How
    cited: tuple[Cited, ...] = ()
    case: Case | None = None
    rejected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liked:
    """A reply of the bot's that the customer liked: a nomination, no more."""

    conversation: int
    customer: Customer
    message: int
    at: float
    question: str
    language: str
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """An answer of the bot's that was left at that, `document` is the article that it cited."""

    conversation: int
    customer: Customer
    messages: tuple[int, ...]
    at: float
    question: str
    language: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around a workspace's transcripts.

    `guests` are the channel's ids of those who wrote in a conversation that they had not begun.
    """

    customers: Mapping[int, Customer]
    guests: Mapping[int, Collection[str]]
    cases: Mapping[int, tuple[Case, ...]]
    staff: tuple[str, ...]


async def around(database: Database, workspace: WorkspaceId) -> Around:
    """Who each conversation is with, its stays with people, and the names of the agents.

    Raises: Unavailable: the database cannot be reached.
    """
    return await database.read(lambda connection: _around(connection, workspace))


def exchanges(
    said: Sequence[Line], customer: Customer, cases: Sequence[Case]
) -> Iterator[Exchange]:
    """What people answered in one conversation, in order."""
    lines = joined(said)
    written_at = {one.ids[-1]: one.at for one in said}
    for at, line in enumerate(lines):
        if line.author is not Author.AGENT:
            continue
        case = next((one for one in reversed(cases) if one.opened_at <= line.at), None)
        recent = lines[max(0, at - RECENT) : at]
        over = case.since if case is not None else 0.0
        before = [one for one in recent if written_at[one.ids[-1]] > over]
        question = question_of(before)
        if question is None:
            continue
        answer, language = line.text, line.language
        if line.translated:
            answer, language = line.other, line.other_language
        since = _since_last_answer(before)
        yield Exchange(
            conversation=line.conversation,
            customer=customer,
            messages=(*question.ids, *line.ids),
            at=line.at,
            question=question.text,
            language=question.language,
            answer=answer,
            answer_language=language,
            shown=line.text,
            told=_read_by(language, before) if line.translated else told(before),
            how=_how(case, since),
            cited=tuple(_cited(since)),
            case=case,
            rejected="" if line.translated else _disliked(since),
        )


def liked(said: Sequence[Line], customer: Customer) -> Iterator[Liked]:
    """The bot's answers in one conversation that the customer liked."""
    for at, line in enumerate(said):
        answered = line.author is Author.BOT and line.details.get("outcome") == "answer"
        before = said[max(0, at - RECENT) : at]
        question = question_of(before) if answered and line.rating == 1 else None
        if question is not None:
            titles = dict.fromkeys(one["title"] for one in line.details.get("citations", ()))
            yield Liked(
                conversation=line.conversation,
                customer=customer,
                message=line.ids[0],
                at=line.at,
                question=question.text,
                language=question.language,
                titles=tuple(titles),
            )


def question_of(before: Sequence[Line]) -> Line | None:
    """The customer's line that says what they want: the last that a search could answer."""
    customers = [line for line in before if line.author is Author.CUSTOMER and line.text.strip()]
    history = [Message(author=one.author, text=one.text, language="") for one in customers]
    wanted = last_question(history).rpartition("\n")[2]
    asked = [line for line in customers if wanted and line.text.rpartition("\n")[2] == wanted]
    found = asked or customers
    return found[-1] if found else None


def _since_last_answer(before: Sequence[Line]) -> Sequence[Line]:
    """What was said since a person last answered."""
    places = [at for at, line in enumerate(before) if line.author is Author.AGENT]
    return before[places[-1] + 1 :] if places else before


def _how(case: Case | None, since: Sequence[Line]) -> How:
    """What the agent did with the suggestion; it was one for the first answer of a case."""
    if case is None or case.fate not in (Fate.ACCEPTED, Fate.EDITED):
        return How.WRITTEN
    opened = any(line.author is Author.BOT for line in since)
    return How(case.fate.value) if opened else How.WRITTEN


def _cited(since: Sequence[Line]) -> Iterator[Cited]:
    for line in reversed(since):
        if line.author is not Author.BOT:
            continue
        for one in line.details.get("citations", ()):
            if str(one.get("passage", "")).strip():
                yield Cited(
                    document=str(one.get("document", "")),
                    title=str(one.get("title", "")),
                    passage=str(one["passage"]),
                    language=str(one.get("language", "und")),
                    disliked=line.rating == -1,
                )


def _disliked(since: Sequence[Line]) -> str:
    bots = (line for line in reversed(since) if line.author is Author.BOT and line.rating == -1)
    return next((line.text for line in bots), "")


def _read_by(language: str, before: Sequence[Line]) -> tuple[Said, ...]:
    """What was said, as the agent read it, back to the first line that they could not read."""
    found: list[Line] = []
    for line in reversed(before):
        sides = ((line.text, line.language), (line.other, line.other_language))
        text = next((text for text, tag in sides if text and same_language(tag, language)), "")
        if not text:
            break
        found.insert(0, replace(line, text=text))
    return told(found)


def _around(connection: Connection, workspace: WorkspaceId) -> Around:
    mine = select(
        conversations.c.id,
        conversations.c.channel,
        conversations.c.customer,
        conversations.c.created_at,
    ).where(conversations.c.workspace == workspace)
    stays = (
        select(
            handoffs.c.conversation_id,
            handoffs.c.opened_at,
            handoffs.c.ended_at,
            handoffs.c.ending,
            handoffs.c.suggestion_fate,
            handoffs.c.briefing,
            proposals.c.id.label("proposal"),
            proposals.c.document_id,
            proposals.c.state,
        )
        .select_from(handoffs.outerjoin(proposals, proposals.c.handoff_id == handoffs.c.id))
        .where(handoffs.c.workspace == workspace)
        .order_by(handoffs.c.id)
    )
    came_to = (
        select(inbox.c.conversation_id, inbox.c.customer)
        .where(inbox.c.workspace == workspace, inbox.c.customer.is_not(None))
        .distinct()
    )
    guests = defaultdict[int, set[str]](set)
    for conversation, customer in connection.execute(came_to):
        guests[conversation].add(customer)
    names = select(accounts.c.name).where(accounts.c.workspace == workspace)
    cases: dict[int, tuple[Case, ...]] = {}
    resolved: dict[int, float] = {}
    for row in connection.execute(stays):
        case = _case(row, resolved.get(row.conversation_id, 0.0))
        cases[row.conversation_id] = (*cases.get(row.conversation_id, ()), case)
        if row.ending == "resolved":
            resolved[row.conversation_id] = row.ended_at
    return Around(
        customers={
            row.id: Customer(channel=row.channel, id=row.customer, since=row.created_at)
            for row in connection.execute(mine)
        },
        guests=guests,
        cases=cases,
        staff=tuple(connection.scalars(names)),
    )


def _case(row: Any, since: float) -> Case:
    briefing = read_briefing(row.briefing or "")
    published = ""
    if row.state == "approved":
        published = row.document_id or f"desk/{row.proposal}"
    return Case(
        opened_at=row.opened_at,
        since=since,
        fate=Fate(row.suggestion_fate) if row.suggestion_fate else None,
        articles=tuple(one.document for one in briefing.articles) if briefing else (),
        published=published,
    )
