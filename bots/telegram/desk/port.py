"""Shows handed-over conversations in the topics of a forum."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile

import structlog

from bots.telegram.desk.batching import Batch, pack
from bots.telegram.desk.group import Group
from bots.telegram.desk.keys import card_keys
from bots.telegram.desk.pace import Rank
from bots.telegram.desk.words import (
    Block,
    Reader,
    card,
    happened,
    lost,
    notice,
    state,
    topic_name,
    transcript,
    untranslated,
)
from bots.telegram.places import chat_of, place_of
from bots.telegram.splitting import MAX_UNITS, units
from core.adapters.cursors import CARD, Cursors
from core.adapters.desk_ahead import DeskAhead
from core.adapters.desk_places import DeskPlaces
from core.cases import Case, DeskEvent, DeskLine, EventId, EventKind
from core.errors import Rejected, Unavailable
from core.preferences import Preferences
from core.turn import Author, Channel, ConversationId, WorkspaceId

log = structlog.get_logger()

# What stands in a new topic of what was said before: as much as two messages hold.
MOST_BEFORE_UNITS = 2 * MAX_UNITS - 500
REMEMBERED = 5_000
MADE_OF_LATE = 200
_URGENT = 2
_NONE = EventId(0)
# An agent's reply that was written in a topic stands there already.
HERE = "telegram:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What the port reads of the rest of the program."""

    workspace: WorkspaceId
    ahead: DeskAhead
    places: DeskPlaces
    cursors: Cursors
    preferences: Callable[[WorkspaceId], Awaitable[Preferences]]


@dataclass(slots=True)
class _Topic:
    """What we know of a topic: how far it goes, and what it looks like."""

    shown: EventId = _NONE
    # Messages about what was said before, of those that a new topic begins with.
    told: int = 0
    card: Block | None = None
    look: tuple[str, str] | None = None
    closed: bool | None = None
    owing: bool = False


class TelegramDesk:
    """The desk port over one forum.

    A call of `show` also shows what has happened since: the calls for those events then find it
    done. After a crash in between they are shown once more.
    """

    def __init__(self, group: Group, reads: Reads) -> None:
        """Show them in `group`."""
        self._group = group
        self._reads = reads
        self._topics: OrderedDict[str, _Topic] = OrderedDict()
        # Topics that are made, but have no card yet.
        self._half: dict[ConversationId, int] = {}
        # Topics of late, which may not be in the database yet when somebody writes in them.
        self._made: OrderedDict[int, ConversationId] = OrderedDict()

    def being_made(self, thread: int) -> ConversationId | None:
        """Whose topic it is that was made just now, and is kept nowhere yet."""
        return self._made.get(thread)

    async def open(self, case: Case, lines: Sequence[DeskLine]) -> str:
        """Make a topic with a card and what was said before."""
        reader = await self._reader(case)
        try:
            return await self._open(case, lines, reader)
        except LookupError as error:
            # Deleted while it was being made, or the group has just moved.
            self._half.pop(case.conversation, None)
            raise Unavailable("telegram", str(error), retry_after_s=1.0) from error

    async def _open(self, case: Case, lines: Sequence[DeskLine], reader: Reader) -> str:
        chat_id = self._group.chat_id
        thread = self._half.get(case.conversation)
        if thread is None:
            thread = await self._group.create(topic_name(case), state(case))
            self._half[case.conversation] = thread
            self._made[thread] = case.conversation
            if len(self._made) > MADE_OF_LATE:
                self._made.popitem(last=False)
        place = place_of(chat_id, thread)
        topic = self._topic(place)
        if topic.card is None:
            await self._post_card(place, thread, case, reader)
            topic.look, topic.closed = (topic_name(case), state(case)), False
        before = pack([(_NONE, _newest(transcript(lines, reader)))])
        for batch in before[topic.told :]:
            await self._send(thread, [batch], _rank(case, Rank.OPENED), topic, reader.language)
            topic.told += 1
        self._half.pop(case.conversation, None)
        return place

    async def show(self, place: str, event: DeskEvent) -> str:
        """Show what happened, and the case as it stands now; the id of the first message."""
        chat_id, thread = chat_of(place)
        if chat_id != self._group.chat_id or thread is None:
            raise LookupError("the topic is in a group that has moved")
        topic = self._topic(place)
        ref = ""
        try:
            if event.id > topic.shown or topic.owing:
                topic.owing = True
                ref = await self._show(place, thread, event, topic)
                topic.owing = False
        except LookupError:
            self._topics.pop(place, None)
            raise
        return ref

    async def _show(self, place: str, thread: int, event: DeskEvent, topic: _Topic) -> str:
        """Show an event and what has happened since, then let the topic look like it."""
        reads = self._reads
        after = max(topic.shown, EventId(event.id - 1))
        case, events = await reads.ahead.events(event.conversation, after)
        case = case or event.case
        events = _one_go(event, topic.shown, events)
        if case is None:
            return ""
        reader = await self._reader(case)
        blocks = [(each.id, await self._blocks(each, reader)) for each in events]
        ref = await self._send(thread, pack(blocks), _rank(case, Rank.SAID), topic, reader.language)
        if events:
            topic.shown = events[-1].id
        if topic.card is not None or any(each.kind in _CHANGES for each in events):
            await self._dress(place, thread, case, reader, topic)
        return ref

    async def _blocks(self, event: DeskEvent, reader: Reader) -> list[Block]:
        """What a topic says about an event, unless it was written there."""
        line = event.line
        if line is not None and line.author is Author.AGENT and event.kind in _WRITTEN_HERE:
            here = line.event_id.startswith(HERE) and event.kind is not EventKind.NOTE
            if here:
                return untranslated(line, reader)
            if event.kind is EventKind.NOTE and await self._reads.places.written_as(line.id):
                return []
        return happened(event, reader)

    async def _send(
        self, thread: int, batches: Sequence[Batch], rank: Rank, topic: _Topic, language: str
    ) -> str:
        """Send messages in order; what they show is shown even if a later one fails."""
        ref = ""
        for batch in batches:
            try:
                message = await self._group.say(thread, batch.block, rank)
            except Rejected as error:
                # What Telegram will never take must not keep what follows from being shown.
                log.warning("telegram_block_refused", error=str(error))
                if batch.block.load is not None:
                    instead = lost(batch.block.load.file, language)
                    message = await self._group.say(thread, instead, rank)
            else:
                ref = ref or f"{self._group.chat_id}/{message}"
            topic.shown = max(topic.shown, batch.done)
        return ref

    async def _dress(
        self, place: str, thread: int, case: Case, reader: Reader, topic: _Topic
    ) -> None:
        """Bring card, icon and door to the state of the case; each only if it differs."""
        wanted = _card(case, reader)
        if topic.card != wanted:
            await self._rewrite_card(place, thread, case, reader)
            topic.card = wanted
        look = (topic_name(case), state(case))
        if topic.look != look:
            await self._group.dress(thread, *look)
            topic.look = look
        closed = case.ended_at is not None
        if topic.closed != closed:
            await self._group.shut(thread, closed=closed)
            topic.closed = closed

    async def _rewrite_card(self, place: str, thread: int, case: Case, reader: Reader) -> None:
        known = await self._reads.cursors.read(
            self._reads.workspace, Channel.TELEGRAM, _card_name(place)
        )
        try:
            if known is not None:
                await self._group.rewrite(thread, int(known), _card(case, reader))
                return
        except KeyError:
            log.info("telegram_card_gone", conversation=case.conversation)
        await self._post_card(place, thread, case, reader)

    async def _post_card(self, place: str, thread: int, case: Case, reader: Reader) -> None:
        wanted = _card(case, reader)
        message = await self._group.say(thread, wanted, _rank(case, Rank.OPENED))
        self._topic(place).card = wanted
        await self._reads.cursors.write(
            self._reads.workspace, Channel.TELEGRAM, _card_name(place), str(message)
        )

    async def _reader(self, case: Case) -> Reader:
        preferences = await self._reads.preferences(case.workspace)
        return Reader(
            language=preferences.desk_language,
            zone=preferences.time_zone,
            now=datetime.now(UTC),
            origin=case.channel,
        )

    def _topic(self, place: str) -> _Topic:
        topic = self._topics.pop(place, None) or _Topic()
        self._topics[place] = topic
        if len(self._topics) > REMEMBERED:
            self._topics.popitem(last=False)
        return topic


def _one_go(event: DeskEvent, shown: EventId, events: Sequence[DeskEvent]) -> tuple[DeskEvent, ...]:
    """What is shown now: the event itself, and what follows until the case is opened again.

    What was said before a case opened again comes with its own event only.
    """
    first = (event,) if event.id > shown else ()
    rest = (each for each in events if each.id != event.id)
    return (*first, *takewhile(lambda each: each.kind is not EventKind.OPENED, rest))


_WRITTEN_HERE = (EventKind.MESSAGE, EventKind.NOTE, EventKind.EDITED)
# What changes how a topic looks, also if nobody remembers what it looked like.
_CHANGES = (
    *(EventKind.OPENED, EventKind.CLAIMED, EventKind.RETURNED, EventKind.RESOLVED),
    *(EventKind.LAPSED, EventKind.RELEASED, EventKind.SNOOZED, EventKind.WOKEN, EventKind.RATED),
)


def _card(case: Case, reader: Reader) -> Block:
    return replace(card(case, reader), buttons=card_keys(case, reader.language))


def _card_name(place: str) -> str:
    return f"{CARD}{place}"


def _rank(case: Case, otherwise: Rank) -> Rank:
    return Rank.URGENT if case.priority >= _URGENT and case.ended_at is None else otherwise


def _newest(blocks: Sequence[Block]) -> list[Block]:
    """The last of what was said before, as much as a new topic begins with."""
    kept: list[Block] = []
    room = MOST_BEFORE_UNITS
    for block in reversed(blocks):
        room -= units(block.plain)
        if room < 0:
            return [notice("⋯"), *kept[::-1]]
        kept.append(block)
    return kept[::-1]
