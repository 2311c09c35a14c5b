"""Which language a Slack user has set for Slack itself: a weak hint."""

import time
from collections import OrderedDict

from bots.slack.api import asked
from bots.slack.teams import Team
from core.errors import Rejected, Unavailable

REMEMBERED = 10_000
KNOWN_S = 24 * 3600.0
# Asking again at once would slow every message down while Slack refuses to tell.
UNKNOWN_S = 600.0


class Locales:
    """Locales of users, asked once a day."""

    def __init__(self) -> None:
        """Start knowing nobody."""
        self._known: OrderedDict[tuple[str, str], tuple[float, str | None]] = OrderedDict()

    async def of(self, team: Team, user: str) -> str | None:
        """A BCP 47 tag; None if Slack does not tell within the SDK's time."""
        key = (team.me.team, user)
        until_s, locale = self._known.get(key, (0.0, None))
        if time.monotonic() < until_s:
            return locale
        locale = await _ask(team, user)
        kept_s = KNOWN_S if locale else UNKNOWN_S
        self._known[key] = (time.monotonic() + kept_s, locale)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return locale


async def _ask(team: Team, user: str) -> str | None:
    try:
        answer = await asked(team.client.users_info(user=user, include_locale=True))
    except (Unavailable, Rejected, TimeoutError):
        return None
    about = answer.get("user")
    locale = about.get("locale") if isinstance(about, dict) else None
    return locale if isinstance(locale, str) and locale else None
