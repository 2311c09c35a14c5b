"""What agents wrote and read, held against the records and what customers saw."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select

from core.adapters.database import Database
from core.adapters.tables import (
    conversations,
    desk_events,
    desk_threads,
    handoffs,
    inbox,
    messages,
    outbox,
)
from core.cases import EventKind
from core.turn import Author, Kind
from tests.bots.slack.desk.world import DESK, words_of
from tests.core.takeover import PERSON
from tests.crash.agents import Agents
from tests.crash.verdict import Numbers, Records, disorders
from tests.crash.world import World

WORD = re.compile(r"word (\d+)")
# A customer's line as it stands in a thread; the bot's begin otherwise.
LINE = re.compile(rf"^question (\d+)(?:, {PERSON})?$", re.MULTILINE)
DELIVERED = "white_check_mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRecords:
    """Numbers of agents' messages by what the database says of them, and whose place is where.

    `replies` says as how many-th each was accepted, `unknown` are those that may have arrived,
    `resent` those sent again, `told` the questions that happened while people had them.
    """

    replies: dict[int, int]
    rows: Counter[int]
    notes: Counter[int]
    unknown: Numbers
    resent: Numbers
    told: Numbers
    places: dict[str, str]


async def all_kept(database: Database, written: Iterable[int]) -> bool:
    """Whether each message of an agent's is on record."""
    found = await desk_records(database)
    return set(written) <= set(found.rows) | set(found.notes)


async def desk_is_quiet(database: Database) -> bool:
    """Whether nothing is left to be shown to agents, nor a case that has no thread yet."""
    busy = select(func.count()).where(
        or_(desk_threads.c.due_at.is_not(None), desk_threads.c.holder.is_not(None))
    )
    threads = select(desk_threads.c.id).where(
        desk_threads.c.conversation_id == handoffs.c.conversation_id
    )
    unseen = select(func.count()).where(handoffs.c.ended_at.is_(None), ~threads.exists())
    return not await database.read(
        lambda connection: (connection.scalar(busy) or 0) + (connection.scalar(unseen) or 0)
    )


async def desk_records(database: Database) -> DeskRecords:
    """Read them."""
    by_agent = inbox.c.kind == Kind.AGENT_REPLY
    kept = await _rows(database, select(inbox.c.text, inbox.c.id).where(by_agent))
    notes = select(messages.c.text).where(messages.c.internal)
    sent = select(inbox.c.text).join(outbox, outbox.c.inbox_id == inbox.c.id).where(by_agent)
    told = (
        select(messages.c.text)
        .join(desk_events, desk_events.c.message_id == messages.c.id)
        .where(messages.c.author == Author.CUSTOMER, desk_events.c.kind == EventKind.MESSAGE)
    )
    places = select(desk_threads.c.place, conversations.c.place).join(
        conversations, conversations.c.id == desk_threads.c.conversation_id
    )
    return DeskRecords(
        replies={n: row for text, row in kept for n in _numbers(WORD, [text])},
        rows=Counter(_numbers(WORD, [text for text, _ in kept])),
        notes=Counter(_numbers(WORD, [text for (text,) in await _rows(database, notes)])),
        unknown=await _words(database, sent.where(outbox.c.state == "unknown")),
        resent=await _words(database, sent.where(outbox.c.error.startswith("sent again"))),
        told={n for (text,) in await _rows(database, told) for n in _lines(text)},
        places={str(at).partition("/")[2]: place for at, place in await _rows(database, places)},
    )


def judge_desk(world: World, agents: Agents, found: Records, desk: DeskRecords) -> dict[str, int]:
    """Count what broke the promise to agents, and beside it what nobody could know."""
    said = {place: _numbers(WORD, world.read(place)) for place in world.asked}
    threads = {place: _thread(world, card) for card, place in desk.places.items()}
    read = {n for lines in threads.values() for n in lines}
    asked = {n for numbers in world.asked.values() for n in numbers}
    answered = {n for place in world.asked for numbers in world.replies(place) for n in numbers}
    kept_twice = {n for n in agents.written if desk.rows[n] + desk.notes[n] > 1}
    shown = Counter(n for numbers in said.values() for n in numbers)
    came = {n: (agents.written[n], row) for n, row in desk.replies.items()}
    fates = answered | read | found.unknown | found.parked
    return {
        "replies": len(desk.replies),
        "replies read": len(shown),
        "replies unknown": len(desk.unknown),
        "notes": len(desk.notes),
        "words lost": len(set(agents.written) - set(desk.rows) - set(desk.notes)),
        "replies lost": len(set(desk.replies) - set(shown) - desk.unknown),
        "replies doubled": len({n for n in shown if shown[n] > 1} - desk.resent | kept_twice),
        "replies out of order": sum(disorders(_each(numbers), came) for numbers in said.values()),
        "replies not marked": len(set(shown) - desk.unknown - _marked(world)),
        "leaked": len(set(shown) & (agents.secrets | set(desk.notes)))
        + sum(_astray(agents, desk, place, numbers) for place, numbers in said.items()),
        "questions read by agents": len(read),
        "questions lost": len((asked - fates) | (desk.told - read)),
        "questions read twice": sum(len(lines) - len(set(lines)) for lines in threads.values()),
        "questions out of order": sum(
            disorders(_each(lines), found.came) for lines in threads.values()
        ),
        "cards doubled": len(agents.all_cards()) - len(desk.places),
        "stays": agents.stays(),
        "interrupted by the bot": agents.interruptions(),
    }


def _thread(world: World, card: str) -> list[int]:
    """The numbers of a customer's lines below a card, in order."""
    replies = [m for m in world.slack.messages(DESK) if m.thread_ts == card]
    return [number for message in replies for number in _lines(words_of(message))]


def _marked(world: World) -> Numbers:
    """The numbers of agents' messages under which it says that they arrived."""
    found = world.slack.messages(DESK, bot=False)
    return set(_numbers(WORD, [m.text for m in found if m.reactions.get(DELIVERED)]))


def _astray(agents: Agents, desk: DeskRecords, place: str, numbers: list[int]) -> int:
    """How many words reached another customer than they were written to."""
    return sum(desk.places.get(agents.cards[number]) != place for number in numbers)


def _each(numbers: Iterable[int]) -> list[tuple[int, ...]]:
    return [(number,) for number in numbers]


def _lines(text: str) -> list[int]:
    return _numbers(LINE, [text])


def _numbers(pattern: re.Pattern[str], texts: Iterable[str]) -> list[int]:
    return [int(number) for text in texts for number in pattern.findall(text)]


async def _words(database: Database, texts: Select[tuple[str]]) -> Numbers:
    return set(_numbers(WORD, [text for (text,) in await _rows(database, texts)]))


async def _rows(database: Database, wanted: Select[Any]) -> Sequence[Any]:
    return await database.read(lambda connection: connection.execute(wanted).all())
