"""What an admin decides while the desk runs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self
from zoneinfo import available_timezones

from pydantic import BaseModel, Field, Json
from starlette.responses import Response

from bots.web.console.chart import curve
from bots.web.console.visit import Visit
from core.errors import Rejected
from core.preferences import Preferences


class _Settings(BaseModel):
    """The fields of the form."""

    precision: int = Field(ge=50, le=99)
    misses: int
    handover_upset: bool = False
    learn: bool = False
    handover_words: str = ""
    handover_customers: str = ""
    time_zone: str
    hours: str
    holidays: str = ""
    answer_minutes: int
    idle_minutes: int
    desk_language: str

    @classmethod
    def of(cls, held: Preferences) -> Self:
        """As the form shows them; a slider shows no more than it has."""
        return cls(
            precision=min(99, max(50, round(held.precision * 100))),
            misses=held.misses,
            handover_upset=held.handover_upset,
            learn=held.learn,
            handover_words="\n".join(held.handover_words),
            handover_customers="\n".join(held.handover_customers),
            time_zone=held.time_zone,
            hours=held.hours,
            holidays="\n".join(held.holidays),
            answer_minutes=held.answer_minutes,
            idle_minutes=held.idle_minutes,
            desk_language=held.desk_language,
        )

    def values(self) -> dict[str, object]:
        """By the name of the preference, in its own form."""
        return {
            "precision": self.precision / 100,
            "misses": self.misses,
            "handover_upset": self.handover_upset,
            "learn": self.learn,
            "handover_words": _lines(self.handover_words),
            "handover_customers": _lines(self.handover_customers),
            "time_zone": self.time_zone.strip(),
            "hours": self.hours.replace("\n", ", ").strip(", "),
            "holidays": _lines(self.holidays.replace(",", "\n")),
            "answer_minutes": self.answer_minutes,
            "idle_minutes": self.idle_minutes,
            "desk_language": self.desk_language,
        }


class _Given(_Settings):
    # What the page showed: what nobody touched there may be another by now.
    shown: Json[_Settings]


async def page(visit: Visit) -> Response:
    """What holds now."""
    return await _page(visit)


async def save(visit: Visit) -> Response:
    """Take over all that was changed and can hold; what cannot is said beside its field."""
    given = await visit.form(_Given)
    shown, faults = given.shown.values(), {}
    for name, value in given.values().items():
        if value == shown[name]:
            continue
        try:
            await visit.needs.preferences.put(visit.workspace, name, value)
        except Rejected as error:
            faults[name] = str(error).partition(": ")[2]
    if faults:
        return await _page(visit, given.model_dump(include=set(faults)), faults)
    return visit.go("/desk/settings", told="saved")


async def _page(
    visit: Visit,
    tried: Mapping[str, object] = MappingProxyType({}),
    faults: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    held = (await visit.needs.preferences.stored(visit.workspace)).values
    shown, curves = _Settings.of(held), await visit.needs.curves()
    return visit.page(
        "settings.html",
        status=422 if faults else 200,
        shown=shown.model_dump_json(),
        held={**shown.model_dump(), **tried},
        faults=faults,
        zones=sorted(available_timezones()),
        curves={kind: curve(points, held.precision) for kind, points in curves.items()},
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
