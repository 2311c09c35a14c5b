"""What is done with each button that an agent presses on the desk."""

from collections.abc import Awaitable, Mapping
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from bots.slack.api import asked
from bots.slack.desk import heard
from bots.slack.desk.aside import Aside
from bots.slack.desk.card import Press
from bots.slack.desk.deciding import ACTS as ACTS_ON_VERSIONS
from bots.slack.desk.deciding import SlackDecisions
from bots.slack.desk.heard import OUR, Pressed
from bots.slack.desk.port import SlackDeskPort
from bots.slack.desk.staff import Work
from bots.slack.desk.texts import LABEL_CHARS, TEXT_CHARS
from bots.slack.place import Place
from bots.slack.port import Spawn
from bots.slack.press import is_number
from bots.slack.teams import Team
from core.adapters.briefings import suggested_reply
from core.cases import Act, Case, Refused, Why
from core.errors import Rejected, Unavailable
from core.handoff import explain
from core.phrases import Phrase, say
from core.staff import Account, Role
from core.suggestions import Fate, fate_of
from core.turn import ConversationId

SNOOZE_S = 3600.0
MODAL = "dragoman_desk_reply"
# The block of the modal that the text stands in.
FIELD = "reply"
TITLE_CHARS = 24

_ACTS: Mapping[str, Act] = {
    Press.CLAIM: Act.CLAIM,
    Press.RESOLVE: Act.RESOLVE,
    Press.RETURN: Act.RETURN,
    Press.SNOOZE: Act.SNOOZE,
    Press.WAKE: Act.WAKE,
}

log = structlog.get_logger()


class _About(BaseModel):
    """What a modal was opened with."""

    conversation: int
    case: int
    place: str


class Presses:
    """Buttons on cards and Home tabs; when a method returns, it is committed."""

    def __init__(
        self,
        work: Work,
        port: SlackDeskPort,
        aside: Aside,
        decisions: SlackDecisions | None,
        *,
        channel: str,
        spawn: Spawn,
    ) -> None:
        """Change cards in `channel` through `port`; `spawn` runs what nothing waits for."""
        self._decisions = decisions
        self._channel = channel
        self._work = work
        self._port = port
        self._aside = aside
        self._spawn = spawn

    async def pressed(self, team: Team, body: Mapping[str, Any]) -> None:
        """Take a button; what there is to tell of one on a Home tab is told in the channel.

        Raises: Unavailable: it could not be committed.
        """
        press = heard.pressed(body)
        if press is not None and press.action in ACTS_ON_VERSIONS:
            await self._decided(team, press)
            return
        where = None if press is None else await self._where(team, press)
        if press is None or where is None:
            log.info("slack_interaction_ignored")
            return
        place = press.place or str(Place(channel=self._channel))
        agent = await self._work.people.agent(team, press.user)
        if agent is None:
            self._aside.tell_stranger(place, press.user)
            return
        refused = await self._done(team, agent, where, press)
        if refused is not None:
            self._aside.whisper(place, press.user, explain(refused, agent.language))

    async def submitted(self, team: Team, body: Mapping[str, Any]) -> str:
        """Send what an agent made of the suggested reply; why not, if it was not sent.

        Raises: Unavailable: it could not be committed.
        """
        sent = heard.submitted(body)
        about = _about(sent.about) if sent is not None else None
        if sent is None or about is None:
            log.info("slack_interaction_ignored")
            return ""
        agent = await self._work.people.agent(team, sent.user)
        if agent is None:
            return await self._aside.to_stranger()
        where = ConversationId(about.conversation)
        case = await self._work.cases.get(agent.workspace, where)
        if case is None or case.id != about.case:
            return say(Phrase.DESK_STALE, agent.language)
        event_id = f"{OUR}view:{sent.view}"
        done = await self._work.desk.reply(agent, where, sent.text, event_id=event_id)
        if isinstance(done, Refused):
            return explain(done, agent.language)
        fate = fate_of(sent.text, suggested_reply(case.briefing), taken=True)
        if fate is not None:
            await self._work.suggestions.judge(agent.workspace, case.id, fate)
        return ""

    async def _decided(self, team: Team, press: Pressed) -> None:
        channel = str(Place(channel=self._channel))
        agent = await self._work.people.agent(team, press.user)
        if agent is None:
            self._aside.tell_stranger(channel, press.user)
        elif self._decisions is not None:
            await self._decisions.pressed(agent, press)

    async def _where(self, team: Team, press: Pressed) -> ConversationId | None:
        """A card says by where it stands what it is about; on a Home tab only the button does."""
        if press.place:
            return await self._work.whose.conversation_at(team.me.workspace, press.place)
        return ConversationId(int(press.value)) if is_number(press.value) else None

    async def _done(
        self, team: Team, agent: Account, where: ConversationId, press: Pressed
    ) -> Refused | None:
        """Do it; why not, if it was not done."""
        if press.action in _ACTS:
            done = await self._work.desk.change(
                agent, where, _ACTS[press.action], snooze_s=SNOOZE_S
            )
            return done if isinstance(done, Refused) else None
        if agent.disabled or not agent.role.covers(Role.AGENT):
            return Refused(why=Why.ONLY_READS)
        case = await self._work.cases.get(agent.workspace, where)
        if case is None:
            return Refused(why=Why.UNKNOWN)
        return await self._with_case(team, agent, case, press)

    async def _with_case(
        self, team: Team, agent: Account, case: Case, press: Pressed
    ) -> Refused | None:
        if press.action in (Press.INTERNAL, Press.OPEN_TALK):
            internal = press.action == Press.INTERNAL
            await self._work.modes.switch(case.conversation, internal=internal, at=press.pressed_at)
            self._refresh(case)
            return None
        if press.value != str(case.id):
            # The suggestion of an earlier stay.
            return Refused(why=Why.UNKNOWN)
        if press.action == Press.DISCARD:
            await self._work.suggestions.judge(agent.workspace, case.id, Fate.DISCARDED)
            self._refresh(case)
        elif press.action == Press.EDIT:
            self._spawn(_quietly(self._ask(team, agent, case, press)))
        elif press.action == Press.USE:
            return await self._use(agent, case)
        return None

    async def _use(self, agent: Account, case: Case) -> Refused | None:
        event_id = f"{OUR}suggested:{case.id}"
        reply = suggested_reply(case.briefing)
        done = await self._work.desk.reply(agent, case.conversation, reply, event_id=event_id)
        if isinstance(done, Refused):
            return done
        await self._work.suggestions.judge(agent.workspace, case.id, Fate.ACCEPTED)
        return None

    async def _ask(self, team: Team, agent: Account, case: Case, press: Pressed) -> None:
        """Open a modal with the suggestion in it; Slack allows three seconds for that."""
        title = say(Phrase.DESK_SUGGESTED, agent.language)
        about = _About(conversation=case.conversation, case=case.id, place=press.place)
        field = {
            "type": "plain_text_input",
            "action_id": "text",
            "multiline": True,
            "max_length": TEXT_CHARS,
            "initial_value": suggested_reply(case.briefing)[:TEXT_CHARS],
        }
        view = {
            "type": "modal",
            "callback_id": MODAL,
            "private_metadata": about.model_dump_json(),
            "title": {"type": "plain_text", "text": _cut(title, TITLE_CHARS)},
            "submit": {
                "type": "plain_text",
                "text": say(Phrase.SEND, agent.language)[:TITLE_CHARS],
            },
            "blocks": [
                {
                    "type": "input",
                    "block_id": FIELD,
                    "label": {"type": "plain_text", "text": title[:LABEL_CHARS]},
                    "element": field,
                }
            ],
        }
        await asked(team.client.views_open(trigger_id=press.trigger, view=view))

    def _refresh(self, case: Case) -> None:
        self._spawn(_quietly(self._port.refresh(case)))


def _about(text: str) -> _About | None:
    try:
        return _About.model_validate_json(text)
    except ValidationError:
        return None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


async def _quietly(showing: Awaitable[Any]) -> None:
    try:
        await showing
    except (Unavailable, Rejected, TimeoutError) as error:
        log.warning("desk_press_not_shown", error=str(error))
