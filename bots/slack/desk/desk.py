"""The desk in a Slack channel put together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from bots.slack.api import asked
from bots.slack.desk.aside import Aside
from bots.slack.desk.carrying import Carrier
from bots.slack.desk.deciding import SlackDecisions
from bots.slack.desk.home import PAUSE_S, Homes
from bots.slack.desk.modes import Modes
from bots.slack.desk.pace import EVERY_S, Pace
from bots.slack.desk.people import People
from bots.slack.desk.port import SURE_S, Reads, SlackDeskPort
from bots.slack.desk.posts import Posts
from bots.slack.desk.presses import Presses
from bots.slack.desk.staff import Staff, Work
from bots.slack.desk.whose import Whose
from bots.slack.files import SlackFiles
from bots.slack.place import Place
from bots.slack.port import Spawn
from bots.slack.teams import Team, Teams
from core.adapters.accounts import Accounts
from core.adapters.cases import Cases
from core.adapters.cursors import Cursors
from core.adapters.deciding import Decider
from core.adapters.desk import Desk
from core.adapters.desk_places import DeskPlaces
from core.adapters.suggestions import Suggestions
from core.cases import Case
from core.errors import Misconfigured, Rejected, Unavailable
from core.mirror import Mirror
from core.ports import DeskPort, Files
from core.turn import Channel, WorkspaceId

SETTING = "DRAGOMAN_SLACK_DESK"
# A channel in which nobody has asked the bot for so long may become the desk.
CUSTOMERS_S = 90 * 24 * 3600.0
RETRY_S = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskNeeds:
    """What the desk asks of the rest of the program.

    `mirror` makes the desk follow what happens. `files` are the channels whose files can be
    fetched, `takes_files` those whose customers can be sent some. `customers` lists the places in
    which customers wrote lately. `decider` takes decisions about what nights made.
    """

    channel: str
    workspace: WorkspaceId
    desk: Desk
    cases: Cases
    accounts: Accounts
    suggestions: Suggestions
    places: DeskPlaces
    cursors: Cursors
    language: Callable[[], Awaitable[str]]
    customers: Callable[[WorkspaceId, Channel, float], Awaitable[tuple[str, ...]]]
    mirror: Callable[[DeskPort, Callable[[], None]], Mirror]
    files: Mapping[Channel, Files]
    takes_files: frozenset[Channel] = frozenset({Channel.SLACK, Channel.TELEGRAM})
    decider: Decider | None = None
    every_s: float = EVERY_S
    home_pause_s: float = PAUSE_S
    sure_s: float = SURE_S


class SlackDesk:
    """One channel of the team of the token in the settings."""

    def __init__(
        self, needs: DeskNeeds, teams: Teams, uploads: SlackFiles, *, spawn: Spawn
    ) -> None:
        """Open nothing yet."""
        self._needs = needs
        self._teams = teams
        self.channel = needs.channel
        posts = Posts(teams, needs.channel, Pace(every_s=needs.every_s))
        modes = Modes(needs.cursors, needs.workspace)
        people = People(needs.accounts, needs.channel)
        reads = Reads(
            places=needs.places, modes=modes, judged=self._judged, language=needs.language
        )
        self.port = SlackDeskPort(
            posts, Carrier(posts, uploads, needs.files), reads, sure_s=needs.sure_s
        )
        aside = Aside(posts, spawn=spawn, language=needs.language)
        work = Work(
            desk=needs.desk,
            cases=needs.cases,
            suggestions=needs.suggestions,
            places=needs.places,
            modes=modes,
            people=people,
            whose=Whose(posts, needs.places, needs.cases),
            takes_files=needs.takes_files,
        )
        self.staff = Staff(work, aside)
        self._decisions: SlackDecisions | None = None
        if needs.decider is not None:
            self._decisions = SlackDecisions(posts, aside, needs.decider, language=needs.language)
        self.presses = Presses(
            work, self.port, aside, self._decisions, channel=needs.channel, spawn=spawn
        )
        self.homes = Homes(posts, people, needs.cases, needs.places, pause_s=needs.home_pause_s)

    def is_at(self, team: Team, channel: object) -> bool:
        """Whether something happened on the desk; what is said there, no customer says."""
        return channel == self.channel and self.serves(team)

    def serves(self, team: Team) -> bool:
        """Whether the desk is in that team."""
        return team.me.workspace == self._needs.workspace

    async def places(self, within_s: float) -> tuple[str, ...]:
        """Threads in which an agent may have written while nobody listened."""
        return await self._needs.places.places(within_s)

    async def check(self) -> str:
        """Look whether the channel can be the desk, in a line for a person.

        Raises:
            Misconfigured: it cannot; the text says what to do.
            Unavailable, TimeoutError: Slack does not answer.
        """
        team = await self._teams.own()
        if team is None:
            raise Misconfigured(f"{SETTING} needs SLACK_BOT_TOKEN, whose team the desk is in")
        fault = _fault(await self._about(team))
        if not fault and await self._is_customers(team):
            fault = "is one where customers ask the bot; use one for agents alone"
        if fault:
            raise Misconfigured(f"{SETTING}: the channel {self.channel} {fault}")
        return f"desk in {self.channel}"

    async def run(self) -> None:
        """Follow what happens until cancelled.

        Raises: Misconfigured: the channel cannot be the desk.
        """
        await self._checked()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._needs.mirror(self.port, self.homes.changed))
            if self._decisions is not None:
                decider = self._decisions.decider
                stack.push_async_callback(decider.close)
                await stack.enter_async_context(decider.asks(self._decisions))
            await self.homes.run()

    async def _checked(self) -> None:
        """Wait until Slack has answered `check`.

        Raises: Misconfigured: the channel cannot be the desk.
        """
        while True:
            try:
                await self.check()
            except (Unavailable, TimeoutError) as error:
                log.warning("slack_desk_not_checked", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _about(self, team: Team) -> Mapping[str, Any]:
        try:
            answer = await asked(team.client.conversations_info(channel=self.channel))
        except Rejected as error:
            if not str(error).endswith("channel_not_found"):
                raise Misconfigured(f"{SETTING}: {error}") from error
            return {}
        about = answer.get("channel")
        return about if isinstance(about, dict) else {}

    async def _is_customers(self, team: Team) -> bool:
        places = await self._needs.customers(team.me.workspace, Channel.SLACK, CUSTOMERS_S)
        return any(Place.parse(place).channel == self.channel for place in places)

    async def _judged(self, case: Case) -> bool:
        return await self._needs.suggestions.fate(case.workspace, case.id) is not None


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
