"""Who works at the desk: the members of its channel."""

import time
from typing import Any

from bots.slack.api import asked
from bots.slack.profiles import name_in
from bots.slack.teams import Team
from core.adapters.accounts import Accounts, NewAccount
from core.errors import Rejected, Unavailable
from core.language import normalise_tag
from core.staff import Account, Role
from core.turn import Channel

# Who has left the channel may still press a button for so long.
FRESH_S = 60.0
PAGE = 200


class People:
    """Accounts of the channel's members, made when they are first needed."""

    def __init__(self, accounts: Accounts, channel: str) -> None:
        """Keep whom we meet in `accounts`."""
        self._accounts = accounts
        self._channel = channel
        self._members: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    async def agent(self, team: Team, user: str) -> Account | None:
        """The account of a member; None of anybody else.

        Raises: Unavailable: Slack or the database cannot be asked now.
        """
        if not await self._is_member(team, user):
            return None
        workspace = team.me.workspace
        known = await self._accounts.for_identity(workspace, Channel.SLACK, user)
        if known is not None:
            return known
        about = await self._about(team, user)
        if about is None:
            return None
        return await self._accounts.identify(workspace, Channel.SLACK, user, _new(about))

    async def _is_member(self, team: Team, user: str) -> bool:
        if user in self._members and time.monotonic() - self._read_at < FRESH_S:
            return True
        try:
            self._members = await self._read(team)
        except TimeoutError as error:
            raise Unavailable("slack", str(error)) from error
        except Rejected:
            # We are not in the channel any more: nobody is known to be.
            self._members = frozenset()
        self._read_at = time.monotonic()
        return user in self._members

    async def _read(self, team: Team) -> frozenset[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await asked(
                team.client.conversations_members(channel=self._channel, limit=PAGE, cursor=cursor)
            )
            found += page.get("members", [])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return frozenset(found) - {team.me.bot_user}

    async def _about(self, team: Team, user: str) -> dict[str, Any] | None:
        """The profile of a colleague; None of a bot, and of people of another company."""
        try:
            answer = await asked(team.client.users_info(user=user, include_locale=True))
        except TimeoutError as error:
            raise Unavailable("slack", str(error)) from error
        except Rejected:
            return None
        about = answer.get("user")
        if not isinstance(about, dict) or about.get("is_bot") or about.get("is_stranger"):
            return None
        foreign = about.get("team_id") not in (None, team.me.team)
        return None if foreign and not about.get("enterprise_user") else about


def _new(about: dict[str, Any]) -> NewAccount:
    return NewAccount(
        name=name_in(about) or "?", role=Role.AGENT, language=_language(about.get("locale"))
    )


def _language(locale: object) -> str:
    """The tag of a Slack locale, with a region only where it is written differently."""
    tag = normalise_tag(locale) if isinstance(locale, str) and locale else "en"
    return tag if tag.startswith(("zh", "pt")) else tag.partition("-")[0]
