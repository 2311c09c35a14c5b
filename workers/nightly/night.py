"""Carries a night out, step by step, under a lease that is renewed while a step runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from core.adapters.nights import SqlNights
from core.crashpoints import passed
from core.errors import DragomanError, LeaseLost, Unavailable
from core.holder import holder_name
from core.nights import Ended, NightLease, NightState, Order, Step, StepResult
from core.turn import WorkspaceId
from workers.nightly.child import Child, Fault, Limits, is_full
from workers.nightly.cuts import forgive
from workers.nightly.old_nights import clear
from workers.nightly.old_versions import tidy

log = structlog.get_logger()

STARTS = 3
"""After as many starts of one step that came to no end, the night has failed."""

OrderOf = Callable[[WorkspaceId, str], Awaitable[Order]]

_STATES: Mapping[Step, NightState] = {
    Step.CURATE: NightState.CURATING,
    Step.TRAIN: NightState.TRAINING,
    Step.EVALUATE: NightState.EVALUATING,
    Step.PUBLISH: NightState.PUBLISHING,
}
_ENDS: Mapping[Ended, NightState] = {
    Ended.SKIPPED: NightState.SKIPPED,
    Ended.REFUSED: NightState.REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How long a night is held, how often that is renewed, and how soon a step starts again.

    The child's patience is shorter than the lease: it is gone before somebody else may begin.
    """

    held_s: float = 60.0
    beat_s: float = 15.0
    retry_s: float = 60.0
    look_s: float = 5.0

    @property
    def patience_s(self) -> float:
        """How long a child lives on without a beat."""
        return 0.75 * self.held_s


class Supervisor:
    """Takes nights that are due, one at a time, and brings each to its end."""

    def __init__(
        self,
        nights: SqlNights,
        order_of: OrderOf,
        *,
        command: Sequence[str],
        limits: Limits | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        """`command` starts a child, which is told the name of its step as a last argument."""
        self._nights = nights
        self._order_of = order_of
        self._command = command
        self._limits = limits or Limits()
        self._rhythm = rhythm or Rhythm()
        # Unlike a process id it is never used again, on no machine.
        self._holder = holder_name()

    async def keep(self) -> None:
        """Carry out whatever is due, for ever; start this on the main thread."""
        while True:
            worked = False
            try:
                worked = await self.carry_one()
            except Unavailable as error:
                log.warning("night_interrupted", error=str(error))
            except Exception:
                # The night stays held for a while, so that others come first.
                log.exception("night_interrupted")
            if not worked:
                await asyncio.sleep(self._rhythm.look_s)

    async def carry_one(self, of: tuple[WorkspaceId, str] | None = None) -> bool:
        """Take a night that is due, or the very one, and carry it as far as it goes now.

        Returns: False if there is none to take.
        Raises: Unavailable: the database does not answer; the lease will lapse.
        """
        lease = await self._nights.take(holder=self._holder, held_s=self._rhythm.held_s, of=of)
        if lease is None:
            return False
        passed("night_taken")
        with structlog.contextvars.bound_contextvars(workspace=lease.workspace, slot=lease.slot):
            try:
                await self._carry(lease)
            except LeaseLost:
                log.warning("night_lost")
        return True

    async def _carry(self, lease: NightLease) -> None:
        try:
            order = await self._order_of(lease.workspace, lease.slot)
        except Unavailable:
            raise
        except DragomanError as error:
            await self._end(lease, None, NightState.FAILED, reason=str(error), figures={})
            return
        order = replace(order, fence=lease.fence)
        figures: dict[str, Mapping[str, Any]] = {}
        for step in _steps_from(lease.state):
            lease, result = await self._brought_to_end(lease, order, step)
            if result is None:
                return
            figures[step] = result.figures
            if result.ended in _ENDS:
                ended, why = _ENDS[result.ended], result.reason
                await self._end(lease, order, ended, reason=why, figures=figures)
                return
            if step is not Step.PUBLISH:
                lease = await self._nights.move_on(lease, _state_after(step), figures)
                passed("night_moved_on")
        waits = order.approve or bool(result and result.figures.get("waiting"))
        state = NightState.WAITING if waits else NightState.PUBLISHED
        why = result.reason if result else ""
        await self._end(lease, order, state, reason=why, figures=figures)

    async def _brought_to_end(
        self, lease: NightLease, order: Order, step: Step
    ) -> tuple[NightLease, StepResult | None]:
        """The step's result, which may be there already; None if the night goes on later or never.

        Raises: LeaseLost, Unavailable: as writing under a lease does.
        """
        if (known := _result(order, step)) is not None:
            return lease, known
        if lease.attempts >= STARTS:
            reason = f"{step}: each of {STARTS} starts was cut off"
            await self._end(lease, order, NightState.FAILED, reason=reason, figures={})
            return lease, None
        lease = await self._nights.begin(lease, _STATES[step])
        passed("night_step_counted")
        log.info("night_step_started", step=step, attempt=lease.attempts)
        started_s = time.monotonic()
        fault = await self._one_start(lease, order, step)
        result = _result(order, step)
        passed("night_step_ended")
        if result is not None:
            took_s = round(time.monotonic() - started_s, 1)
            log.info("night_step_ended", step=step, ended=result.ended, took_s=took_s)
            return lease, result
        await self._give_up(lease, order, step, fault or Fault(reason="it left no result"))
        return lease, None

    async def _one_start(self, lease: NightLease, order: Order, step: Step) -> Fault | None:
        child: Child | None = None
        try:
            child = await Child.start(
                self._command, order, step, self._limits, patience_s=self._rhythm.patience_s
            )
            passed("night_step_started")
            while not await child.ended(within_s=self._rhythm.beat_s):
                await self._beat(lease, child)
            return child.fault()
        except OSError as error:
            full = f"the disk that holds {order.folder} is full"
            return Fault(reason=full if is_full(error) else f"{order.folder}: {error.strerror}")
        except asyncio.CancelledError:
            if child is not None:
                await child.stop()
            # This process was told to stop; neither the step nor what it judged is to blame.
            forgive(order)
            with suppress(LeaseLost, Unavailable):
                await self._nights.put_back(lease, retry_in_s=0, counts=False)
            raise
        finally:
            if child is not None:
                await child.stop()

    async def _beat(self, lease: NightLease, child: Child) -> None:
        """Renew the lease, and let the child live on as long as it is ours for sure."""
        asked_s = time.monotonic()
        try:
            await self._nights.renew(lease, held_s=self._rhythm.held_s)
        except Unavailable as error:
            log.warning("night_not_renewed", error=str(error))
            return
        # Renewed at some time between then and now: the child's patience must not outlast it.
        if time.monotonic() - asked_s < self._rhythm.held_s - self._rhythm.patience_s:
            child.beat()

    async def _give_up(self, lease: NightLease, order: Order, step: Step, fault: Fault) -> None:
        reason = f"{step}: {fault.reason}"
        if not fault.helps or lease.attempts >= STARTS:
            await self._end(lease, order, NightState.FAILED, reason=reason, figures={})
            return
        retry_in_s = self._rhythm.retry_s * lease.attempts
        log.warning("night_step_failed", step=step, reason=reason, retry_in_s=retry_in_s)
        await self._nights.put_back(lease, retry_in_s=retry_in_s, reason=reason)

    async def _end(
        self,
        lease: NightLease,
        order: Order | None,
        state: NightState,
        *,
        reason: str,
        figures: Mapping[str, Mapping[str, Any]],
    ) -> None:
        await self._nights.end(lease, state, reason=reason, figures=figures)
        tell = log.error if state is NightState.FAILED else log.info
        tell("night_ended", state=state, reason=reason)
        if order is not None:
            await self._clear_away(order)

    async def _clear_away(self, order: Order) -> None:
        """Free the disk; what cannot be told to be needless now is at the next night's end."""
        try:
            # First, since a night's words stay for as long as what it made.
            await tidy(self._nights.database, order)
        except Unavailable as error:
            log.warning("versions_not_tidied", error=str(error))
        await asyncio.to_thread(clear, order)


def _steps_from(state: NightState) -> Sequence[Step]:
    steps = list(Step)
    begins = [step for step in steps if _STATES[step] is state]
    return steps[steps.index(begins[0]) :] if begins else steps


def _state_after(step: Step) -> NightState:
    steps = list(Step)
    return _STATES[steps[steps.index(step) + 1]]


def _result(order: Order, step: Step) -> StepResult | None:
    """What the step left; one that cannot be read counts as not there."""
    try:
        return StepResult.read(order.result(step))
    except (OSError, ValueError, LookupError):
        return None
