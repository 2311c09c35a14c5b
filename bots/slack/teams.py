"""The Slack teams that we serve, with a client for each."""

import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bots.slack.api import asked, web_client
from bots.slack.inbound import Identity
from core.adapters.vault import Vault
from core.errors import Misconfigured, Rejected
from core.turn import Channel, WorkspaceId

# How long another replica may still use a token after the app was removed.
REMEMBERED_S = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team with the client that acts in its name."""

    me: Identity
    client: AsyncWebClient


class Teams:
    """One team by a token from the settings, and any number by OAuth."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        api_url: str,
        workspace: WorkspaceId,
        bot_token: str,
        vault: Vault | None,
    ) -> None:
        """The team of `bot_token` is `workspace`; an installed one is named by its team id."""
        self._session = session
        self._api_url = api_url
        self._workspace = workspace
        self._bot_token = bot_token
        self._vault = vault
        self._own: Team | None = None
        self._installed: dict[str, tuple[float, Team | None]] = {}

    def client(self, token: str | None = None) -> AsyncWebClient:
        """A client that acts with `token`, or with none."""
        return web_client(token, api_url=self._api_url, session=self._session)

    async def own(self) -> Team | None:
        """The team of the token in the settings, if there is one.

        Raises:
            Misconfigured: Slack refuses the token.
            Unavailable, TimeoutError: Slack cannot be asked now.
        """
        if self._own is None and self._bot_token:
            client = self.client(self._bot_token)
            try:
                answer = await asked(client.auth_test())
            except Rejected as error:
                raise Misconfigured(
                    f"SLACK_BOT_TOKEN is refused ({error}); copy the Bot User OAuth Token (xoxb-…)"
                    " from the app's page OAuth & Permissions"
                ) from error
            self._own = Team(me=identity(answer, self._workspace), client=client)
        return self._own

    async def of(self, team_id: str) -> Team | None:
        """The team of that id; None if it has not installed us, or not any more."""
        own = await self.own()
        if own is not None and own.me.team == team_id:
            return own
        seen_s, team = self._installed.get(team_id, (-REMEMBERED_S, None))
        if time.monotonic() - seen_s < REMEMBERED_S:
            return team
        team = await self._read(team_id)
        self._installed[team_id] = (time.monotonic(), team)
        return team

    async def serving(self, workspace: WorkspaceId) -> Team:
        """The team of a workspace.

        Raises: Rejected: it has removed the app.
        """
        own = await self.own()
        if own is not None and own.me.workspace == workspace:
            return own
        team = await self.of(workspace)
        if team is None:
            raise Rejected("this Slack team has not installed the app, or has removed it")
        return team

    async def all(self) -> tuple[Team, ...]:
        """Every team that we serve."""
        ids = () if self._vault is None else await self._vault.accounts(Channel.SLACK)
        found = [await self.own(), *[await self.of(team_id) for team_id in ids]]
        return tuple({team.me.team: team for team in found if team is not None}.values())

    async def add(self, token: str) -> Team:
        """Keep the token of a team that has just installed us.

        Raises: Rejected: Slack refuses the token, or it is one for a whole organisation.
        """
        client = self.client(token)
        answer = await asked(client.auth_test())
        try:
            me = identity(answer, WorkspaceId(str(answer["team_id"])))
        except Misconfigured as error:
            raise Rejected(str(error)) from error
        secret = {"token": token, "bot_user": me.bot_user, "bot_id": me.bot_id}
        if self._vault is None:
            raise Misconfigured("installing from Slack needs a secret key to keep tokens with")
        await self._vault.put(Channel.SLACK, me.team, json.dumps(secret), me.workspace)
        self._installed.pop(me.team, None)
        log.info("slack_installed", team=me.team)
        return Team(me=me, client=client)

    async def removed(self, team_id: str) -> None:
        """Forget a team once Slack confirms that its token is dead.

        An old notice that is sent again must not throw out a team that came back.
        """
        team = await self.of(team_id)
        if team is None or self._vault is None:
            return
        try:
            await asked(team.client.auth_test())
        except Rejected:
            await self._vault.remove(Channel.SLACK, team_id)
            self._installed.pop(team_id, None)
            log.info("slack_uninstalled", team=team_id)

    async def _read(self, team_id: str) -> Team | None:
        kept = None if self._vault is None else await self._vault.get(Channel.SLACK, team_id)
        if kept is None:
            return None
        workspace, secret = kept
        values: dict[str, Any] = json.loads(secret)
        me = Identity(
            team=team_id,
            workspace=workspace,
            bot_user=values["bot_user"],
            bot_id=values["bot_id"],
        )
        return Team(me=me, client=self.client(values["token"]))


def identity(answer: AsyncSlackResponse, workspace: WorkspaceId) -> Identity:
    """Who `auth.test` says that we are.

    Raises: Misconfigured: the token is a person's, or one for a whole organisation.
    """
    if answer.get("is_enterprise_install"):
        raise Misconfigured(
            "this is an organisation-wide installation of the Slack app; install it in one"
            " workspace instead"
        )
    if not answer.get("bot_id"):
        raise Misconfigured(
            "SLACK_BOT_TOKEN is a person's token; copy the Bot User OAuth Token (xoxb-…)"
        )
    return Identity(
        team=str(answer["team_id"]),
        workspace=workspace,
        bot_user=str(answer["user_id"]),
        bot_id=str(answer["bot_id"]),
    )
