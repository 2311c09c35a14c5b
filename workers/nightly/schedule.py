"""When a workspace's night begins: rings for the slots that are due, as often as it likes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

import structlog

from core.adapters.nights import SqlNights
from core.errors import Unavailable
from core.hours import zone_of
from core.turn import WorkspaceId

log = structlog.get_logger()

RING_S = 60.0
# What was switched off at that time learns on another night: customers are awake by then.
WINDOW = timedelta(hours=4)

ZoneOf = Callable[[WorkspaceId], Awaitable[str]]


class Bell:
    """Rings for each workspace in which somebody has written."""

    def __init__(self, nights: SqlNights, zone_of_workspace: ZoneOf, *, at: time) -> None:
        """Ring at `at` o'clock in the workspace's time zone."""
        self._nights = nights
        self._zone_of_workspace = zone_of_workspace
        self._at = at

    async def ring(self) -> int:
        """Make the nights that are due and not there yet; how many.

        Raises: Unavailable: the database does not answer.
        """
        # The database's clock: one machine with a wrong one would shift everybody's night.
        workspaces, now_s = await self._nights.workspaces()
        now = datetime.fromtimestamp(now_s, UTC)
        rung = 0
        for workspace in workspaces:
            slot = slot_at(now, await self._zone_of_workspace(workspace), self._at)
            if slot is not None and await self._nights.ring(workspace, slot):
                log.info("night_due", workspace=workspace, slot=slot)
                rung += 1
        return rung

    async def keep(self) -> None:
        """Ring again and again, for ever."""
        while True:
            try:
                await self.ring()
            except Unavailable as error:
                log.warning("bell_failed", error=str(error))
            except Exception:
                log.exception("bell_failed")
            await asyncio.sleep(RING_S)


def slot_at(now: datetime, zone: str, at: time) -> str | None:
    """The slot of the night that begins about now; None if none does.

    It is named after the day on which its window ends by the clock on the wall, so that a night has
    one name however often and wherever it is asked for.
    """
    here = now.astimezone(zone_of(zone))
    for day in (here.date(), here.date() - timedelta(days=1)):
        begins = datetime.combine(day, at, tzinfo=here.tzinfo)
        if timedelta(0) <= now - begins < WINDOW:
            return (datetime.combine(day, at) + WINDOW).date().isoformat()
    return None
