"""Messages of ours in the desk's channel, each marked so that it is found again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bots.slack.api import FORBIDDEN, SHUT_OUT, asked, code_of
from bots.slack.desk.pace import Pace
from bots.slack.files import SlackFiles
from bots.slack.teams import Team, Teams
from core.errors import Rejected, Unavailable
from core.turn import Attachment

MARK = "dragoman_desk"
PAGE = 200
MAX_PAGES = 10
# Our clock, the database's and Slack's are not the same.
SKEW_S = 300.0
CLOSED_S = 60.0
# These concern the whole desk: what is to be shown waits until somebody has set them right.
_CLOSED = (
    {"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "no_permission"}
    | SHUT_OUT
    | FORBIDDEN
)
_GONE = frozenset({"thread_not_found", "message_not_found", "cant_update_message"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a message is: a part of an event, or of a conversation's beginning."""

    about: str
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What of ours stands in a thread already."""

    marks: Mapping[Mark, str]
    # (ts, title), in order.
    files: tuple[tuple[str, str], ...] = ()


NOTHING = Thread(marks={})


class Posts:
    """Writes into one channel, at the pace that Slack allows."""

    def __init__(self, teams: Teams, channel: str, pace: Pace) -> None:
        """Write as the bot of the token in the settings."""
        self._teams = teams
        self.channel = channel
        self._pace = pace
        # Why nothing may be posted now; empty if it may.
        self.closed = ""

    async def team(self) -> Team:
        """Ours.

        Raises: Unavailable: there is none.
        """
        team = await self._teams.own()
        if team is None:
            raise Unavailable("slack", "there is no team of our own", retry_after_s=CLOSED_S)
        return team

    async def _writing(self) -> Team:
        """Ours, if we may write. Raises: as `team` does, and while the channel is closed."""
        if self.closed:
            raise Unavailable("slack", self.closed, retry_after_s=CLOSED_S)
        return await self.team()

    async def post(
        self,
        body: Mapping[str, Any],
        mark: Mark,
        *,
        thread: str | None = None,
        broadcast: bool = False,
    ) -> str:
        """Post a message; its `ts`.

        Raises:
            Unavailable, Rejected, TimeoutError: as `DeskPort.show` does.
            LookupError: the thread is gone.
        """
        team = await self._writing()
        await self._pace.turn()
        answer = await self.called(
            team.client.chat_postMessage(
                channel=self.channel,
                thread_ts=thread,
                reply_broadcast=broadcast or None,
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                metadata={
                    "event_type": MARK,
                    "event_payload": {"about": mark.about, "part": mark.part},
                },
                **body,
            ),
            paced=True,
        )
        ts = str(answer["ts"])
        message = answer.get("message") or {}
        if thread is not None and message.get("thread_ts") != thread:
            # Slack puts a reply to what is gone into the channel, where nobody would know whose
            # words it is: https://github.com/slack-go/slack/issues/1571
            await self.called(team.client.chat_delete(channel=self.channel, ts=ts))
            raise LookupError(thread)
        return ts

    async def upload(
        self, uploads: SlackFiles, file: Attachment, content: bytes, *, thread: str
    ) -> None:
        """Put a file into a thread. Raises: as `post` does."""
        team = await self._writing()
        await self._pace.turn()
        await self.called(uploads.upload(team, file, content, channel=self.channel, thread=thread))

    async def update(self, ts: str, body: Mapping[str, Any]) -> None:
        """Change a message of ours. Raises: as `post` does."""
        team = await self._writing()
        await self.called(team.client.chat_update(channel=self.channel, ts=ts, **body))

    async def mark(self, ts: str, name: str, *, gone: str = "") -> None:
        """Put a reaction under a message, in place of another; one that was deleted needs none.

        Raises: Unavailable, TimeoutError.
        """
        team = await self.team()
        where = {"channel": self.channel, "timestamp": ts}
        try:
            if gone:
                await _quietly(team.client.reactions_remove(name=gone, **where))
            await asked(team.client.reactions_add(name=name, **where))
        except Rejected as error:
            if code_of(error) != "already_reacted":
                log.info("slack_mark_not_put", error=str(error))

    async def in_thread(self, thread: str, since_s: float) -> Thread:
        """What of ours was posted there since a time. Raises: as `post` does."""
        team = await self.team()
        marks: dict[Mark, str] = {}
        files: list[tuple[str, str]] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.called(
                team.client.conversations_replies(
                    channel=self.channel,
                    ts=thread,
                    oldest=f"{max(0.0, since_s - SKEW_S):.6f}",
                    limit=PAGE,
                    cursor=cursor,
                    include_all_metadata=True,
                )
            )
            for message in page.get("messages", []):
                mark = mark_of(message, team)
                if mark is not None:
                    marks.setdefault(mark, str(message["ts"]))
                if message.get("bot_id") == team.me.bot_id:
                    titles = (str(file.get("title")) for file in message.get("files") or ())
                    files += [(str(message["ts"]), title) for title in titles]
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return Thread(marks=marks, files=tuple(sorted(files)))

    async def about(self, thread: str) -> str:
        """What a thread hangs on, if that is a message of ours. Raises: as `post` does."""
        team = await self.team()
        page = await self.called(
            team.client.conversations_replies(
                channel=self.channel, ts=thread, limit=1, include_all_metadata=True
            )
        )
        [root] = page.get("messages", [])[:1] or [{}]
        mark = mark_of(root, team)
        return mark.about if mark is not None else ""

    async def find_root(self, mark: Mark, since_s: float) -> str | None:
        """A message of ours in the channel itself, the newest of that mark. Raises: as `post`."""
        team = await self.team()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.called(
                team.client.conversations_history(
                    channel=self.channel,
                    oldest=f"{max(0.0, since_s - SKEW_S):.6f}",
                    limit=PAGE,
                    cursor=cursor,
                    include_all_metadata=True,
                )
            )
            for message in page.get("messages", []):
                if mark_of(message, team) == mark:
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return None

    async def called(self, call: Any, *, paced: bool = False) -> Any:
        """One call; what concerns the whole desk can be tried again. Raises: as `post` does.

        Slack counts each method by itself: only of what is `paced` must the pace heed it.
        """
        try:
            return await asked(call)
        except Unavailable as error:
            if paced and error.retry_after_s is not None:
                self._pace.pause(error.retry_after_s)
            raise
        except Rejected as error:
            code = code_of(error)
            if code in _GONE:
                raise LookupError(code) from error
            if code in _CLOSED:
                raise Unavailable("slack", code, retry_after_s=CLOSED_S) from error
            raise


def mark_of(message: Mapping[str, Any], team: Team) -> Mark | None:
    """The mark of a message of ours; anybody may write metadata of our name."""
    metadata = message.get("metadata") or {}
    if message.get("bot_id") != team.me.bot_id or metadata.get("event_type") != MARK:
        return None
    payload = metadata.get("event_payload") or {}
    about, part = payload.get("about"), payload.get("part")
    if not isinstance(about, str) or not isinstance(part, int | str):
        return None
    return Mark(about=about, part=int(part)) if str(part).isdigit() else None


async def _quietly(call: Any) -> None:
    """A mark that is not there need not be taken away."""
    try:
        await asked(call)
    except Rejected as error:
        log.info("slack_mark_not_taken", error=str(error))
