"""What admins decided, kept in the database; what they left open is as the settings say."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import structlog
from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic import ValidationError as Invalid
from sqlalchemy import Connection, select

from core.adapters.database import Database
from core.adapters.tables import preferences
from core.adapters.upsert import insert_into
from core.errors import Rejected, Unavailable
from core.hours import read_holidays, read_week, zone_of
from core.language import TAG_FORM, normalise_tag
from core.preferences import (
    MOST_ANSWER_MINUTES,
    MOST_CUSTOMERS,
    MOST_HOLIDAYS,
    MOST_HOURS_CHARS,
    MOST_IDLE_MINUTES,
    MOST_MISSES,
    MOST_PHRASE_CHARS,
    MOST_WORDS,
    Preferences,
)
from core.turn import WorkspaceId

log = structlog.get_logger()

# Another process's change is seen that much later; a turn does not wait for a row of its own.
FRESH_S = 2.0

T = TypeVar("T")


def _read_by(read: Callable[[T], object]) -> AfterValidator:
    """Whatever `read` takes, as it is."""

    def check(value: T) -> T:
        try:
            read(value)
        except Rejected as error:
            raise ValueError(str(error)) from error
        return value

    return AfterValidator(check)


_Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_PHRASE_CHARS)
]
_Tag = Annotated[str, StringConstraints(pattern=f"^{TAG_FORM}$", max_length=35)]
_FORMS: Mapping[str, TypeAdapter[Any]] = {
    "time_zone": TypeAdapter(Annotated[str, _read_by(zone_of)]),
    "hours": TypeAdapter(Annotated[str, Field(max_length=MOST_HOURS_CHARS), _read_by(read_week)]),
    "holidays": TypeAdapter(
        Annotated[tuple[str, ...], Field(max_length=MOST_HOLIDAYS), _read_by(read_holidays)]
    ),
    "answer_minutes": TypeAdapter(Annotated[int, Field(ge=0, le=MOST_ANSWER_MINUTES)]),
    "idle_minutes": TypeAdapter(Annotated[int, Field(ge=1, le=MOST_IDLE_MINUTES)]),
    "desk_language": TypeAdapter(Annotated[_Tag, AfterValidator(normalise_tag)]),
    "precision": TypeAdapter(Annotated[float, Field(gt=0, lt=1)]),
    "misses": TypeAdapter(Annotated[int, Field(ge=0, le=MOST_MISSES)]),
    "handover_words": TypeAdapter(Annotated[tuple[_Phrase, ...], Field(max_length=MOST_WORDS)]),
    "handover_customers": TypeAdapter(
        Annotated[tuple[_Phrase, ...], Field(max_length=MOST_CUSTOMERS)]
    ),
    "handover_upset": TypeAdapter(Annotated[bool, Field(strict=True)]),
    "learn": TypeAdapter(Annotated[bool, Field(strict=True)]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What holds for a workspace, which of it an admin set, and what is wrong with a row."""

    values: Preferences
    own: frozenset[str]
    faults: Mapping[str, str]


class SqlPreferences:
    """The preferences of every workspace."""

    def __init__(
        self,
        database: Database,
        defaults: Preferences,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep them in `database`; `defaults` hold where nothing, or nonsense, is stored."""
        self._database = database
        self._defaults = defaults
        self._clock = clock
        self._known: dict[WorkspaceId, tuple[float, Stored]] = {}

    async def of(self, workspace: WorkspaceId) -> Preferences:
        """What holds now, give or take `FRESH_S` seconds of another process's change.

        Raises: Unavailable: the database does not answer.
        """
        known = self._known.get(workspace)
        if known is None or self._clock() - known[0] > FRESH_S:
            return (await self.stored(workspace)).values
        return known[1].values

    async def desk_language(self, workspace: WorkspaceId) -> str:
        """What agents read where nobody has a conversation yet; the default's in an outage."""
        try:
            return (await self.of(workspace)).desk_language
        except Unavailable:
            return self._defaults.desk_language

    async def stored(self, workspace: WorkspaceId) -> Stored:
        """What is stored at this moment, with its faults.

        Raises: Unavailable: the database does not answer.
        """
        wanted = select(preferences.c.name, preferences.c.value).where(
            preferences.c.workspace == workspace
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        found: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for row in rows:
            try:
                found[row.name] = _value(row.name, json.loads(row.value))
            except (Rejected, ValueError) as error:
                faults[row.name] = str(error)
        values = Stored(
            values=replace(self._defaults, **found), own=frozenset(found), faults=faults
        )
        self._keep(workspace, values)
        return values

    async def put(self, workspace: WorkspaceId, name: str, value: object) -> None:
        """Decide one of them.

        Raises:
            Rejected: there is none of that name, or this cannot be its value.
            Unavailable: the database does not answer.
        """
        text = json.dumps(_value(name, value), ensure_ascii=False)

        def work(connection: Connection) -> None:
            statement = insert_into(connection, preferences).values(
                workspace=workspace, name=name, value=text
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(preferences.primary_key), set_={"value": text}
                )
            )

        await self._database.write(work)
        self._known.pop(workspace, None)

    def _keep(self, workspace: WorkspaceId, stored: Stored) -> None:
        before = self._known.get(workspace)
        if stored.faults and (before is None or before[1].faults != stored.faults):
            # What an admin wrote is no customer's text, but a name is enough to find the row.
            log.error("preferences_wrong", workspace=workspace, names=sorted(stored.faults))
        self._known[workspace] = (self._clock(), stored)


def _value(name: str, value: object) -> Any:
    """The value in its form.

    Raises: Rejected: the message says what is wrong, in words for an admin.
    """
    form = _FORMS.get(name)
    if form is None:
        raise Rejected(f"{name} is no preference; there are {', '.join(_FORMS)}")
    try:
        return form.validate_python(value)
    except Invalid as error:
        faults = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
        raise Rejected(f"{name}: {'; '.join(faults)}") from error
