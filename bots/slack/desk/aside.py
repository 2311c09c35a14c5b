"""What only one agent is to read, or that is for show: nothing waits for it."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from bots.slack.api import asked
from bots.slack.desk.heard import Said
from bots.slack.desk.posts import Posts
from bots.slack.markup import escape
from bots.slack.place import Place
from bots.slack.port import Spawn
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say

log = structlog.get_logger()


class Aside:
    """Messages that only their reader sees, and marks under an agent's own."""

    def __init__(
        self, posts: Posts, *, spawn: Spawn, language: Callable[[], Awaitable[str]]
    ) -> None:
        """Speak the desk's `language` with those whose own is unknown."""
        self._posts = posts
        self._spawn = spawn
        self._language = language

    def tell(self, said: Said, text: str) -> None:
        """Tell an agent what became of their message, where they wrote it."""
        self.whisper(said.place, said.user, text)

    def whisper(self, place: str, user: str, text: str) -> None:
        """Tell somebody something in a thread."""
        self._spawn(self._whispered(place, user, text))

    def tell_stranger(self, place: str, user: str) -> None:
        """Tell somebody that they do not work here."""
        self._spawn(self._told_stranger(place, user))

    def mark(self, said: Said, name: str) -> None:
        """Put a reaction under an agent's message."""
        self._spawn(_quietly(self._posts.mark(said.ts, name)))

    async def to_stranger(self) -> str:
        """What to tell somebody who does not work here."""
        return say(Phrase.DESK_MEMBERS_ONLY, await self._language())

    async def _told_stranger(self, place: str, user: str) -> None:
        await self._whispered(place, user, await self.to_stranger())

    async def _whispered(self, place: str, user: str, text: str) -> None:
        at = Place.parse(place)
        await _quietly(self._post(at, user, text))

    async def _post(self, at: Place, user: str, text: str) -> Any:
        team = await self._posts.team()
        return await asked(
            team.client.chat_postEphemeral(
                channel=at.channel, thread_ts=at.thread, user=user, text=escape(text)
            )
        )


async def _quietly(showing: Awaitable[Any]) -> None:
    try:
        await showing
    except (Unavailable, Rejected, TimeoutError, LookupError) as error:
        log.info("desk_aside_not_shown", error=str(error))
