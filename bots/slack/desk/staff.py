"""What is done with each thing that an agent writes on the desk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bots.slack.desk import heard
from bots.slack.desk.aside import Aside
from bots.slack.desk.heard import OUR, Said
from bots.slack.desk.modes import Modes
from bots.slack.desk.people import People
from bots.slack.desk.port import DESK
from bots.slack.desk.whose import Whose
from bots.slack.files import MAX_BYTES, name_of
from bots.slack.teams import Team
from core.adapters.briefings import suggested_reply
from core.adapters.cases import Cases
from core.adapters.desk import Desk
from core.adapters.desk_places import DeskPlaces
from core.adapters.suggestions import Suggestions
from core.cases import Case, Refused, Why
from core.handoff import explain
from core.phrases import Phrase, say
from core.staff import Account
from core.suggestions import fate_of
from core.turn import Channel, ConversationId

INTERNAL = "lock"
# The others' reasons are no reason to keep what was written.
_KEPT = (Why.TAKEN, Why.NOT_CLAIMED, Why.WITH_BOT, Why.CLOSED)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What agents work with; `takes_files` are the channels whose customers can be sent files."""

    desk: Desk
    cases: Cases
    suggestions: Suggestions
    places: DeskPlaces
    modes: Modes
    people: People
    whose: Whose
    takes_files: frozenset[Channel]


class Staff:
    """Leads an agent's words to the customer, or keeps them among colleagues.

    What is not certainly meant for the customer is a note: what was written before the claim,
    with the prefix, with a mention of somebody, in internal talk, or by who does not have the
    conversation. When a method returns, it is committed.
    """

    def __init__(self, work: Work, aside: Aside) -> None:
        """Answer in `aside` what only one agent is to read."""
        self._work = work
        self._aside = aside

    async def message(self, team: Team, event: Mapping[str, Any]) -> bool:
        """Take a message, an edit or a withdrawal in the desk's channel.

        Raises: Unavailable: it could not be committed.
        """
        if (lost := heard.gone(event)) is not None:
            # A card, or nothing of ours.
            await self._work.places.lost(lost)
        said = heard.said(event, team.me)
        if said is None or not said.is_reply:
            return False
        where = await self._work.whose.conversation_at(team.me.workspace, said.place)
        if where is None:
            return False
        agent = await self._work.people.agent(team, said.user)
        if agent is None:
            self._aside.tell_stranger(said.place, said.user)
            return False
        if said.is_edit:
            return await self._changed(agent, where, said)
        return await self._said(agent, where, said)

    async def _said(self, agent: Account, where: ConversationId, said: Said) -> bool:
        # A redelivery is none the worse for what has changed since.
        known = await self._work.places.is_reply(where, OUR + said.ref)
        inside = not known and await self._work.modes.internal(where, said.written_at)
        if said.internal or inside:
            return await self._note(agent, where, said)
        if not known and said.written_at < await self._work.places.claimed_at(where):
            # However late it comes to us, it was written for colleagues.
            return await self._refused(agent, where, said, Refused(why=Why.NOT_CLAIMED))
        case = await self._work.cases.get(agent.workspace, where)
        refused = self._unfit(agent, case, said)
        if refused:
            self._aside.tell(said, refused)
            return False
        done = await self._work.desk.reply(
            agent,
            where,
            said.text,
            event_id=OUR + said.ref,
            attachments=said.files,
            version=said.version,
            note=(DESK, said.ref),
        )
        if isinstance(done, Refused):
            return await self._refused(agent, where, said, done)
        await self._judge(agent, case, said.text)
        return not known

    async def _refused(
        self, agent: Account, where: ConversationId, said: Said, refused: Refused
    ) -> bool:
        """Say why the customer does not read it, and keep it among colleagues."""
        why = explain(refused, agent.language)
        if refused.why not in _KEPT:
            self._aside.tell(said, why)
            return False
        kept = await self._note(agent, where, said)
        if kept:
            self._aside.tell(said, f"{why} {say(Phrase.DESK_KEPT_AS_NOTE, agent.language)}")
        return kept

    async def _note(self, agent: Account, where: ConversationId, said: Said) -> bool:
        files = "\n".join(f"📎 {name_of(file)}" for file in said.files)
        text = "\n".join(part for part in (said.text, files) if part)
        ref = f"{said.ref}:{said.version:f}" if said.is_edit else said.ref
        # What an edit says may be a note beside the reply.
        reply = "" if said.is_edit else OUR + said.ref
        done = await self._work.desk.note(agent, where, text, desk=DESK, event_id=ref, reply=reply)
        if done is None:
            return False
        if isinstance(done, Refused):
            self._aside.tell(said, explain(done, agent.language))
            return False
        self._aside.mark(said, INTERNAL)
        return True

    async def _changed(self, agent: Account, where: ConversationId, said: Said) -> bool:
        if await self._work.places.is_note(said.ref):
            self._aside.tell(said, say(Phrase.DESK_NOTE_STAYS, agent.language))
            return False
        if said.fewer_files:
            # A part of a reply cannot be taken back.
            if await self._work.places.is_reply(where, OUR + said.ref):
                self._aside.tell(said, say(Phrase.DESK_FILE_STAYS, agent.language))
            return False
        if not said.is_gone and await self._work.modes.internal(where, said.version):
            # What the customer has read stays as it is, until internal talk is over.
            self._aside.tell(said, say(Phrase.DESK_KEPT_AS_NOTE, agent.language))
            return await self._note(agent, where, said)
        # Made internal afterwards, it is taken back.
        text = "" if said.internal else said.text
        done = await self._work.desk.edit(
            agent,
            where,
            text,
            reply=OUR + said.ref,
            event_id=f"{OUR}{said.ref}:{said.version:f}",
            version=said.version,
            files_stay=bool(said.files) and not said.internal,
        )
        if isinstance(done, Refused) and done.why is Why.UNKNOWN:
            # We have not heard of what it said before.
            return False if said.is_gone else await self._said(agent, where, said)
        if isinstance(done, Refused):
            self._aside.tell(said, explain(done, agent.language))
            return False
        return await self._note(agent, where, said) if said.internal else True

    def _unfit(self, agent: Account, case: Case | None, said: Said) -> str:
        """Why the files of a message cannot be sent; empty if they can."""
        if not said.files or case is None:
            return ""
        if case.channel not in self._work.takes_files:
            return say(Phrase.DESK_NO_FILES, agent.language)
        for file in said.files:
            if file.size_bytes > MAX_BYTES:
                return say(
                    Phrase.DESK_FILE_TOO_LARGE,
                    agent.language,
                    name=name_of(file),
                    limit=MAX_BYTES // 1024**2,
                )
        return ""

    async def _judge(self, agent: Account, case: Case | None, text: str) -> None:
        suggested = suggested_reply(case.briefing) if case is not None else ""
        fate = fate_of(text, suggested, taken=False) if suggested else None
        if case is not None and fate is not None:
            await self._work.suggestions.judge(agent.workspace, case.id, fate)
