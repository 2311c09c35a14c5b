"""What a desk's days look like in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, or_, select

from core.adapters.database import Database, Now
from core.adapters.tables import conversations, handoffs, messages
from core.turn import Author, WorkspaceId

# A rating of so many of 5 is a good one (csat).
GOOD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageFigures:
    """One language's share of a period."""

    language: str
    conversations: int
    handed_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """Conversations begun on one day, and of these handed over."""

    date: date
    begun: int
    handed_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A period in numbers; what nothing was counted for is None.

    Formulas: `docs/glossary.md`. Times are medians in seconds, from the handoff on. The last of
    the `days` is the last.
    """

    conversations: int
    handed_over: int
    deflection_rate: float | None
    containment_rate: float | None
    first_answer_s: float | None
    resolution_s: float | None
    ratings: int
    csat: float | None
    days: tuple[DayFigures, ...]
    languages: tuple[LanguageFigures, ...]
    reasons: Mapping[str, int]
    suggestions: Mapping[str, int]


class Figures:
    """Counts over a workspace's conversations."""

    def __init__(self, database: Database) -> None:
        """Count in `database`."""
        self._database = database

    async def now(self) -> float:
        """The database's clock, by which every time of a case is meant."""
        found = await self._database.read(lambda connection: connection.scalar(select(Now())))
        return float(found or 0.0)

    async def languages(self, workspace: WorkspaceId) -> Mapping[str, int]:
        """Conversations by language, where it is known."""
        wanted = (
            select(conversations.c.language, func.count())
            .where(conversations.c.workspace == workspace, conversations.c.language.is_not(None))
            .group_by(conversations.c.language)
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return Counter({row[0]: row[1] for row in rows})

    async def report(self, workspace: WorkspaceId, days: int, *, zone: str) -> Report:
        """The last `days` days of a time zone, today included, by the database's clock."""
        clock = ZoneInfo(zone)

        def work(connection: Connection) -> Report:
            today = _day(float(connection.scalar(select(Now())) or 0.0), clock)
            dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
            since = datetime(*dates[0].timetuple()[:3], tzinfo=clock).timestamp()
            begun = connection.execute(_begun(workspace, since)).all()
            cases = connection.execute(_cases(workspace, since)).all()
            verdicts = connection.scalars(_verdicts(workspace, since)).all()
            return _report(begun, cases, verdicts, dates=dates, clock=clock)

        return await self._database.read(work)


def _report(
    begun: Sequence[Row[Any]],
    cases: Sequence[Row[Any]],
    verdicts: Sequence[int | None],
    *,
    dates: Sequence[date],
    clock: ZoneInfo,
) -> Report:
    over = [row for row in begun if row.handed_over]
    alone = [row for row in begun if not row.handed_over]
    contained = [row for row in alone if row.answered and row.last_rating != -1]
    # Two buttons under a reply of the bot, five stars after a person.
    good = [rating > 0 for rating in verdicts if rating is not None]
    good += [row.rating >= GOOD for row in cases if row.rating is not None]
    first = [row.first_answer_at - row.opened_at for row in cases if row.first_answer_at]
    resolved = [row.ended_at - row.opened_at for row in cases if row.ending == "resolved"]
    spoken = Counter(row.language or "und" for row in begun)
    spoken_over = Counter(row.language or "und" for row in over)
    begun_on = Counter(_day(row.created_at, clock) for row in begun)
    over_on = Counter(_day(row.created_at, clock) for row in over)
    return Report(
        conversations=len(begun),
        handed_over=len(over),
        deflection_rate=_share(len(alone), len(begun)),
        containment_rate=_share(len(contained), len(begun)),
        first_answer_s=median(first) if first else None,
        resolution_s=median(resolved) if resolved else None,
        ratings=len(good),
        csat=_share(sum(good), len(good)),
        days=tuple(
            DayFigures(date=each, begun=begun_on[each], handed_over=over_on[each]) for each in dates
        ),
        languages=tuple(
            LanguageFigures(language=tag, conversations=n, handed_over=spoken_over[tag])
            for tag, n in spoken.most_common()
        ),
        reasons=Counter(row.reason for row in cases),
        suggestions=Counter(row.suggestion_fate for row in cases if row.suggestion_fate),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _day(at: float, clock: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, clock).date()


def _begun(workspace: WorkspaceId, since: float) -> Any:
    """Conversations begun: whether people ever had them, and how the bot's last reply ended."""
    case = select(handoffs.c.id).where(handoffs.c.conversation_id == conversations.c.id)
    said = messages.alias("said")
    last = (
        select(func.max(said.c.id))
        .where(said.c.conversation_id == conversations.c.id, said.c.author == Author.BOT)
        .scalar_subquery()
    )
    return (
        select(
            conversations.c.created_at,
            conversations.c.language,
            case.exists().label("handed_over"),
            # Inside a string of the JSON its quotation marks would be escaped.
            messages.c.details.contains('"outcome": "answer"', autoescape=True).label("answered"),
            messages.c.rating.label("last_rating"),
        )
        .select_from(conversations.outerjoin(messages, messages.c.id == last))
        .where(conversations.c.workspace == workspace, conversations.c.created_at >= since)
    )


def _cases(workspace: WorkspaceId, since: float) -> Any:
    return select(
        handoffs.c.reason,
        handoffs.c.opened_at,
        handoffs.c.first_answer_at,
        handoffs.c.ended_at,
        handoffs.c.ending,
        handoffs.c.rating,
        handoffs.c.suggestion_fate,
    ).where(handoffs.c.workspace == workspace, handoffs.c.opened_at >= since)


def _verdicts(workspace: WorkspaceId, since: float) -> Any:
    return select(messages.c.rating).where(
        messages.c.workspace == workspace,
        messages.c.created_at >= since,
        or_(messages.c.rating == 1, messages.c.rating == -1),
    )
