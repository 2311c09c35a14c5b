"""How the conversations of a canary went, and the rest, counted from their turns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from core.adapters.database import Database, Now
from core.adapters.figures import GOOD
from core.adapters.tables import handoffs, messages
from core.canary import Canary, Tally
from core.turn import Author, ConversationId

_OWN, _OTHER, _NONE = "own", "other", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """Both, at a moment of the database's clock."""

    own: Tally
    rest: Tally
    now: float


class CanaryTallies:
    """Counts over the turns that were served since a canary began."""

    def __init__(self, database: Database) -> None:
        """Count in `database`."""
        self._database = database

    async def of(self, canary: Canary) -> Tallies:
        """How it went so far.

        A turn counts that was searched for with the version which its conversation drew, or whose
        search failed: one that another version served meanwhile says nothing.
        Raises: Unavailable: the database does not answer.
        """
        turns, rated = _turns(canary), _rated(canary)

        def work(connection: Connection) -> Tallies:
            served = connection.execute(turns).all()
            ratings = connection.execute(rated).all()
            now = float(connection.scalar(select(Now())) or 0.0)
            own, rest = _parted(canary, served)
            return Tallies(own=_tally(own, ratings), rest=_tally(rest, ratings), now=now)

        return await self._database.read(work)


def _turns(canary: Canary) -> Any:
    """By conversation and version: whether a turn of that kind was ever among them."""
    said = messages.c.details
    # Inside a string of the JSON its quotation marks would be escaped.
    stamp = case(
        (said.contains(f'"encoder": "{canary.name}@', autoescape=True), _OWN),
        (said.contains('"encoder": ""', autoescape=True), _NONE),
        else_=_OTHER,
    ).label("stamp")
    answered = said.contains('"outcome": "answer"', autoescape=True)
    searched = select(
        messages.c.conversation_id.label("conversation"),
        stamp,
        _ever(said.contains('"outcome": "handoff"', autoescape=True), "handed_over"),
        _ever(answered, "answered"),
        _ever(answered & said.contains('"verbatim": true', autoescape=True), "fell_back"),
        _ever(messages.c.rating.in_((1, -1)), "rated"),
        _ever(messages.c.rating == -1, "disliked"),
    ).where(
        messages.c.id > canary.after,
        messages.c.workspace == canary.workspace,
        messages.c.author == Author.BOT,
        # What no search was needed for says nothing of a version.
        (stamp != _NONE) | said.contains('"reason": "fault"', autoescape=True),
    )
    return searched.group_by(messages.c.conversation_id, stamp)


def _ever(condition: Any, name: str) -> Any:
    return func.max(case((condition, 1), else_=0)).label(name)


def _rated(canary: Canary) -> Any:
    """What customers said after a person had helped them."""
    return select(handoffs.c.conversation_id, handoffs.c.rating).where(
        handoffs.c.workspace == canary.workspace,
        handoffs.c.opened_at >= canary.since,
        handoffs.c.rating.is_not(None),
    )


def _parted(
    canary: Canary, served: Iterable[Row[Any]]
) -> tuple[dict[ConversationId, Sequence[Row[Any]]], dict[ConversationId, Sequence[Row[Any]]]]:
    """The canary's conversations and the rest, without what the other version served of them."""
    own: dict[ConversationId, Sequence[Row[Any]]] = {}
    rest: dict[ConversationId, Sequence[Row[Any]]] = {}
    for row in served:
        drawn = canary.serves(row.conversation)
        if row.stamp == (_OTHER if drawn else _OWN):
            continue
        side = own if drawn else rest
        side[row.conversation] = (*side.get(row.conversation, ()), row)
    return own, rest


def _tally(side: dict[ConversationId, Sequence[Row[Any]]], ratings: Sequence[Row[Any]]) -> Tally:
    stars = [row for row in ratings if row.conversation_id in side]
    rated = {row.conversation_id for row in stars} | _those(side, "rated")
    bad = {row.conversation_id for row in stars if row.rating < GOOD}
    return Tally(
        conversations=len(side),
        handed_over=len(_those(side, "handed_over")),
        answered=len(_those(side, "answered")),
        fell_back=len(_those(side, "fell_back")),
        rated=len(rated),
        disliked=len(bad | _those(side, "disliked")),
    )


def _those(side: dict[ConversationId, Sequence[Row[Any]]], column: str) -> set[ConversationId]:
    return {
        conversation
        for conversation, rows in side.items()
        if any(getattr(row, column) for row in rows)
    }
