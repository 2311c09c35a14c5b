"""What the desk's database says, held against what the platforms saw."""

import itertools
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select

from core.adapters.database import Database
from core.adapters.tables import conversations, inbox, messages, outbox
from core.turn import Author, Owner
from tests.crash.world import NUMBER, World

Numbers = set[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Numbers of questions by what the database says of them.

    `came` is when each was sent and as how many-th it was accepted; `unknown` are those whose
    reply may have arrived, `in_queue` those of conversations that wait for a person, `resent`
    those whose reply was sent again, `parked` those given up.
    """

    came: dict[int, tuple[float, int]]
    unknown: Numbers
    in_queue: Numbers
    resent: Numbers
    parked: Numbers


async def unfinished(database: Database) -> int:
    """How many messages and parcels still wait for something."""
    waiting = select(func.count()).select_from(inbox).where(inbox.c.state == "pending")
    unsent = (
        select(func.count()).select_from(outbox).where(outbox.c.state.in_(("pending", "sending")))
    )
    return await database.read(
        lambda connection: (connection.scalar(waiting) or 0) + (connection.scalar(unsent) or 0)
    )


async def records(database: Database) -> Records:
    """Read them."""
    questions = select(inbox.c.text, inbox.c.sent_at, inbox.c.id).where(
        inbox.c.text.startswith("question")
    )
    rows = await database.read(lambda connection: connection.execute(questions).all())
    unknown = outbox.c.state == "unknown"
    return Records(
        came={int(NUMBER.findall(row.text)[0]): (row.sent_at, row.id) for row in rows},
        unknown=await _numbers(database, _replies(unknown)),
        in_queue=await _numbers(
            database, _replies(unknown, conversations.c.owner == Owner.WAITING)
        ),
        resent=await _numbers(database, _replies(outbox.c.error.startswith("sent again"))),
        parked=await _numbers(database, select(inbox.c.text).where(inbox.c.state == "parked")),
    )


def _replies(*wanted: ColumnElement[bool]) -> Select[tuple[str]]:
    return (
        select(messages.c.text)
        .join(outbox, outbox.c.inbox_id == messages.c.inbox_id)
        .join(conversations, conversations.c.id == outbox.c.conversation_id)
        .where(messages.c.author == Author.BOT, *wanted)
    )


async def _numbers(database: Database, texts: Select[tuple[str]]) -> Numbers:
    rows = await database.read(lambda connection: connection.execute(texts).all())
    return {int(number) for row in rows for number in NUMBER.findall(row.text)}


def judge(world: World, found: Records) -> dict[str, int]:
    """Count what broke the promise, and beside it what nobody could know.

    Lost are questions without a reply whose fate is not on record as unknown; doubled are those
    answered twice that were not sent again knowingly.
    """
    replies = {place: world.replies(place) for place in world.asked}
    asked = {number for numbers in world.asked.values() for number in numbers}
    shown = [number for said in replies.values() for numbers in said for number in numbers]
    twice = {number for number in shown if shown.count(number) > 1}
    return {
        "asked": len(asked),
        "lost": len(asked - set(shown) - found.unknown - found.parked),
        "doubled": len(twice - found.resent),
        "out of order": sum(disorders(said, found.came) for said in replies.values()),
        "parked": len(found.parked),
        "unknown, had arrived": len(found.unknown & set(shown)),
        "unknown, never arrived": len(found.unknown - set(shown)),
        "unknown, not in the queue": len(found.unknown - found.in_queue),
        "sent again, had arrived": len(found.resent & twice),
        "sent again, had not": len(found.resent - twice),
        "refused by Telegram": world.telegram.methods.gate.refused,
    }


def disorders(replies: list[tuple[int, ...]], came: dict[int, tuple[float, int]]) -> int:
    """Pairs answered the wrong way round: sent earlier, accepted earlier, and answered later.

    A reply to several questions that comes twice in a row is doubled, not out of order.
    """
    answered = [number for numbers, _ in itertools.groupby(replies) for number in numbers]
    return sum(
        came[late][0] < came[early][0] and came[late][1] < came[early][1]
        for early, late in itertools.combinations(answered, 2)
    )
