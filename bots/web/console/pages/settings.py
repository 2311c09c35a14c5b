"""What an admin decides while the desk runs."""

from zoneinfo import available_timezones

from pydantic import BaseModel, Field
from starlette.responses import Response

from bots.web.console.chart import curve
from bots.web.console.visit import Visit
from core.errors import Rejected


class _Settings(BaseModel):
    precision: int = Field(ge=50, le=99)
    misses: int
    handover_upset: bool = False
    learn: bool = False
    handover_words: str = Field(default="", max_length=20_000)
    handover_customers: str = Field(default="", max_length=100_000)
    time_zone: str
    hours: str
    holidays: str = Field(default="", max_length=20_000)
    answer_minutes: int
    idle_minutes: int
    desk_language: str

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


async def page(visit: Visit) -> Response:
    """What holds now."""
    return await _page(visit, {})


async def save(visit: Visit) -> Response:
    """Take over all that can hold; what cannot is said beside its field."""
    given = (await visit.form(_Settings)).values()
    now = await visit.needs.preferences.stored(visit.workspace)
    faults = {}
    for name, value in given.items():
        if value == getattr(now.values, name):
            continue
        try:
            await visit.needs.preferences.put(visit.workspace, name, value)
        except Rejected as error:
            faults[name] = str(error).partition(": ")[2]
    if faults:
        return await _page(visit, faults, tried=given)
    return visit.go("/desk/settings", told="saved")


async def _page(
    visit: Visit, faults: dict[str, str], tried: dict[str, object] | None = None
) -> Response:
    stored = await visit.needs.preferences.stored(visit.workspace)
    names = _Settings.model_fields
    held = {name: getattr(stored.values, name) for name in names}
    curves = await visit.needs.curves()
    return visit.page(
        "settings.html",
        status=422 if faults else 200,
        held={**held, **{name: (tried or {})[name] for name in faults}},
        faults=faults,
        zones=sorted(available_timezones()),
        curves={kind: curve(points, stored.values.precision) for kind, points in curves.items()},
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
