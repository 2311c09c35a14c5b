"""Holds the canaries against the rest, and ends each for better or worse."""

import asyncio

import structlog

from core.adapters.canaries import Canaries
from core.adapters.canary_tallies import CanaryTallies
from core.adapters.database import Database
from core.adapters.in_service import InService
from core.canary import Canary, Verdict, look
from core.errors import Unavailable

log = structlog.get_logger()

WATCH_S = 60.0


class Watcher:
    """Looks at every canary; of several that do, one takes each look."""

    def __init__(self, database: Database) -> None:
        """Watch those in `database`."""
        self._canaries = Canaries(database)
        self._tallies = CanaryTallies(database)
        self._service = InService(database)

    async def watch(self) -> int:
        """Look at each for which it is time; how many ended.

        Raises: Unavailable: the database does not answer; a canary is as it was.
        """
        return sum([await self._watch(canary) for canary in await self._canaries.running()])

    async def keep(self) -> None:
        """Watch again and again, for ever."""
        while True:
            try:
                await self.watch()
            except Unavailable as error:
                log.warning("canaries_not_watched", error=str(error))
            except Exception:
                log.exception("canaries_not_watched")
            await asyncio.sleep(WATCH_S)

    async def _watch(self, canary: Canary) -> bool:
        tallies = await self._tallies.of(canary)
        seen = look(canary, tallies.own, tallies.rest, now=tallies.now)
        if seen is None:
            return False
        if seen.verdict is Verdict.GO_ON:
            await self._canaries.looked(canary, seen.number)
            return False
        if seen.verdict is Verdict.RETURN:
            ended = await self._canaries.end(canary, seen.reason)
        else:
            ended = await self._service.graduate(canary)
        if ended:
            log.info(
                "canary_ended",
                workspace=canary.workspace,
                version=canary.name,
                verdict=seen.verdict,
                reason=seen.reason,
                conversations=tallies.own.conversations,
            )
        return ended
