"""A night's report in the desk's channel, and the two buttons under it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from bots.slack.desk.aside import Aside
from bots.slack.desk.card import Press
from bots.slack.desk.heard import Pressed
from bots.slack.desk.posts import Mark, Posts
from bots.slack.desk.texts import Block, body, button, mrkdwn, named
from bots.slack.markup import escape
from bots.slack.place import Place
from core.adapters.deciding import Decider
from core.decisions import findings, outcome, title
from core.nights import Decision
from core.phrases import Phrase, say
from core.staff import Account

ACTS = (Press.PROMOTE, Press.REFUSE)


class SlackDecisions:
    """Implements `DecisionPort`, and takes what is pressed there."""

    def __init__(
        self,
        posts: Posts,
        aside: Aside,
        decider: Decider,
        *,
        language: Callable[[], Awaitable[str]],
    ) -> None:
        """Post into the channel of `posts`, in the desk's `language`."""
        self._posts = posts
        self._aside = aside
        self.decider = decider
        self._language = language

    async def post(self, decision: Decision) -> str:
        """Post the report, or find it where it was posted before."""
        mark = Mark(about=f"decision:{decision.version}")
        ts = await self._posts.find_root(mark, decision.created_at)
        if ts is None:
            ts = await self._posts.post(_report(decision, await self._language()), mark)
        return str(Place(channel=self._posts.channel, thread=ts))

    async def show(self, place: str, decision: Decision) -> None:
        """Put buttons under the report, or what was decided."""
        at = Place.parse(place)
        if at.channel != self._posts.channel or at.thread is None:
            # Of a channel that was the desk before.
            raise LookupError(place)
        language = await self._language()
        below = _buttons(decision, language) if decision.waits else _outcome(decision, language)
        await self._posts.update(at.thread, _report(decision, language, below))

    async def pressed(self, agent: Account, press: Pressed) -> None:
        """Take a decision. Raises: Unavailable: the database does not answer."""

        def tell(text: str) -> None:
            # In a thread that is empty, nobody would be shown what only they may read.
            self._aside.whisper(str(Place(channel=self._posts.channel)), press.user, text)

        if press.action == Press.PROMOTE:
            told = await self.decider.promote(agent, press.value, press.place, tell)
        else:
            told = await self.decider.refuse(agent, press.value, press.place)
        if told:
            tell(told)


def _report(decision: Decision, language: str, *below: Block) -> dict[str, Any]:
    asks = title(decision, language)
    found = "\n".join(escape(line) for line in findings(decision, language))
    return body(asks, [mrkdwn(f"🌙 *{escape(asks)}*"), mrkdwn(found), *below])


def _buttons(decision: Decision, language: str) -> Block:
    value = decision.version
    promote = button(Press.PROMOTE, say(Phrase.DO_PROMOTE, language), value, style="primary")
    refuse = button(Press.REFUSE, say(Phrase.DO_REFUSE, language), value)
    return {"type": "actions", "elements": [promote, refuse]}


def _outcome(decision: Decision, language: str) -> Block:
    by = named(decision.by) if decision.by else ""
    shown = replace(decision, by=by, reason=escape(decision.reason))
    return mrkdwn(f"*{outcome(shown, language)}*")
