"""Reading back what was said while nobody listened."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bots.slack import markup
from bots.slack.api import asked
from bots.slack.place import Place
from bots.slack.teams import Team, Teams
from core.adapters.cursors import MARK, Cursors
from core.adapters.holds import Holds
from core.errors import Rejected, Unavailable
from core.turn import Channel, WorkspaceId

EVERY_S = 600.0
# What was that old when a team was last read whole is not read again: neither threads in which
# nobody had written since, nor what was said in a channel, where we may not have been.
RECENT_S = 24 * 3600.0
# After so short a gap the new threads are few, and all of them are read.
SHORT_GAP_S = 3600.0
# What is younger may still be on its way to us, and says nothing about the socket.
SETTLED_S = 15.0
PAGE = 200
KINDS = ("im", "public_channel,private_channel")
START = "start"
FILLED = "filled"
# How a channel's history tells that somebody came in.
JOINED = frozenset({"channel_join", "group_join"})

log = structlog.get_logger()

Take = Callable[[Team, Mapping[str, Any]], Awaitable[bool]]
Call = Callable[..., Awaitable[AsyncSlackResponse]]


class Recent(Protocol):
    """Places in which somebody wrote lately."""

    def __call__(
        self, workspace: WorkspaceId, channel: Channel, within_s: float
    ) -> Awaitable[tuple[str, ...]]:
        """List them, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """When we began with a team, and when it was last read whole; None if it never was."""

    start: float
    filled: float | None

    def gap_s(self) -> float:
        """For how long it was not read; 0 if that is not known."""
        return 0.0 if self.filled is None else max(0.0, time.time() - self.filled)

    def floor(self) -> float:
        """Before this nothing is read that was not said to us directly."""
        day_ago = time.time() - RECENT_S
        return day_ago if self.filled is None else min(self.filled, day_ago)

    def is_short(self) -> bool:
        """Whether the gap is, however long nobody may have written in a channel."""
        return self.filled is not None and self.gap_s() < SHORT_GAP_S


class Backfill:
    """Compares Slack's history with ours, after each gap and now and then.

    Each place has a mark: the `ts` of the newest message that was read back there. What comes
    after it goes the same way as any event, where ids tell what is known. Edits and deletions of
    messages before the mark are not seen. Of the threads in a channel those are read that begin
    with a mention, or in which somebody wrote to us lately, and those that began in a short gap:
    Slack lets an app read 50 a minute.
    """

    def __init__(
        self,
        *,
        teams: Teams,
        cursors: Cursors,
        holds: Holds,
        recent: Recent,
        take: Take,
        holder: str,
        every_s: float = EVERY_S,
        also: Callable[[float], Awaitable[tuple[str, ...]]] | None = None,
    ) -> None:
        """Pass messages to `take`; of several replicas one reads in each period.

        `also` lists further places of our own team in which somebody wrote lately.
        """
        self._also = also
        self._teams = teams
        self._cursors = cursors
        self._holds = holds
        self._recent = recent
        self._take = take
        self._holder = holder
        self._every_s = every_s
        self._gap = asyncio.Event()
        self.on_missed: Callable[[], None] = lambda: None

    def gap(self) -> None:
        """Tell that events may have been lost just now."""
        self._gap.set()

    async def run(self) -> None:
        """Read back at once, after each gap and every `every_s`, until cancelled."""
        self._gap.set()
        while True:
            after_gap = await self._due()
            for team in await self._reachable():
                try:
                    missed = await self.fill_if_due(team, after_gap=after_gap)
                except (Unavailable, Rejected, TimeoutError) as error:
                    log.warning("slack_backfill_failed", team=team.me.team, error=str(error))
                    continue
                if missed:
                    log.warning("slack_messages_recovered", team=team.me.team, count=missed)
                if missed and not after_gap:
                    # The socket looks alive, yet it did not bring these.
                    self.on_missed()

    async def fill(self, team: Team) -> int:
        """Read one team back; how many settled messages were news.

        Raises: Unavailable, Rejected, TimeoutError: as the calls do; what was read stays read.
        """
        begun = time.time() - SETTLED_S
        before = _Before(start=await self._start(team), filled=await self._filled(team))
        own = await self._teams.own()
        is_own = own is not None and own.me.team == team.me.team
        within_s = RECENT_S + before.gap_s()
        also = await self._also(within_s) if self._also is not None and is_own else ()
        recent = await self._recent(team.me.workspace, Channel.SLACK, within_s)
        lively = [Place.parse(text) for text in (*recent, *also)]
        channels = [Place(channel=channel) for channel in await self._channels(team)]
        talking = {place.channel for place in lively}
        # Slack lets an app read 50 of them a minute: first those where somebody may be waiting.
        places = (
            *(place for place in channels if place.channel in talking),
            *(place for place in lively if place.thread is not None),
            *(place for place in channels if place.channel not in talking),
        )
        missed = 0
        for place in places:
            missed += await self._fill_place(team, place, before)
        await self._cursors.write(team.me.workspace, Channel.SLACK, FILLED, f"{begun:.6f}")
        return missed

    async def _due(self) -> bool:
        # Python 3.11's wait_for loses a cancellation that comes together with the event.
        try:
            async with asyncio.timeout(self._every_s):
                await self._gap.wait()
        except TimeoutError:
            return False
        self._gap.clear()
        return True

    async def _reachable(self) -> tuple[Team, ...]:
        try:
            return await self._teams.all()
        except (Unavailable, TimeoutError) as error:
            log.warning("slack_backfill_failed", error=str(error))
            return ()

    async def fill_if_due(self, team: Team, *, after_gap: bool) -> int:
        """Read back after a gap, or if no other replica did in this period."""
        name = f"slack-backfill:{team.me.team}"
        mine = await self._holds.take(name, self._holder, self._every_s * 0.9)
        return await self.fill(team) if mine or after_gap else 0

    async def _start(self, team: Team) -> float:
        """When we began with this team: what was said before is not ours to answer."""
        kept = await self._cursors.read(team.me.workspace, Channel.SLACK, START)
        if kept is None:
            kept = f"{time.time():.6f}"
            await self._cursors.write(team.me.workspace, Channel.SLACK, START, kept)
        return float(kept)

    async def _filled(self, team: Team) -> float | None:
        kept = await self._cursors.read(team.me.workspace, Channel.SLACK, FILLED)
        return None if kept is None else float(kept)

    async def _channels(self, team: Team) -> list[str]:
        """The channels that the bot is in; of those it may not list, none."""
        found: list[str] = []
        for kinds in KINDS:
            page = partial(
                team.client.users_conversations, types=kinds, exclude_archived=True, limit=PAGE
            )
            try:
                found += [str(channel["id"]) async for channel in _pages(page, "channels")]
            except Rejected as error:
                log.warning("slack_channels_not_listed", kinds=kinds, error=str(error))
        return found

    async def _take_one(self, team: Team, event: Mapping[str, Any]) -> bool:
        """Pass a message on; True if it is news.

        Raises: Unavailable: it could not be kept, and is to be read again.
        """
        try:
            return await self._take(team, event)
        except (Unavailable, TimeoutError):
            raise
        except Exception:  # an edge: one message that trips us must not end all others
            log.exception("slack_event_failed")
            return False

    async def _fill_place(self, team: Team, place: Place, before: _Before) -> int:
        name = f"{MARK}{place}"
        mark = await self._cursors.read(team.me.workspace, Channel.SLACK, name)
        try:
            said = await _history(team, place, _since(place, mark, before))
        except Rejected as error:
            log.info("slack_place_not_read", error=str(error))
            return 0
        joined = _joined(said, team)
        missed = 0
        for first in range(0, len(said), PAGE):
            page = said[first : first + PAGE]
            for message in page:
                if float(message["ts"]) > joined:
                    missed += await self._fill_message(team, place, message, before)
            # What was taken stays taken, whatever stops us further on.
            newest = str(page[-1]["ts"])
            await self._cursors.write(team.me.workspace, Channel.SLACK, name, newest)
        return missed

    async def _fill_message(
        self, team: Team, place: Place, message: Mapping[str, Any], before: _Before
    ) -> int:
        """Pass a message on, with the thread below it if that may be ours or the gap is short."""
        event = {"type": "message", "channel": place.channel, **message}
        news = await self._take_one(team, event)
        missed = int(news and float(message["ts"]) < time.time() - SETTLED_S)
        if place.thread is not None or not message.get("reply_count"):
            return missed
        asks_us = markup.mentions(str(message.get("text")), team.me.bot_user)
        if before.is_short() or asks_us or _is_direct(place):
            thread = Place(channel=place.channel, thread=str(message["ts"]))
            missed += await self._fill_place(team, thread, before)
        return missed


def _is_direct(place: Place) -> bool:
    return place.channel.startswith("D")


def _since(place: Place, mark: str | None, before: _Before) -> str:
    """From when on a place is read.

    In direct messages all is for us. A channel that we were called into has a past without us.
    """
    after = before.start if mark is None else float(mark)
    if not _is_direct(place):
        after = max(after, before.floor())
    return f"{after:.6f}"


def _joined(said: Sequence[Mapping[str, Any]], team: Team) -> float:
    """When we last came into a channel, as its history tells; 0 if it does not."""
    return max(
        (
            float(message["ts"])
            for message in said
            if message.get("subtype") in JOINED and message.get("user") == team.me.bot_user
        ),
        default=0.0,
    )


async def _history(team: Team, place: Place, oldest: str) -> list[dict[str, Any]]:
    """Messages of a place after `oldest`, oldest first."""
    client = team.client
    if place.thread is None:
        page = partial(client.conversations_history, channel=place.channel)
    else:
        page = partial(client.conversations_replies, channel=place.channel, ts=place.thread)
    page = partial(page, oldest=oldest, limit=PAGE)
    said = [message async for message in _pages(page, "messages")]
    # Replies come with the message that they hang on, however old it is.
    return sorted(
        (message for message in said if float(message["ts"]) > float(oldest)),
        key=lambda message: float(message["ts"]),
    )


async def _pages(call: Call, key: str) -> AsyncIterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = await _patiently(call, cursor)
        items: list[dict[str, Any]] = page.get(key, [])
        for item in items:
            yield item
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return


async def _patiently(call: Call, cursor: str | None) -> AsyncSlackResponse:
    """Call, and as often as Slack says when to come back, come back."""
    while True:
        try:
            return await asked(call(cursor=cursor))
        except Unavailable as error:
            if error.retry_after_s is None:
                raise
            log.info("slack_backfill_waits", for_s=error.retry_after_s)
            await asyncio.sleep(error.retry_after_s)
