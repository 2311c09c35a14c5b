"""Who goes next at a group that takes 20 messages a minute, whatever topic they are for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from bots.telegram.limits import PER_GROUP, Limits
from core.errors import Unavailable

# How long a call waits in memory; for longer it is put back, and others go on.
PATIENCE_S = 4.0
LONGEST_S = 15.0
# Who does not come back for their place has died, or was served by another process.
FORGIVEN_S = 10.0
_EACH_S = PER_GROUP.per_s / PER_GROUP.count


class Rank(IntEnum):
    """What a call is for, most pressing first."""

    # What answers an agent, and what concerns a case that is urgent.
    URGENT = 0
    SAID = 1
    OPENED = 2
    # Cards, icons, names: what only repeats what the topic says.
    DRESSED = 3


# Places of a minute that are kept for what is more pressing.
_KEPT = {Rank.URGENT: 0, Rank.SAID: 2, Rank.OPENED: 4, Rank.DRESSED: 8}


@dataclass(slots=True)
class _Ticket:
    rank: Rank
    since_s: float
    until_s: float


class Pace:
    """Lets calls through by rank, then by how long they have waited."""

    def __init__(self, limits: Limits, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Keep within `limits`, by the same clock."""
        self._limits = limits
        self._clock_s = clock_s
        self._tickets: dict[str, _Ticket] = {}

    async def enter(self, chat_id: int, who: str, rank: Rank) -> None:
        """Book a place in the group for `who`.

        Raises: Unavailable: it is not theirs yet, with the seconds to wait.
        """
        deadline_s = self._clock_s() + PATIENCE_S
        while (wait_s := self.book(chat_id, who, rank)) > 0:
            if self._clock_s() + wait_s > deadline_s:
                raise Unavailable(
                    "telegram", "20 messages a minute", retry_after_s=min(wait_s, LONGEST_S)
                )
            await asyncio.sleep(wait_s)

    def book(self, chat_id: int, who: str, rank: Rank) -> float:
        """Seconds until `who` may try again; 0 books their place."""
        now = self._clock_s()
        self._tickets = {w: t for w, t in self._tickets.items() if t.until_s > now or w == who}
        ticket = self._tickets.setdefault(who, _Ticket(rank, now, now))
        ticket.rank = rank
        mine = (rank, ticket.since_s)
        ahead = sum(
            (other.rank, other.since_s) < mine
            for other in self._tickets.values()
            if other is not ticket
        )
        if not ahead and self._limits.book(chat_id, keep=_KEPT[rank]) <= 0:
            del self._tickets[who]
            return 0.0
        opens_s = self._limits.opens_in(chat_id, keep=_KEPT[rank])
        wait_s = max(opens_s, 0.1) + ahead * (_EACH_S if opens_s > 0 else 0.1)
        ticket.until_s = now + min(wait_s, LONGEST_S) + FORGIVEN_S
        return wait_s
