"""When a customer may expect a person's answer, in their words and by the database's clock."""

from datetime import UTC, datetime, timedelta

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_skeleton,
    format_time,
    get_datetime_format,
    get_timezone_gmt,
    get_timezone_name,
)
from sqlalchemy import select

from core import hours
from core.adapters.database import Database, Now
from core.adapters.preferences import SqlPreferences
from core.hours import Expected
from core.phrases import Phrase, said_in, say
from core.preferences import Preferences
from core.turn import WorkspaceId


class Expectations:
    """Says what a workspace's hours and promise come to at this moment."""

    def __init__(self, database: Database, preferences: SqlPreferences) -> None:
        """Take the time from `database`."""
        self._database = database
        self._preferences = preferences

    async def told(self, workspace: WorkspaceId, language: str) -> Expected:
        """What to tell somebody who is handed over now.

        Raises: Unavailable: the database does not answer.
        """
        preferences = await self._preferences.of(workspace)
        now = await self._database.read(lambda connection: connection.scalar(select(Now())))
        return expected(preferences, datetime.fromtimestamp(now or 0.0, UTC), language)


def expected(preferences: Preferences, now: datetime, language: str) -> Expected:
    """What to tell at `now`: when we open, if we are closed, and by when somebody answers."""
    opening = preferences.opening
    opens = hours.opens_at(opening, now)
    if opens is None:
        return Expected()
    said = []
    if opens > now:
        told = local_time(opens, now, preferences.time_zone, language)
        said.append(say(Phrase.CLOSED_UNTIL, language, time=told))
    due = None
    if preferences.answer_minutes:
        due = hours.due_at(opening, now, timedelta(minutes=preferences.answer_minutes))
    if due is not None:
        due = _rounded(due)
        told = local_time(due, now, preferences.time_zone, language)
        said.append(say(Phrase.EXPECT_BY, language, time=told))
    gap = "" if all(sentence.endswith("。") for sentence in said) else " "
    return Expected(text=gap.join(said), due_at=due.timestamp() if due is not None else None)


def local_time(at: datetime, now: datetime, zone: str, language: str) -> str:
    """A time on the clock of a zone, with the date if it is another day there.

    The zone is named, since the customer may be anywhere.
    """
    locale = _locale(language)
    local, today = (moment.astimezone(hours.zone_of(zone)) for moment in (at, now))
    name = get_timezone_name(local, width="short", locale=locale)
    if name[:1] in "+-":
        name = get_timezone_gmt(local, width="long", locale=locale)
    told = format_time(local, "short", locale=locale)
    if local.date() != today.date():
        date = format_skeleton("MMMMEEEEd", local, locale=locale)
        form = str(get_datetime_format("medium", locale=locale)).replace("'", "")
        told = form.replace("{1}", date).replace("{0}", told)
    return f"{told} ({name})"


def _rounded(at: datetime) -> datetime:
    """The next full minute, so that what is told is what is kept."""
    return (at + timedelta(seconds=59, microseconds=999_999)).replace(second=0, microsecond=0)


def _locale(language: str) -> Locale:
    told_in = said_in(language)
    try:
        return Locale.parse(told_in, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale(told_in.partition("-")[0].lower())
