"""The Home tab: what waits and what is mine, in each reader's own language."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from bots.slack.api import asked
from bots.slack.desk.card import Press
from bots.slack.desk.people import People
from bots.slack.desk.posts import Posts
from bots.slack.desk.texts import Block, ago, button, literal, mrkdwn, named
from bots.slack.place import Place
from bots.slack.teams import Team
from core.adapters.cases import Cases
from core.adapters.desk_places import DeskPlaces
from core.cases import Case, Filter, Waiting
from core.errors import Rejected, Unavailable
from core.language import language_name
from core.phrases import Phrase, say
from core.staff import Account
from core.turn import Owner

# Of each list; a view takes 100 blocks.
SHOWN = 15
LAST_CHARS = 200
# Who has not opened it for so long does not look at it.
WATCHED_S = 8 * 3600.0
WATCHED = 50
LINKS = 1_000
# Between two looks at what has changed; Slack takes a hundred views a minute.
PAUSE_S = 3.0

log = structlog.get_logger()


class Homes:
    """Home tabs of those who have opened theirs lately, kept up to date."""

    def __init__(
        self,
        posts: Posts,
        people: People,
        cases: Cases,
        places: DeskPlaces,
        *,
        customer: Callable[[Case], Awaitable[str]],
        pause_s: float,
    ) -> None:
        """Look for news at most every `pause_s`; `customer` is what to call who asks."""
        self._posts = posts
        self._people = people
        self._cases = cases
        self._places = places
        self._customer = customer
        self._pause_s = pause_s
        # When it was opened, and the language it was in.
        self._watched: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._links: OrderedDict[str, str] = OrderedDict()
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Tell that something happened on the desk."""
        self._news.set()

    async def opened(self, team: Team, user: str) -> bool:
        """Show an agent their tab; False of somebody who does not work here."""
        agent = await self._reader(team, user)
        if agent is None:
            return False
        self._watched[user] = (time.monotonic(), agent.language)
        self._watched.move_to_end(user)
        if len(self._watched) > WATCHED:
            self._watched.popitem(last=False)
        await self._show(team, user, agent)
        return True

    async def run(self) -> None:
        """Show again what has changed, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            for user, (opened_at, language) in tuple(self._watched.items()):
                if time.monotonic() - opened_at > WATCHED_S:
                    self._watched.pop(user, None)
                    continue
                await self._update(user, language)
            await asyncio.sleep(self._pause_s)

    async def _update(self, user: str, language: str) -> None:
        try:
            team = await self._posts.team()
            agent = await self._reader(team, user)
            if agent is not None:
                await self._show(team, user, agent)
                return
            # What they read last is no longer for them.
            await asked(team.client.views_publish(user_id=user, view=welcome(language)))
            self._watched.pop(user, None)
        except (Unavailable, Rejected, TimeoutError) as error:
            log.info("slack_home_not_shown", error=str(error))

    async def _reader(self, team: Team, user: str) -> Account | None:
        """Who may see what customers write; None also of a colleague who was shut out."""
        agent = await self._people.agent(team, user)
        return None if agent is None or agent.disabled else agent

    async def _show(self, team: Team, user: str, agent: Account) -> None:
        waiting = await self._cases.list(agent.workspace, Filter.WAITING, limit=SHOWN)
        mine = await self._cases.list(agent.workspace, Filter.MINE, agent=agent.id, limit=SHOWN)
        links, names = {}, {}
        for item in (*waiting, *mine):
            links[item.case.conversation] = await self._link(team, item)
            names[item.case.conversation] = await self._customer(item.case)
        language = agent.language
        blocks = [
            mrkdwn(f"*{say(Phrase.DESK_MINE, language)}*"),
            *_items(mine, names, links, language),
            {"type": "divider"},
            mrkdwn(f"*{say(Phrase.DESK_WAITING, language)}*"),
            *_items(waiting, names, links, language),
        ]
        if not waiting:
            blocks.append(mrkdwn(say(Phrase.DESK_NOBODY_WAITS, language)))
        await self._publish(team, user, blocks)

    async def _link(self, team: Team, item: Waiting) -> str:
        """Where a conversation's thread is; empty while it has none."""
        place = await self._places.place_of(item.case.conversation)
        at = Place.parse(place or "")
        if place is None or at.thread is None:
            return ""
        if place not in self._links:
            try:
                answer = await asked(
                    team.client.chat_getPermalink(channel=at.channel, message_ts=at.thread)
                )
            except Rejected:
                return ""
            self._links[place] = str(answer["permalink"])
            if len(self._links) > LINKS:
                self._links.popitem(last=False)
        return self._links[place]

    async def _publish(self, team: Team, user: str, blocks: Sequence[Block]) -> None:
        view: dict[str, Any] = {"type": "home", "blocks": list(blocks)}
        await asked(team.client.views_publish(user_id=user, view=view))


def welcome(language: str) -> dict[str, Any]:
    """The tab of who does not work here."""
    return {"type": "home", "blocks": [mrkdwn(say(Phrase.WELCOME, language))]}


def _items(
    found: Sequence[Waiting], names: Mapping[Any, str], links: Mapping[Any, str], language: str
) -> list[Block]:
    blocks: list[Block] = []
    for item in found:
        case = item.case
        urgent = "❗ " if case.priority else ""
        since = ago(case.waiting_since, language) if case.waiting_since is not None else ""
        facts = (
            f"{urgent}{case.channel.capitalize()}",
            named(names[case.conversation]),
            language_name(case.language, language),
            since,
        )
        line = mrkdwn(" · ".join(fact for fact in facts if fact))
        if case.owner is Owner.WAITING:
            # Each button of a view has a name of its own.
            line["accessory"] = button(
                f"{Press.CLAIM}:{case.conversation}",
                say(Phrase.DO_CLAIM, language),
                str(case.conversation),
            )
        blocks.append(line)
        if item.last_message:
            blocks += literal(item.last_message[:LAST_CHARS], quoted=True)
        if links.get(case.conversation):
            label = say(Phrase.DO_OPEN, language)
            blocks.append(mrkdwn(f"<{links[case.conversation]}|{label}>"))
    return blocks
