"""One parcel on its way to its platform: booked, marked, sent, its fate recorded."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from core.crashpoints import passed
from core.errors import LeaseLost, Rejected, Unavailable
from core.ports import Outbox, Port
from core.turn import Address, Channel, Delivered, Fate, Lease, Parcel, Step

# How long a parcel waits in memory for its platform's limit; for longer it goes back to the outbox.
PATIENCE_S = 4.0
MAX_BACKOFF_S = 300.0
# How soon it is tried again to record what became of a parcel.
RECORD_AGAIN_S = 1.0

log = structlog.get_logger()


class Sending:
    """The sends of one conversation under one lease.

    A parcel is marked last, when nothing but the call to the platform is left to do: what carries
    no mark when a process dies was surely not sent, and only what does is of unknown fate.
    """

    def __init__(
        self,
        lease: Lease,
        outbox: Outbox,
        ports: Mapping[Channel, Port],
        *,
        send_s: float,
        held_s: float,
        resend_unknown: bool,
    ) -> None:
        """Send under `lease`, which was renewed just now for `held_s`."""
        self._lease = lease
        self._outbox = outbox
        self._ports = ports
        self._send_s = send_s
        self._held_s = held_s
        self._resend_unknown = resend_unknown
        self._renewed_at_s = time.monotonic()
        self.recording = False

    def renewed(self) -> None:
        """Tell that the lease was renewed just now."""
        self._renewed_at_s = time.monotonic()

    def may_begin(self, address: Address) -> bool:
        """Book a place for a send right now, if there is one."""
        port = self._ports.get(address.channel)
        return port is not None and not self._lapsed() and port.book(address) <= 0

    async def begin(self, parcel: Parcel) -> Step:
        """Bring a parcel as far as its mark, or put it off."""
        port = self._ports.get(parcel.address.channel)
        if port is None:
            return await self._settle(
                parcel, _unsent(parcel, "this channel is switched off", retry_in_s=60.0)
            )
        if parcel.dubious:
            found = await self._look_up(port, parcel)
            if found is not None:
                return await self._settle(parcel, found)
        wait_s = await _booked(port, parcel.address)
        if wait_s > 0:
            log.info(
                "parcel_waits",
                parcel=parcel.id,
                channel=parcel.address.channel,
                retry_in_s=wait_s,
            )
            return await self._record(
                parcel, _unsent(parcel, "our own send limit", retry_in_s=wait_s)
            )
        self._check_lease()
        return await self._outbox.begin(self._lease, parcel)

    async def deliver(self, parcel: Parcel) -> Step:
        """Send a parcel that is marked, and go on."""
        passed("begun")
        delivered = await self._send(self._ports[parcel.address.channel], parcel)
        passed("sent")
        return await self._settle(parcel, delivered)

    async def _settle(self, parcel: Parcel, delivered: Delivered) -> Step:
        if delivered.fate is not Fate.SENT:
            log.warning(
                "parcel_not_sent",
                parcel=parcel.id,
                channel=parcel.address.channel,
                fate=delivered.fate.name.lower(),
                error=delivered.error,
                retry_in_s=delivered.retry_in_s,
            )
        return await self._record(parcel, delivered)

    async def _record(self, parcel: Parcel, delivered: Delivered) -> Step:
        """Have the outbox know it, however long the database is away.

        Given up, a parcel that was sent would be of unknown fate.
        """
        self.recording = True
        try:
            while True:
                try:
                    step = await self._outbox.settle(self._lease, parcel, delivered)
                except Unavailable as error:
                    log.warning("parcel_not_recorded", parcel=parcel.id, error=str(error))
                    await asyncio.sleep(RECORD_AGAIN_S)
                else:
                    passed("settled")
                    return step
        finally:
            self.recording = False

    async def _send(self, port: Port, parcel: Parcel) -> Delivered:
        self._check_lease()
        try:
            async with asyncio.timeout(self._send_s):
                ref = await port.send(parcel)
        except Unavailable as error:
            return _unsent(parcel, str(error), retry_in_s=error.retry_after_s)
        except Rejected as error:
            return Delivered(fate=Fate.REFUSED, error=str(error))
        except TimeoutError as error:
            found = await self._look_up(port, parcel)
            return found or Delivered(fate=Fate.DUBIOUS, error=str(error), retry_in_s=1.0)
        if not parcel.dubious or parcel.replaces:
            return Delivered(fate=Fate.SENT, ref=ref)
        log.warning("parcel_sent_again", parcel=parcel.id, channel=parcel.address.channel)
        return Delivered(
            fate=Fate.SENT, ref=ref, error="sent again: the end of an earlier send is not known"
        )

    async def _look_up(self, port: Port, parcel: Parcel) -> Delivered | None:
        """What the platform knows of a send whose end we never learnt; None: send it again."""
        if parcel.replaces:
            return None  # changing a message twice is changing it once
        try:
            async with asyncio.timeout(self._send_s):
                ref = await port.find(parcel)
        except (LookupError, Rejected) as error:
            if self._resend_unknown:
                return None
            # Where we are refused, the place is gone or closed to us: it will not say either.
            silent = "the platform does not say if it was sent"
            return Delivered(
                fate=Fate.UNKNOWN, error=str(error) if isinstance(error, Rejected) else silent
            )
        except (Unavailable, TimeoutError) as error:
            retry_in_s = getattr(error, "retry_after_s", None) or backoff_s(parcel.attempts)
            return Delivered(fate=Fate.DUBIOUS, error=str(error), retry_in_s=retry_in_s)
        return None if ref is None else Delivered(fate=Fate.SENT, ref=ref)

    def _lapsed(self) -> bool:
        """Whether this process was stopped for so long that another may have taken over."""
        return time.monotonic() - self._renewed_at_s > self._held_s

    def _check_lease(self) -> None:
        if self._lapsed():
            raise LeaseLost(f"conversation {self._lease.conversation}")


async def _booked(port: Port, address: Address) -> float:
    """Wait for a place and book it; the seconds left to wait where that takes too long."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (wait_s := port.book(address)) > 0:
        if time.monotonic() + wait_s > deadline_s:
            return wait_s
        await asyncio.sleep(wait_s)
    return 0.0


def backoff_s(attempts: int) -> float:
    """Seconds to wait after that many attempts."""
    return min(MAX_BACKOFF_S, 2.0 ** min(attempts, 10))


def _unsent(parcel: Parcel, error: str, *, retry_in_s: float | None) -> Delivered:
    """Surely not sent this time; an earlier time stays as unknown as it was."""
    return Delivered(
        fate=Fate.DUBIOUS if parcel.dubious else Fate.POSTPONED,
        error=error,
        retry_in_s=backoff_s(parcel.attempts) if retry_in_s is None else retry_in_s,
    )
