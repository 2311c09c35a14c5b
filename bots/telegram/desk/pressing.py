"""What agents press in the group, done to their customers' conversations."""

from bots.telegram.desk.agents import Agents
from bots.telegram.desk.deciding import TelegramDecisions
from bots.telegram.desk.hands import Does
from bots.telegram.desk.keys import ACTS, DecisionPress, Key, KeyPress
from bots.telegram.desk.reading import Pressed
from bots.telegram.desk.telling import Telling
from bots.telegram.texts import readable
from core.adapters.briefings import suggested_reply
from core.cases import Case, Refused
from core.errors import Rejected
from core.handoff import explain
from core.phrases import Phrase, say
from core.staff import Account
from core.suggestions import Fate

# So much of a text tells it from another.
_TELLING_CHARS = 100


class Pressing:
    """Carries out what buttons say; a redelivery changes nothing."""

    def __init__(
        self,
        agents: Agents,
        telling: Telling,
        does: Does,
        decisions: TelegramDecisions | None,
    ) -> None:
        """Work for `agents`; without `decisions` there is nothing to decide."""
        self._agents = agents
        self._telling = telling
        self._does = does
        self._decisions = decisions

    async def take(self, pressed: Pressed) -> None:
        """Do what a button says, and tell whoever pressed it.

        Raises: Unavailable, TimeoutError: it must come again.
        """
        does, press = self._does, pressed.press
        language = await does.language(does.workspace)
        try:
            agent = await self._agents.account(pressed.person, language)
        except Rejected:
            # Nobody can tell whether they are one.
            agent = None
        if agent is None:
            told = say(Phrase.DESK_MEMBERS_ONLY, pressed.person.language or language)
            self._telling.toast(pressed.query_id, told, alert=True)
            return
        if isinstance(press, DecisionPress):
            await self._decide(agent, press, pressed)
            return
        case = await does.cases.get(does.workspace, press.conversation) if press else None
        if press is None or case is None:
            self._telling.toast(pressed.query_id, say(Phrase.DESK_UNKNOWN, agent.language))
        elif case.id != press.case:
            stale = say(Phrase.DESK_STALE, agent.language)
            self._telling.toast(pressed.query_id, stale, alert=True)
        else:
            told = await self._do(agent, case, press, pressed)
            self._telling.toast(pressed.query_id, told, alert=bool(told))

    async def _decide(self, agent: Account, press: DecisionPress, pressed: Pressed) -> None:
        told = say(Phrase.NIGHT_WITHDRAWN, agent.language)
        if self._decisions is not None:
            told = await self._decisions.pressed(agent, press, pressed.message)
        self._telling.toast(pressed.query_id, told, alert=bool(told))

    async def _do(self, agent: Account, case: Case, press: KeyPress, pressed: Pressed) -> str:
        """Do what a button says; what to tell whoever pressed it."""
        if press.key in ACTS:
            done = await self._does.desk.change(
                agent, case.conversation, ACTS[press.key], snooze_s=press.seconds
            )
            return explain(done, agent.language) if isinstance(done, Refused) else ""
        if press.key is Key.EDIT:
            return say(Phrase.DESK_HOW_TO_EDIT, agent.language)
        if not _is_suggested(case, pressed.said):
            # The customer has written on since, and another reply is suggested below.
            return say(Phrase.DESK_STALE, agent.language)
        if press.key is Key.DISCARD:
            await self._does.suggestions.judge(case.workspace, case.id, Fate.DISCARDED)
            self._telling.strip(pressed.message)
            return ""
        return await self._use(agent, case, pressed)

    async def _use(self, agent: Account, case: Case, pressed: Pressed) -> str:
        text = suggested_reply(case.briefing)
        # Pressed twice, it is sent once.
        event_id = f"suggested:{case.id}"
        done = await self._does.desk.reply(agent, case.conversation, text, event_id=event_id)
        if isinstance(done, Refused):
            return explain(done, agent.language)
        await self._does.suggestions.judge(case.workspace, case.id, Fate.ACCEPTED)
        self._telling.strip(pressed.message)
        return ""


def _is_suggested(case: Case, said: str) -> bool:
    """Whether what stands above a button begins like what is suggested now."""
    lines = readable(suggested_reply(case.briefing)).split("\n")
    begins = next((line.strip() for line in lines if line.strip()), "")
    return not said or begins[:_TELLING_CHARS] in said
