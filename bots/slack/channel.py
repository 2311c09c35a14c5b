"""The Slack channel put together: what the rest of the program sees of it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from starlette.routing import BaseRoute, Route

from bots.slack.api import API_URL, asked, open_session
from bots.slack.backfill import EVERY_S, Backfill, Recent
from bots.slack.desk.desk import DeskNeeds, SlackDesk
from bots.slack.desk.watch import SETTING
from bots.slack.dispatch import Dispatch
from bots.slack.files import SlackFiles
from bots.slack.ingress import Accept, AnswersAgent, Ingress, Known, Rate
from bots.slack.ingress_http import HttpIngress
from bots.slack.oauth import SCOPES, OAuth
from bots.slack.port import SlackPort
from bots.slack.profiles import Profiles
from bots.slack.socket_mode import SILENT_S, SocketMode
from bots.slack.teams import Teams
from core.adapters.cursors import Cursors
from core.adapters.holds import Holds
from core.adapters.vault import Vault
from core.errors import Misconfigured
from core.ports import Files
from core.turn import Channel, WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackOptions:
    """Values of the settings; an empty one switches its part off.

    The team of `bot_token` is served as `workspace`; teams that install the app from
    `public_url`/slack/install are each a workspace of their own, named by the team's id.
    """

    workspace: WorkspaceId
    bot_token: str = ""
    app_token: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    public_url: str = ""
    api_url: str = API_URL
    default_language: str = "en"
    backfill_every_s: float = EVERY_S
    silent_s: float = SILENT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackNeeds:
    """What the channel asks of the rest of the program."""

    accept: Accept
    rate: Rate
    known: Known
    answers_agent: AnswersAgent
    recent: Recent
    cursors: Cursors
    holds: Holds
    vault: Vault | None = None
    # The desk in a channel of the team of `bot_token`, if there is one.
    desk: DeskNeeds | None = None
    # The other channels' files, for customers in Slack whom agents elsewhere send some.
    files: Mapping[Channel, Files] = field(default_factory=dict)


class SlackChannel:
    """Slack by one token, by OAuth, or both; over HTTP, Socket Mode, or both."""

    def __init__(
        self,
        options: SlackOptions,
        needs: SlackNeeds,
        session: aiohttp.ClientSession,
        background: "Background",
    ) -> None:
        """Made by `open_slack`, which closes what it needs."""
        self._options = options
        self.teams = Teams(
            session=session,
            api_url=options.api_url,
            workspace=options.workspace,
            bot_token=options.bot_token,
            vault=needs.vault,
        )
        self.files = SlackFiles(self.teams, session, api_url=options.api_url)
        self.port = SlackPort(
            self.teams,
            default_language=options.default_language,
            spawn=background.spawn,
            uploads=self.files,
            files=needs.files,
        )
        profiles = Profiles()
        self.desk: SlackDesk | None = None
        if needs.desk is not None:
            self.desk = SlackDesk(
                needs.desk, self.teams, self.files, profiles, spawn=background.spawn
            )
        ingress = Ingress(
            port=self.port,
            accept=needs.accept,
            rate=needs.rate,
            known=needs.known,
            answers_agent=needs.answers_agent,
            default_language=options.default_language,
            spawn=background.spawn,
            profiles=profiles,
            desk=self.desk,
        )
        self.dispatch = Dispatch(ingress, self.teams)
        self.backfill = Backfill(
            teams=self.teams,
            cursors=needs.cursors,
            holds=needs.holds,
            recent=needs.recent,
            also=self.desk.places if self.desk is not None else None,
            take=ingress.message,
            holder=secrets.token_hex(8),
            every_s=options.backfill_every_s,
        )
        self.socket = SocketMode(
            session=session,
            open_url=self._socket_url,
            take=self.dispatch.take,
            connected=self.backfill.gap,
            silent_s=options.silent_s,
        )
        self.backfill.on_missed = self.socket.reconnect
        self.routes = self._routes(needs.holds)

    async def run(self) -> None:
        """Take in what customers do until cancelled.

        Raises: Misconfigured: Slack refuses a token.
        """
        await self.teams.own()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.backfill.run())
                if self.desk is not None:
                    tasks.create_task(self.desk.run())
                if self._options.app_token:
                    tasks.create_task(self.socket.run())
        except* Misconfigured as group:
            raise group.exceptions[0] from None

    async def check(self) -> str:
        """Ask Slack whether our tokens do, in a line for a person.

        Raises:
            Misconfigured: one does not; the text says what to do.
            Unavailable, TimeoutError: Slack does not answer.
        """
        found = ["OAuth" if self._options.client_id else ""]
        if self._options.bot_token:
            found.insert(0, await self._check_bot())
        if self._options.app_token:
            await self.socket.check()
            found.append("Socket Mode")
        if self._options.signing_secret:
            found.append("HTTP")
        if self.desk is not None:
            found.append(await self.desk.check())
        return ", ".join(part for part in found if part)

    async def _check_bot(self) -> str:
        team = await self.teams.own()
        if team is None:
            return ""
        answer = await asked(team.client.auth_test())
        granted = str(answer.headers.get("x-oauth-scopes", ""))
        missing = sorted(set(SCOPES) - {scope.strip() for scope in granted.split(",")})
        if granted and missing:
            raise Misconfigured(
                f"the Slack app lacks the scopes {', '.join(missing)}; add them on its page OAuth &"
                " Permissions and install it again"
            )
        return f"@{answer.get('user')} in {answer.get('team')}"

    async def _socket_url(self) -> str:
        client = self.teams.client()
        answer = await asked(client.apps_connections_open(app_token=self._options.app_token))
        return str(answer["url"])

    def _routes(self, holds: Holds) -> Sequence[BaseRoute]:
        options = self._options
        routes = []
        if options.signing_secret:
            http = HttpIngress(self.dispatch.take, signing_secret=options.signing_secret)
            routes += [
                Route(path, http.serve, methods=["POST"])
                for path in ("/slack/events", "/slack/interactions")
            ]
        if options.client_id:
            oauth = OAuth(
                teams=self.teams,
                holds=holds,
                client_id=options.client_id,
                client_secret=options.client_secret,
                api_url=options.api_url,
                public_url=options.public_url,
            )
            routes += [
                Route("/slack/install", oauth.install, methods=["GET"]),
                Route("/slack/oauth", oauth.callback, methods=["GET"]),
            ]
        return tuple(routes)


class Background:
    """Small things that nobody waits for, kept until they are done."""

    def __init__(self) -> None:
        """Start with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start one."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is left: it was for show."""
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def open_slack(options: SlackOptions, needs: SlackNeeds) -> AsyncIterator[SlackChannel]:
    """A channel that can send until the end of the block, and takes in while it `run`s.

    Raises: Misconfigured: the values given do not make a working channel.
    """
    _check_given(options, needs)
    background = Background()
    async with open_session() as session:
        try:
            yield SlackChannel(options, needs, session, background)
        finally:
            await background.stop()


def _check_given(given: SlackOptions, needs: SlackNeeds) -> None:
    """Say at the start what would otherwise fail later, or never be noticed.

    Raises: Misconfigured: with what to do.
    """
    if not given.bot_token and not given.client_id:
        raise Misconfigured("Slack needs SLACK_BOT_TOKEN, or SLACK_CLIENT_ID to install it from")
    if given.bot_token and not given.bot_token.startswith("xoxb-"):
        raise Misconfigured(
            "SLACK_BOT_TOKEN must begin with xoxb-; it is on the app's page OAuth & Permissions"
        )
    if given.app_token and not given.app_token.startswith("xapp-"):
        raise Misconfigured(
            "SLACK_APP_TOKEN must begin with xapp-; it is on the app's page Basic Information"
        )
    if not given.app_token and not given.signing_secret:
        raise Misconfigured(
            "Slack cannot reach us: set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET"
            " for HTTP"
        )
    if needs.desk is not None and not given.bot_token:
        raise Misconfigured(
            f"{SETTING} needs SLACK_BOT_TOKEN: the desk is in the team of that token, while each"
            " team that installs the app is a workspace of its own, without a desk in Slack"
        )
    if bool(given.client_id) != bool(given.client_secret):
        raise Misconfigured("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET belong together")
    if given.client_id and (needs.vault is None or not given.public_url):
        raise Misconfigured(
            "installing from Slack needs a public URL, and a secret key to keep tokens with"
        )
