"""One chat desk asks its people about each version that waits, and tells what became of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from core.adapters.decisions import Asked, Decisions, Stage
from core.adapters.holds import Holds
from core.crashpoints import passed
from core.errors import Rejected, Unavailable
from core.ports import DecisionPort

POLL_S = 2.0
# As a mirror's: one call ends well within the time for which nobody else makes it.
SHOW_S = 20.0
HELD_S = 30.0
STOP_S = 10.0
# A desk that cannot be written to at all is a matter for its admins.
CLOSED_S = 60.0

log = structlog.get_logger()


class Asking:
    """Posts a report once, then gives it buttons, then puts the decision in their place.

    Buttons appear only once it is kept where the report stands. So a process that ends in between
    leaves no button behind that nobody would take away.
    """

    def __init__(self, decisions: Decisions, holds: Holds, *, poll_s: float = POLL_S) -> None:
        """Look for news every `poll_s`, and at once after `wake`; one process shows at a time."""
        self._decisions = decisions
        self._holds = holds
        self._name = f"decisions:{decisions.channel}:{decisions.workspace}"
        self._poll_s = poll_s
        self._news = asyncio.Event()
        self._showing = asyncio.Lock()

    def wake(self) -> None:
        """Tell that something was decided."""
        self._news.set()

    @asynccontextmanager
    async def keep(self, desk: DecisionPort) -> AsyncIterator[None]:
        """Show it on `desk` for as long as the block lasts."""
        looking = asyncio.create_task(self._keep_looking(desk))
        try:
            yield
        finally:
            # What is being posted is kept as well, or it would be posted again.
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S), self._showing:
                    looking.cancel()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _keep_looking(self, desk: DecisionPort) -> None:
        while True:
            wait_s = await self._look(desk)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            self._news.clear()

    async def _look(self, desk: DecisionPort) -> float:
        """Show what there is to show; the seconds until it is worth another look."""
        try:
            while await self._decisions.due() is not None:
                # The lease is given back before a desk that stops may cancel this.
                async with self._showing, self._holds.held(self._name, HELD_S):
                    # Another process may have been faster.
                    if (asked := await self._decisions.due()) is not None:
                        await self._show(desk, asked)
        except Unavailable as error:
            log.warning("decision_not_shown", desk=self._decisions.channel, error=str(error))
            return error.retry_after_s or self._poll_s
        except TimeoutError as error:
            log.warning("decision_not_shown", desk=self._decisions.channel, error=str(error))
        except Rejected as error:
            log.warning("desk_closed", desk=self._decisions.channel, error=str(error))
            return CLOSED_S
        except Exception:
            log.exception("decision_not_shown", desk=self._decisions.channel)
            return CLOSED_S
        return self._poll_s

    async def _show(self, desk: DecisionPort, asked: Asked) -> None:
        decision = asked.decision
        if not asked.place:
            async with asyncio.timeout(SHOW_S):
                place = await desk.post(decision)
            passed("report_posted")
            await self._decisions.keep(decision.version, Stage.POSTED, place)
            return
        stage = Stage.ASKS if decision.waits else Stage.TOLD
        try:
            async with asyncio.timeout(SHOW_S):
                await desk.show(asked.place, decision)
        except (LookupError, Rejected) as error:
            # Deleted, or of a group that has moved: whoever did it has the console.
            log.warning("decision_given_up", desk=self._decisions.channel, error=str(error))
            stage = Stage.TOLD
        await self._decisions.keep(decision.version, stage, asked.place)
