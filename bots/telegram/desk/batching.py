"""Several things that happened, in as few messages as Telegram's limits allow."""

from collections.abc import Sequence
from dataclasses import dataclass

from bots.telegram.desk.words import Block
from bots.telegram.splitting import MAX_UNITS, units
from core.cases import EventId

_GAP = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One message; once it is sent, everything up to the event `done` has been shown."""

    block: Block
    done: EventId


def pack(shown: Sequence[tuple[EventId, Sequence[Block]]]) -> tuple[Batch, ...]:
    """Put blocks together, in order; each stays whole, and those that stand alone do."""
    batches: list[Batch] = []
    last = EventId(0)
    for event, blocks in shown:
        for number, block in enumerate(blocks, 1):
            done = event if number == len(blocks) else last
            fitting = _joined(batches[-1].block, block) if batches else None
            if fitting is None:
                batches.append(Batch(block=block, done=done))
            else:
                batches[-1] = Batch(block=fitting, done=done)
        if not blocks and batches:
            batches[-1] = Batch(block=batches[-1].block, done=event)
        last = event
    return tuple(batches)


def _joined(first: Block, second: Block) -> Block | None:
    if first.alone or second.alone:
        return None
    if units(first.plain) + units(second.plain) + len(_GAP) > MAX_UNITS:
        return None
    return Block(html=first.html + _GAP + second.html, plain=first.plain + _GAP + second.plain)
