"""Whether the channel can be the desk, at the start and for as long as it is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from bots.slack.api import asked, code_of
from bots.slack.desk.posts import Posts
from bots.slack.place import Place
from bots.slack.teams import Team, Teams
from core.errors import Misconfigured, Rejected, Unavailable
from core.turn import Channel, WorkspaceId

SETTING = "DRAGOMAN_SLACK_DESK"
# A channel in which nobody has asked the bot for so long may become the desk.
CUSTOMERS_S = 90 * 24 * 3600.0
RETRY_S = 10.0
# A channel that is shared with another company shows it what customers write for so long at most.
EVERY_S = 60.0

log = structlog.get_logger()

Customers = Callable[[WorkspaceId, Channel, float], Awaitable[tuple[str, ...]]]


class Watch:
    """Looks at the channel again and again; while it cannot be the desk, nothing is posted."""

    def __init__(
        self, teams: Teams, posts: Posts, customers: Customers, *, every_s: float = EVERY_S
    ) -> None:
        """Look at the channel of `posts` every `every_s`; `customers` tells where they write."""
        self._teams = teams
        self._posts = posts
        self._customers = customers
        self._every_s = every_s

    async def check(self) -> str:
        """Look whether the channel can be the desk, in a line for a person.

        Raises:
            Misconfigured: it cannot; the text says what to do.
            Unavailable, TimeoutError: Slack does not answer.
        """
        team = await self._fit()
        if await self._is_customers(team):
            raise self._wrong("is one where customers ask the bot; use one for agents alone")
        return f"desk in {self._posts.channel}"

    async def opened(self) -> None:
        """Wait until the channel can be the desk; why it cannot is told once."""
        self._posts.closed = self._posts.closed or "the desk's channel was not looked at yet"
        while True:
            try:
                await self.check()
            except Misconfigured as error:
                self._close(error)
                await asyncio.sleep(self._every_s)
            except (Unavailable, TimeoutError) as error:
                log.warning("slack_desk_not_checked", error=str(error))
                await asyncio.sleep(min(RETRY_S, self._every_s))
            else:
                self._posts.closed = ""
                log.info("slack_desk_open", channel=self._posts.channel)
                return

    async def closed(self) -> None:
        """Wait until the channel cannot be the desk any more."""
        while not self._posts.closed:
            await asyncio.sleep(self._every_s)
            try:
                await self._fit()
            except Misconfigured as error:
                self._close(error)
            except (Unavailable, TimeoutError) as error:
                # Nothing is posted while Slack is not there.
                log.info("slack_desk_not_checked", error=str(error))

    def _close(self, error: Misconfigured) -> None:
        if self._posts.closed != str(error):
            log.error("slack_desk_closed", error=str(error))
        self._posts.closed = str(error)

    async def _fit(self) -> Team:
        """Our team. Raises: as `check` does."""
        team = await self._teams.own()
        if team is None:
            raise Misconfigured(f"{SETTING} needs SLACK_BOT_TOKEN, whose team the desk is in")
        if fault := _fault(await self._about(team)):
            raise self._wrong(fault)
        return team

    def _wrong(self, fault: str) -> Misconfigured:
        return Misconfigured(f"{SETTING}: the channel {self._posts.channel} {fault}")

    async def _about(self, team: Team) -> Mapping[str, Any]:
        try:
            answer = await asked(team.client.conversations_info(channel=self._posts.channel))
        except Rejected as error:
            if code_of(error) != "channel_not_found":
                raise Misconfigured(f"{SETTING}: {error}") from error
            return {}
        about = answer.get("channel")
        return about if isinstance(about, dict) else {}

    async def _is_customers(self, team: Team) -> bool:
        places = await self._customers(team.me.workspace, Channel.SLACK, CUSTOMERS_S)
        return any(Place.parse(place).channel == self._posts.channel for place in places)


def _fault(about: Mapping[str, Any]) -> str:
    """What keeps a channel from being the desk; empty if nothing does."""
    if not about:
        return (
            "does not exist, or is private and the bot is not in it; copy its id (C…) from the end"
            " of the channel's details, and /invite the bot there"
        )
    if about.get("is_im") or about.get("is_mpim"):
        return "is a direct message; make a channel for the agents"
    if about.get("is_archived"):
        return "is archived; bring it back, or name another"
    if about.get("is_ext_shared"):
        return "is shared with another company, who would read what customers write"
    if not about.get("is_member"):
        return "does not have the bot in it; write /invite @dragoman there"
    return ""
