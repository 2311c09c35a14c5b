"""When people answer: opening hours of a week, holidays, and what follows for who asks now."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import Rejected

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
# Whoever does not open within a year is closed for good.
_HORIZON_DAYS = 370
_RULE = re.compile(r"\s*(?:([a-z]{3})(?:\s*-\s*([a-z]{3}))?\s+)?(\S+)\s*")
_SPAN = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\s*[-–]\s*([01]?\d|2[0-4]):([0-5]\d)")
_HOLIDAY = re.compile(r"(?:[0-9]{4}-)?[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Opening:
    """A stretch of a day, in minutes from its midnight; one past midnight ends beyond 1,440."""

    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Openings by day of the week, Monday first, in an IANA time zone.

    A holiday is a date, or a month and a day of every year ("12-25"); what opens on one is closed.
    """

    zone: str = "UTC"
    week: tuple[tuple[Opening, ...], ...] = ((Opening(opens=0, closes=_DAY),),) * 7
    holidays: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raises: Rejected: the time zone does not exist."""
        zone_of(self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a customer is told of the time of an answer, empty if nothing can be told.

    `due_at` is that time in seconds since 1970, None where none was promised.
    """

    text: str = ""
    due_at: float | None = None


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises: Rejected: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected(f"{name!r} is no time zone; write one such as Europe/Berlin") from error


def read_week(text: str) -> tuple[tuple[Opening, ...], ...]:
    """The openings in "mon-fri 09:00-12:00, 13:00-17:00, sat 10:00-14:00"; empty is always open.

    A time without a day is for the days before it. "22:00-06:00" ends on the next day.

    Raises: Rejected: it is written in another form.
    """
    if not text.strip():
        return Hours().week
    week: list[list[Opening]] = [[] for _ in DAYS]
    days: Sequence[int] = range(7)
    for rule in re.split(r"[,;\n]", text.casefold()):
        if not rule.strip():
            continue
        found = _RULE.fullmatch(re.sub(r"\s*([-–])\s*", r"\1", rule))
        span = _SPAN.fullmatch(found[3]) if found else None
        if found is None or (span is None and found[3] != "closed"):
            raise Rejected(f"{rule.strip()!r} is no time; write it like mon-fri 09:00-17:00")
        if found[1]:
            days = _days(found[1], found[2] or found[1])
        for day in days:
            if span is None:
                week[day].clear()
            else:
                week[day].append(_opening(span))
    return tuple(tuple(sorted(openings)) for openings in week)


def read_holidays(days: Sequence[str]) -> frozenset[str]:
    """Dates such as 2027-01-01, and days of every year such as 12-25.

    Raises: Rejected: one of them is no date.
    """
    for day in days:
        if not _HOLIDAY.fullmatch(day) or not _is_date(day):
            raise Rejected(f"{day!r} is no holiday; write 2027-01-01, or 12-25")
    return frozenset(days)


def _is_date(day: str) -> bool:
    try:
        # 2000 had a 29th of February.
        date.fromisoformat(day if len(day) > 5 else f"2000-{day}")
    except ValueError:
        return False
    return True


def opens_at(hours: Hours, at: datetime) -> datetime | None:
    """When somebody is there next, in UTC: `at` itself if now, None if never."""
    start, _ = next(_spans(hours, at), (None, None))
    return start


def due_at(hours: Hours, at: datetime, within: timedelta) -> datetime | None:
    """The moment by which `within` of open time has passed, in UTC; None if it never has.

    Open time is counted as it passes, so a night in which the clocks are put back is longer.
    """
    left = within
    for start, end in _spans(hours, at):
        if end - start >= left:
            return start + left
        left -= end - start
    return None


def _spans(hours: Hours, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Open time that ends after `at`, in UTC, in order; never before `at`."""
    zone = zone_of(hours.zone)
    first = at.astimezone(zone).date() - timedelta(days=1)
    until = at.astimezone(UTC)
    for number in range(_HORIZON_DAYS):
        day = first + timedelta(days=number)
        if day.isoformat() in hours.holidays or day.isoformat()[5:] in hours.holidays:
            continue
        for opening in hours.week[day.weekday()]:
            start = _instant(day, opening.opens, zone, last=False)
            end = _instant(day, opening.closes, zone, last=True)
            # An opening within the hour that the clocks skip is not there that day.
            if end > max(start, until):
                yield max(start, until), end
                until = end


def _instant(day: date, minute: int, zone: ZoneInfo, *, last: bool) -> datetime:
    """A time by the clock on the wall; of the two that a clock put back shows, first or last.

    One that a clock put forward skips is as much later as the clock was put forward.
    """
    midnight = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    first = midnight.replace(tzinfo=zone).astimezone(UTC)
    second = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return max(first, second) if last else first


def _days(first: str, last: str) -> list[int]:
    if first not in DAYS or last not in DAYS:
        raise Rejected(f"{first}-{last} are no days; write them as {', '.join(DAYS)}")
    start, end = DAYS.index(first), DAYS.index(last)
    return [day % 7 for day in range(start, end + 1 if start <= end else end + 8)]


def _opening(span: re.Match[str]) -> Opening:
    opens, closes = (
        int(hour) * 60 + int(minute) for hour, minute in ((span[1], span[2]), (span[3], span[4]))
    )
    if opens >= _DAY or closes > _DAY:
        raise Rejected(f"{span[0]!r} is no time of a day")
    return Opening(opens=opens, closes=closes if closes > opens else closes + _DAY)
