"""The desk's channel as agents read it: a card for each conversation, its thread below."""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bots.slack.desk import lines as told
from bots.slack.desk.card import card
from bots.slack.desk.carrying import Carrier
from bots.slack.desk.heard import OUR, ref_of
from bots.slack.desk.modes import Modes
from bots.slack.desk.posts import NOTHING, Mark, Posts, Thread
from bots.slack.place import Place
from core.adapters.desk_places import DeskPlaces
from core.cases import Case, DeskEvent, DeskLine, EventKind
from core.phrases import Phrase, say
from core.turn import Author

# What this process has shown lately nobody else has: others take a thread over only after a
# lease of 30 s has lapsed (core/mirror.py).
SURE_S = 20.0
DESK = "slack"
REMEMBERED = 2_000
# The reactions under an agent's message.
DELIVERED, FAILED, CHANGED = "white_check_mark", "warning", "pencil2"
_SAID = (EventKind.MESSAGE, EventKind.NOTE)
_CHANGED = (EventKind.EDITED, EventKind.DELETED, EventKind.TRANSLATED)
_SILENT = (EventKind.BRIEFED, EventKind.DELIVERED)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What cards and threads need to know besides the case.

    `language` is the desk's, `judged` whether a case's suggested reply was used or discarded,
    `customer` what to call who asks.
    """

    places: DeskPlaces
    modes: Modes
    judged: Callable[[Case], Awaitable[bool]]
    customer: Callable[[Case], Awaitable[str]]
    language: Callable[[], Awaitable[str]]


class SlackDeskPort:
    """Implements `DeskPort`."""

    def __init__(
        self, posts: Posts, carrier: Carrier, reads: Reads, *, sure_s: float = SURE_S
    ) -> None:
        """Show in the channel of `posts`; what we did up to `sure_s` ago is not looked up."""
        self._sure_s = sure_s
        self._posts = posts
        self._carrier = carrier
        self._reads = reads
        # When a thread was last written to by us, and a digest of the card that stood there then.
        self._sure: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def open(self, case: Case, lines: Sequence[DeskLine]) -> str:
        """Post the card, and what was said so far below it."""
        about = f"case:{case.conversation}"
        card_ = await self._card(case)
        # A process may have ended between posting a card and keeping where it is.
        ts = await self._posts.find_root(Mark(about=about), case.opened_at)
        thread = NOTHING
        if ts is None:
            ts = await self._posts.post(card_, Mark(about=about))
        else:
            thread = await self._posts.in_thread(ts, case.opened_at)
            await self._posts.update(ts, card_)
        language = await self._reads.language()
        for part, piece in enumerate(told.transcript(lines, language), 1):
            if Mark(about=about, part=part) not in thread.marks:
                await self._posts.post(piece, Mark(about=about, part=part), thread=ts)
        others = [line for line in lines if not await self._own(line)]
        await self._carrier.carry(case, others, ts, thread, language=language)
        place = str(Place(channel=self._posts.channel, thread=ts))
        self._remember(place, _digest(card_))
        return place

    async def show(self, place: str, event: DeskEvent) -> str:
        """Post what happened, and bring the card up to date."""
        at = Place.parse(place)
        if at.channel != self._posts.channel or at.thread is None:
            # Of a channel that was the desk before.
            raise LookupError(place)
        sure_at, shown = self._sure.pop(place, (float("-inf"), ""))
        is_sure = time.monotonic() - sure_at < self._sure_s
        thread = NOTHING
        if not is_sure:
            thread = await self._posts.in_thread(at.thread, event.created_at)
        ts = await self._tell(at.thread, event, thread)
        if event.case is not None:
            card_ = await self._card(event.case)
            if not is_sure or _digest(card_) != shown:
                await self._posts.update(at.thread, card_)
            shown = _digest(card_)
        self._remember(place, shown)
        return ref_of(at.channel, ts) if ts else ""

    async def refresh(self, case: Case) -> None:
        """Bring a card up to date although nothing happened that other desks would see.

        Raises: as `show` does; a card that is gone is made anew.
        """
        place = await self._reads.places.place_of(case.conversation)
        thread = Place.parse(place).thread if place else None
        if place is None or thread is None:
            return
        self._sure.pop(place, None)
        try:
            await self._posts.update(thread, await self._card(case))
        except LookupError:
            await self._reads.places.lost(place)

    async def _tell(self, thread_ts: str, event: DeskEvent, thread: Thread) -> str:
        """Post what an event has to say; the `ts` of its line, if it has one there."""
        language, line = await self._reads.language(), event.line
        own = await self._own(line) if line is not None else ""
        bodies = await self._bodies(event, own, language)
        first = ""
        for part, body in enumerate(bodies):
            mark = Mark(about=f"event:{event.id}", part=part)
            ts = thread.marks.get(mark)
            if ts is None:
                again = event.kind is EventKind.OPENED and part == 0
                ts = await self._posts.post(body, mark, thread=thread_ts, broadcast=again)
            first = first or ts
        if line is None or event.kind not in _SAID:
            return ""
        if event.case is not None and not own:
            await self._carrier.carry(
                event.case, [line], thread_ts, thread, language=language, since=first
            )
        return "" if own else first

    async def _bodies(self, event: DeskEvent, own: str, language: str) -> list[Body]:
        """The messages that an event needs, and the marks that it puts under an agent's own."""
        line, kind = event.line, event.kind
        if kind in _SILENT or (kind in (*_SAID, *_CHANGED) and line is None):
            if kind is EventKind.DELIVERED and own:
                await self._posts.mark(own, DELIVERED, gone=FAILED)
            return []
        if kind is EventKind.UNDELIVERED:
            if own:
                await self._posts.mark(own, FAILED, gone=DELIVERED)
            return [told.undelivered(event, language)]
        if line is None or kind not in (*_SAID, *_CHANGED):
            # Of a case that opens again: what was said while nobody had it.
            return [told.happened(event, language), *told.transcript(event.lines, language)]
        if own:
            return await self._of_own(line, kind, own, language)
        return told.said(line, language) if kind in _SAID else await self._copied(line, language)

    async def _of_own(self, line: DeskLine, kind: EventKind, own: str, language: str) -> list[Body]:
        """Below what an agent wrote here, only how the customer reads it."""
        if line.internal:
            return []
        if kind is EventKind.DELETED or line.deleted_at is not None:
            return [told.remark(f"🗑️ {say(Phrase.DESK_DELETED, language)}")]
        if kind is EventKind.EDITED:
            await self._posts.mark(own, CHANGED)
        sent = told.as_sent(line, language)
        return [sent] if sent is not None else []

    async def _copied(self, line: DeskLine, language: str) -> list[Body]:
        """Change our copy of a line; if it has none that can be changed, tell of the change."""
        bodies = told.said(line, language)
        channel, _, ts = (await self._reads.places.shown_as(line.id) or "").partition(":")
        if channel == self._posts.channel and len(bodies) == 1:
            try:
                await self._posts.update(ts, bodies[0])
            except LookupError:
                return told.changed(line, language)
            return []
        return told.changed(line, language)

    async def _own(self, line: DeskLine) -> str:
        """The `ts` of a line that an agent wrote here; empty if it was written elsewhere."""
        if line.author is not Author.AGENT:
            return ""
        here = f"{OUR}{ref_of(self._posts.channel, '')}"
        if line.event_id.startswith(here):
            return line.event_id.removeprefix(here)
        ref = await self._reads.places.written_as(line.id) if line.internal else None
        return (ref or "").partition(":")[2]

    async def _card(self, case: Case) -> Body:
        return card(
            case,
            await self._reads.language(),
            customer=await self._reads.customer(case),
            internal=await self._reads.modes.internal(case.conversation),
            judged=await self._reads.judged(case),
        )

    def _remember(self, place: str, shown: str) -> None:
        self._sure[place] = (time.monotonic(), shown)
        if len(self._sure) > REMEMBERED:
            self._sure.popitem(last=False)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
