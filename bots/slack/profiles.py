"""What Slack tells of its users: their name, and their language for Slack, a weak hint."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bots.slack.api import asked
from bots.slack.teams import Team
from core.errors import Rejected, Unavailable
from core.staff import tidy_name

REMEMBERED = 10_000
KNOWN_S = 24 * 3600.0
# Asking again at once would slow every message down while Slack refuses to tell.
UNKNOWN_S = 600.0
ASK_S = 1.0
# Of one message; each may cost a call.
MAX_MENTIONS = 5

# As `markup.plain` leaves the mention of somebody.
_MENTION = re.compile(r"(?<![\w@])@([UW](?=[A-Z]*\d)[A-Z0-9]{4,})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    language: str | None = None
    name: str = ""


_UNKNOWN = _Profile()


class Profiles:
    """Names and languages of users, asked once a day."""

    def __init__(self) -> None:
        """Start knowing nobody."""
        self._known: OrderedDict[tuple[str, str], tuple[float, _Profile]] = OrderedDict()

    async def language(self, team: Team, user: str) -> str | None:
        """A BCP 47 tag; None if Slack does not tell in time."""
        return (await self._of(team, user)).language

    async def name(self, team: Team, user: str) -> str:
        """What they call themselves; empty if Slack does not tell in time."""
        return (await self._of(team, user)).name

    async def legible(self, team: Team, text: str) -> str:
        """A text in which who is mentioned has a name instead of an id."""
        users = list(dict.fromkeys(_MENTION.findall(text)))[:MAX_MENTIONS]
        told = await asyncio.gather(*(self.name(team, user) for user in users))
        names = dict(zip(users, told, strict=True))
        return _MENTION.sub(lambda found: f"@{names.get(found[1]) or found[1]}", text)

    async def _of(self, team: Team, user: str) -> _Profile:
        key = (team.me.team, user)
        until_s, profile = self._known.get(key, (0.0, _UNKNOWN))
        if time.monotonic() < until_s:
            return profile
        profile = await _ask(team, user)
        kept_s = UNKNOWN_S if profile == _UNKNOWN else KNOWN_S
        self._known[key] = (time.monotonic() + kept_s, profile)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return profile


def name_in(about: Mapping[str, Any]) -> str:
    """What a user of Slack calls themselves; empty if that is nothing."""
    profile = about.get("profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), about.get("real_name"))
    return next((tidy for tidy in (tidy_name(str(name or "")) for name in names) if tidy), "")


async def _ask(team: Team, user: str) -> _Profile:
    try:
        async with asyncio.timeout(ASK_S):
            answer = await asked(team.client.users_info(user=user, include_locale=True))
    except (Unavailable, Rejected, TimeoutError):
        return _UNKNOWN
    about = answer.get("user")
    if not isinstance(about, dict):
        return _UNKNOWN
    locale = about.get("locale")
    return _Profile(
        language=locale if isinstance(locale, str) and locale else None, name=name_in(about)
    )
