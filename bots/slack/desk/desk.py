"""The desk in a Slack channel put together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

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
from bots.slack.desk.watch import EVERY_S as CHECK_S
from bots.slack.desk.watch import Customers, Watch
from bots.slack.desk.whose import Whose
from bots.slack.files import SlackFiles
from bots.slack.port import Spawn
from bots.slack.profiles import Profiles
from bots.slack.teams import Team, Teams
from core.adapters.accounts import Accounts
from core.adapters.cases import Cases
from core.adapters.cursors import Cursors
from core.adapters.deciding import Decider
from core.adapters.desk import Desk
from core.adapters.desk_places import DeskPlaces
from core.adapters.suggestions import Suggestions
from core.cases import Case
from core.mirror import Mirror
from core.ports import DeskPort, Files
from core.turn import Channel, WorkspaceId


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
    customers: Customers
    mirror: Callable[[DeskPort, Callable[[], None]], Mirror]
    files: Mapping[Channel, Files]
    takes_files: frozenset[Channel] = frozenset({Channel.SLACK, Channel.TELEGRAM})
    decider: Decider | None = None
    every_s: float = EVERY_S
    home_pause_s: float = PAUSE_S
    sure_s: float = SURE_S
    check_s: float = CHECK_S


class SlackDesk:
    """One channel of the team of the token in the settings."""

    def __init__(
        self,
        needs: DeskNeeds,
        teams: Teams,
        uploads: SlackFiles,
        profiles: Profiles,
        *,
        spawn: Spawn,
    ) -> None:
        """Open nothing yet."""
        self._needs = needs
        self._profiles = profiles
        self.channel = needs.channel
        self._posts = posts = Posts(teams, needs.channel, Pace(every_s=needs.every_s))
        self._watch = Watch(teams, posts, needs.customers, every_s=needs.check_s)
        modes = Modes(needs.cursors, needs.workspace)
        people = People(needs.accounts, needs.channel)
        reads = Reads(
            places=needs.places,
            modes=modes,
            judged=self._judged,
            language=needs.language,
            customer=self._customer,
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
        self.homes = Homes(
            posts,
            people,
            needs.cases,
            needs.places,
            customer=self._customer,
            pause_s=needs.home_pause_s,
        )

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
        """Look whether the channel can be the desk. Raises: as `Watch.check` does."""
        return await self._watch.check()

    async def run(self) -> None:
        """Follow what happens until cancelled, whenever the channel can be the desk.

        A channel that cannot be is no reason to serve no customer in Slack.
        """
        try:
            while True:
                await self._watch.opened()
                await self._follow()
        finally:
            if self._decisions is not None:
                await self._decisions.decider.close()

    async def _follow(self) -> None:
        """Show what happens until the channel cannot be the desk any more."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._needs.mirror(self.port, self.homes.changed))
            if self._decisions is not None:
                asks = self._decisions.decider.asks(self._decisions)
                await stack.enter_async_context(asks)
            async with asyncio.TaskGroup() as tasks:
                homes = tasks.create_task(self.homes.run())
                await self._watch.closed()
                homes.cancel()

    async def _customer(self, case: Case) -> str:
        """What to call a customer: of Slack's we can ask, of others' we know the id alone.

        Raises: Unavailable: there is no team of our own.
        """
        if case.channel != Channel.SLACK:
            return case.customer
        team = await self._posts.team()
        return await self._profiles.name(team, case.customer) or case.customer

    async def _judged(self, case: Case) -> bool:
        return await self._needs.suggestions.fate(case.workspace, case.id) is not None
