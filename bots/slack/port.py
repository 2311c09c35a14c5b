"""The way out to customers in Slack."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from bots.slack import render
from bots.slack.api import SHUT_OUT, asked, code_of, posted
from bots.slack.files import MAX_BYTES, SlackFiles
from bots.slack.place import Place
from bots.slack.teams import Team, Teams
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say
from core.ports import Files
from core.turn import Address, Attachment, Channel, Parcel, Served, Turn

PARCEL = "dragoman_parcel"
PAGE = 200
# How the id of a file begins; that of a message is a number.
FILE_ID = "F"
# What is to be taken back and is gone already, as after a crash.
GONE = ("message_not_found", "file_not_found", "file_deleted")
# The codes by which Slack tells that a team has thrown us out.
REMOVED = frozenset({"account_inactive", "token_revoked"})
# Slack takes a status down after two minutes without a message.
STATUS_S = 100.0
REMEMBERED = 10_000

log = structlog.get_logger()

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class SlackPort:
    """Implements `Port` and `Presence` over the Web API."""

    def __init__(
        self,
        teams: Teams,
        *,
        default_language: str,
        spawn: Spawn,
        uploads: SlackFiles,
        files: Mapping[Channel, Files],
    ) -> None:
        """Speak as each team's bot; `spawn` runs what nothing waits for.

        What agents send is fetched from `files`, and put into Slack by `uploads`.
        """
        self._teams = teams
        self._uploads = uploads
        self._files = files
        self._default_language = default_language
        self._spawn = spawn
        # The last message of each place, for a status needs one to stand under.
        self._latest: OrderedDict[Address, str] = OrderedDict()
        self._shown: dict[Address, tuple[str, float]] = {}

    def render(self, served: Served, turn: Turn) -> tuple[str, ...]:
        """Cut a reply into Slack messages."""
        return render.render(served, turn)

    def book(self, address: Address) -> float:
        """Now: how much Slack takes varies, so that its 429 tells."""
        return 0.0

    async def send(self, parcel: Parcel) -> str:
        """Post one message; its metadata names the parcel, so that it can be found again.

        A file has its own id, for Slack tells none of the message that it came with.
        """
        team = await self._teams.serving(parcel.address.workspace)
        file = None if parcel.replaces else render.file_in(parcel.body)
        try:
            if file is not None:
                # An app that may not upload files can still say the rest.
                return await posted(self._send_file(team, parcel, file), waits=SHUT_OUT)
            return await posted(self._say(team, parcel))
        except Unavailable as error:
            await self._look_whether_removed(team, error)
            raise

    async def find(self, parcel: Parcel) -> str | None:
        """Look for the parcel's metadata among our own messages of its place."""
        if render.file_in(parcel.body) is not None:
            raise LookupError("Slack does not say which message a file came with")
        place = Place.parse(parcel.address.place)
        team = await self._teams.serving(parcel.address.workspace)
        cursor: str | None = None
        while True:
            page = await posted(asked(_page(team, place, cursor)), waits=SHUT_OUT)
            messages: list[dict[str, Any]] = page.get("messages", [])
            for message in messages:
                number = _parcel_of(message, team)
                if number == parcel.id:
                    return str(message["ts"])
                if number is not None and number < parcel.id and place.thread is None:
                    # Newest first, and the parcels of a place are sent in the order of their ids.
                    return None
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None

    async def _say(self, team: Team, parcel: Parcel) -> str:
        """Post a message, or change one."""
        place = Place.parse(parcel.address.place)
        if parcel.replaces:
            await _replace(team, place, parcel)
            return parcel.replaces
        answer = await asked(
            team.client.chat_postMessage(
                channel=place.channel,
                thread_ts=place.thread,
                # Whoever reads the channel should not have their browser visit what we link to.
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                metadata={"event_type": PARCEL, "event_payload": {"parcel": parcel.id}},
                **json.loads(parcel.body),
            )
        )
        self._take_status_down(team, parcel.address)
        return str(answer["ts"])

    async def _send_file(self, team: Team, parcel: Parcel, file: Attachment) -> str:
        """Fetch a file where it was sent from, and upload it."""
        place = Place.parse(parcel.address.place)
        files = self._files.get(Channel(file.channel or Channel.SLACK))
        if files is None:
            raise Rejected(f"no files come from {file.channel}")
        content = await files.fetch(file, max_bytes=MAX_BYTES)
        return await self._uploads.upload(
            team, file, content, channel=place.channel, thread=place.thread
        )

    async def _look_whether_removed(self, team: Team, error: Unavailable) -> None:
        """Let go of a team whose notice that it threw us out was lost; it could wait for ever."""
        cause = error.__cause__
        if not isinstance(cause, Rejected) or code_of(cause) not in REMOVED:
            return
        try:
            if team is not await self._teams.own():
                await self._teams.removed(team.me.team)
        except (Unavailable, TimeoutError) as failed:
            log.info("slack_team_not_asked_about", error=str(failed))

    def heard(self, address: Address, ts: str) -> None:
        """Remember the newest message of a place."""
        self._latest[address] = ts
        self._latest.move_to_end(address)
        if len(self._latest) > REMEMBERED:
            self._shown.pop(self._latest.popitem(last=False)[0], None)

    async def working(self, address: Address, language: str | None) -> None:
        """Show the status under the customer's message, once for as long as Slack keeps it."""
        place = Place.parse(address.place)
        thread = place.thread or self._latest.get(address)
        shown, at_s = self._shown.get(address, ("", 0.0))
        if thread is None or (shown == thread and time.monotonic() - at_s < STATUS_S):
            return
        self._shown[address] = (thread, time.monotonic())
        team = await self._teams.serving(address.workspace)
        status = say(Phrase.LOOKING_UP, language or self._default_language)
        await asked(
            team.client.assistant_threads_setStatus(
                channel_id=place.channel, thread_ts=thread, status=status
            )
        )

    async def partial(self, address: Address, text: str) -> None:
        """Show nothing: Slack lets an app start about 20 streams a minute in a whole workspace.

        A stream also ends by itself after some five minutes and cannot be found again by its
        metadata while it runs. One post of the whole reply is dependable.
        """

    def _take_status_down(self, team: Team, address: Address) -> None:
        """Clear a status that our reply does not: one under a message that is no thread."""
        thread, _ = self._shown.pop(address, ("", 0.0))
        place = Place.parse(address.place)
        if thread and place.thread is None:
            self._spawn(_clear(team, place.channel, thread))


async def _replace(team: Team, place: Place, parcel: Parcel) -> None:
    """Change a message of ours, or take it back; of a file nothing can be changed."""
    if not parcel.body:
        await _take_back(team, place, parcel.replaces)
    elif render.file_in(parcel.body) is None:
        await asked(
            team.client.chat_update(
                channel=place.channel, ts=parcel.replaces, **json.loads(parcel.body)
            )
        )


async def _take_back(team: Team, place: Place, ref: str) -> None:
    if ref.startswith(FILE_ID):
        call = team.client.files_delete(file=ref)
    else:
        call = team.client.chat_delete(channel=place.channel, ts=ref)
    try:
        await asked(call)
    except Rejected as error:
        if code_of(error) not in GONE:
            raise


async def _clear(team: Team, channel: str, thread: str) -> None:
    try:
        await asked(
            team.client.assistant_threads_setStatus(channel_id=channel, thread_ts=thread, status="")
        )
    except (Unavailable, Rejected, TimeoutError) as error:
        log.info("slack_status_not_cleared", error=str(error))


def _page(team: Team, place: Place, cursor: str | None) -> Any:
    if place.thread is None:
        return team.client.conversations_history(
            channel=place.channel, limit=PAGE, cursor=cursor, include_all_metadata=True
        )
    return team.client.conversations_replies(
        channel=place.channel,
        ts=place.thread,
        limit=PAGE,
        cursor=cursor,
        include_all_metadata=True,
    )


def _parcel_of(message: dict[str, Any], team: Team) -> int | None:
    """The parcel that a message of ours carried; anybody may write metadata of our name."""
    metadata = message.get("metadata") or {}
    if message.get("bot_id") != team.me.bot_id or metadata.get("event_type") != PARCEL:
        return None
    number = (metadata.get("event_payload") or {}).get("parcel")
    return int(number) if isinstance(number, int | str) and str(number).isdigit() else None
