"""Whether a message in a group goes on from one that was meant for us."""

from dataclasses import dataclass

from bots.telegram.splitting import CUT_S, LONG_UNITS, units
from core.adapters.conversations import Said
from core.turn import Inbound

# The items of an album carry the same second, or the next.
ALBUM_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A message in a group that does not call us; `album` if it is one of several files."""

    inbound: Inbound
    album: bool


def goes_on(overheard: Overheard, said: Said | None) -> bool:
    """Whether it belongs to what its author has `said` to us last, so that nobody calls us twice.

    An album has one caption. An app cuts a text that is too long for one message, and what follows
    does not name us. An edit may have taken our name away.
    """
    if said is None:
        return False
    inbound = overheard.inbound
    if said.ref == inbound.message_ref:
        return True
    later_s = inbound.sent_at - said.sent_at
    if overheard.album and said.files:
        return abs(later_s) <= ALBUM_S
    return 0.0 <= later_s <= CUT_S and units(said.text) >= LONG_UNITS
