"""Who serves which conversation when: at once after a message, or when a sweep finds it due."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog

from core.crashpoints import passed
from core.errors import LeaseLost, Unavailable
from core.flood import Allowance
from core.holder import holder_name
from core.ports import Inbox, Leases
from core.serving import Serving, Station
from core.turn import Address, ConversationId, Inbound, Kind, Lease, Owner

MAX_ACTIVE = 256
SWEEP_S = 1.0
# After this a chore is given up until the next round: longer than a look of any of them takes, even
# where several of its statements are as slow as a database lets them be.
CHORE_S = 120.0
STOP_S = 20.0
# How often one customer may do one kind of thing: far more than a person does, far less than a
# script.
TIMES_AT_ONCE = 20
TIMES_PER_MINUTE = 30.0

log = structlog.get_logger()

Chore = Callable[[], Awaitable[object]]


class Delivery:
    """Takes in what customers do and sees that each thing is served, once and in order."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        leases: Leases,
        station: Station,
        allowance: Allowance | None = None,
        max_active: int = MAX_ACTIVE,
        chores: Mapping[str, Chore] | None = None,
    ) -> None:
        """Serve at most `max_active` conversations at a time; more wait in the database.

        What `chores` do is done beside the sweeps, and may be done by several processes at once.
        """
        self._inbox = inbox
        self._leases = leases
        self._station = station
        self._allowance = allowance or Allowance(
            burst=TIMES_AT_ONCE, per_minute=TIMES_PER_MINUTE, clock_s=time.monotonic
        )
        self._max_active = max_active
        self._chores = chores or {}
        # Unlike a process id it is never used again, on no machine.
        self._holder = holder_name()
        self._serving: dict[ConversationId, tuple[Serving, asyncio.Task[None]]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Start sweeping, doing chores and renewing."""
        self._background = [
            asyncio.create_task(self._keep_sweeping()),
            asyncio.create_task(self._keep_doing_chores()),
            asyncio.create_task(self._keep_renewing()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Claim nothing more; finish what is being served, or give it back after `STOP_S`."""
        self._stopping = True
        sweeping, chores, _ = self._background
        sweeping.cancel()
        chores.cancel()
        serving = [task for _, task in self._serving.values()]
        if serving:
            await asyncio.wait(serving, timeout=STOP_S)
        for task in (*serving, *self._background):
            task.cancel()
        await asyncio.gather(*serving, *self._background, return_exceptions=True)

    async def accept(self, inbound: Inbound) -> bool:
        """Keep an inbound for good, then see to it; once this returns tell the platform "received".

        Returns: False if it was here already, or if its customer pressed that far too often.

        Raises:
            Rejected: it is unusable and will stay so.
            Unavailable: it could not be kept; the platform must send it again.
        """
        address, kind = inbound.address, inbound.kind
        # Each kind by itself: who floods with words can still ask for a person.
        counted = (address.workspace, address.channel, inbound.customer, kind)
        allowed = self._allowance.take(counted)
        if not allowed and kind is Kind.MESSAGE:
            inbound = replace(inbound, kind=Kind.FLOOD)
        elif not allowed and kind is not Kind.EDIT:  # which may take back what was written
            log.info("flood_dropped", channel=address.channel, kind=kind)
            return False
        accepted = None
        try:
            accepted = await self._inbox.accept(
                inbound,
                holder=self._holder if self._has_room() else None,
                held_s=self._station.pace.held_s,
            )
        finally:
            if accepted is None and allowed:
                # It is here already, or will come again.
                self._allowance.give_back(counted)
        passed("accepted")
        if accepted is None:
            return False
        if accepted.lease is not None:
            # A person reads each line as it comes; the bot answers the whole thought.
            gathers = inbound.kind is Kind.MESSAGE and accepted.owner is not Owner.HUMAN
            self._start(accepted.lease, fresh=gathers)
        elif accepted.conversation in self._serving:
            self._serving[accepted.conversation][0].nudge()
        return True

    async def rate(self, address: Address, turn: int, *, helpful: bool) -> bool:
        """Keep the customer's verdict on a reply; False if that turn is not of this place."""
        return await self._inbox.rate(address, turn, helpful=helpful)

    async def leave(self, address: Address) -> None:
        """Tell the people who have a conversation, if any, that its customer has left it."""
        await self._inbox.leave(address)

    def listen(self, name: str, listener: Callable[[], None]) -> None:
        """Tell `listener` of what is served here that a desk shows; the last of a `name` holds."""
        self._station.listeners[name] = listener

    async def wake(self, conversation: ConversationId) -> None:
        """Serve a conversation at once in which an agent did something; else a sweep finds it."""
        # Its lease may have lapsed while the database was away.
        if conversation in self._serving:
            self._serving[conversation][0].nudge()
            return
        if not self._has_room():
            return
        try:
            lease = await self._leases.claim(
                conversation, holder=self._holder, held_s=self._station.pace.held_s
            )
        except Unavailable as error:
            log.warning("wake_failed", error=str(error))
            return
        if lease is not None:
            self._start(lease, fresh=False)

    async def sweep(self) -> int:
        """Serve what is due and held by nobody; the number of conversations claimed."""
        claimed = 0
        room = self._max_active - len(self._serving)
        for conversation in await self._leases.due(max(0, room)):
            if conversation in self._serving:
                continue  # its lease lapsed while the database was away
            lease = await self._leases.claim(
                conversation, holder=self._holder, held_s=self._station.pace.held_s
            )
            passed("claimed")
            if lease is not None:
                claimed += 1
                self._start(lease, fresh=False)
        return claimed

    async def serve_due(self) -> int:
        """Sweep once, and wait until what was claimed is served; for who has no time to stay.

        Returns: the number of conversations served. One that is cut short is given back.
        """
        renewing = asyncio.create_task(self._keep_renewing())
        try:
            claimed = await self.sweep()
            await self._do_chores()
            while self._serving:
                await asyncio.wait([task for _, task in self._serving.values()])
        finally:
            serving = [task for _, task in self._serving.values()]
            for task in (renewing, *serving):
                task.cancel()
            await asyncio.gather(renewing, *serving, return_exceptions=True)
        return claimed

    def _has_room(self) -> bool:
        """Whether to serve at once what comes in.

        Half of the places are left to the sweep, which shares them out between workspaces.
        """
        return not self._stopping and len(self._serving) < self._max_active // 2

    def _start(self, lease: Lease, *, fresh: bool) -> None:
        serving = Serving(lease, self._station, fresh=fresh)
        task = asyncio.create_task(self._serve(serving))
        self._serving[lease.conversation] = (serving, task)

    async def _serve(self, serving: Serving) -> None:
        """Serve one conversation; whatever goes wrong, others go on and this one stays due."""
        lease = serving.lease
        structlog.contextvars.bind_contextvars(conversation=lease.conversation)
        try:
            await serving.run()
        except LeaseLost:
            log.warning("lease_lost")
        except Unavailable as error:
            # Nothing can be written back: the lease lapses, and a sweep takes it up.
            log.warning("serving_interrupted", dependency=error.dependency, error=str(error))
            await self._let_go(lease, serving)
        except asyncio.CancelledError:
            await self._let_go(lease, serving)
            raise
        except Exception:
            log.exception("serving_failed", attempts=lease.attempts)
            await self._let_go(lease, serving)
        finally:
            if self._serving.get(lease.conversation, (None,))[0] is serving:
                del self._serving[lease.conversation]

    async def _let_go(self, lease: Lease, serving: Serving) -> None:
        with suppress(Unavailable, LeaseLost):
            await serving.put_back()

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("sweep_failed", error=str(error))
            except Exception:
                log.exception("sweep_failed")
            await asyncio.sleep(SWEEP_S)

    async def _keep_doing_chores(self) -> None:
        """A task of its own: however long a chore takes, the sweeps go on."""
        while True:
            await self._do_chores()
            await asyncio.sleep(SWEEP_S)

    async def _do_chores(self) -> None:
        """Do each of them, whatever became of the others."""
        for name, chore in self._chores.items():
            try:
                async with asyncio.timeout(CHORE_S):
                    await chore()
            except (Unavailable, TimeoutError) as error:
                log.warning("chore_failed", chore=name, error=str(error) or "it took too long")
            except Exception:
                log.exception("chore_failed", chore=name)

    async def _keep_renewing(self) -> None:
        held_s = self._station.pace.held_s
        while True:
            await asyncio.sleep(held_s / 3)
            for serving, task in list(self._serving.values()):
                try:
                    await self._leases.renew(serving.lease, held_s=held_s)
                    serving.renewed()
                except LeaseLost:
                    if not serving.recording:
                        task.cancel()
                except Unavailable as error:
                    log.warning("renewal_failed", error=str(error))
                except Exception:
                    # One that stops would lose the leases of all that is being served.
                    log.exception("renewal_failed")
