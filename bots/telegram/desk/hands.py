"""What agents do in the group, done to their customers' conversations."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog
from telegram import Update

from bots.attached import in_words
from bots.telegram.desk.agents import Agents
from bots.telegram.desk.group import Group
from bots.telegram.desk.parts import Parts
from bots.telegram.desk.port import HERE
from bots.telegram.desk.reading import (
    NOTE_MARK,
    TAKE_BACK,
    GroupMoved,
    Pressed,
    Tone,
    Written,
    read,
)
from bots.telegram.desk.telling import Telling
from bots.telegram.files import MAX_DOWNLOAD_BYTES
from bots.telegram.places import place_of
from core.adapters.briefings import read_briefing
from core.adapters.cases import Cases
from core.adapters.desk import Desk
from core.adapters.desk_places import DeskPlaces
from core.adapters.suggestions import Suggestions
from core.cases import Case, Refused, Why
from core.errors import Rejected
from core.handoff import explain
from core.phrases import Phrase, say
from core.staff import Account
from core.suggestions import fate_of
from core.turn import Channel, ConversationId, WorkspaceId

log = structlog.get_logger()

# By how much Telegram's clock and the database's may differ.
SKEW_S = 5.0
_MEGABYTE = 1024 * 1024
# Channels whose customers are shown no file of ours.
_NO_FILES = (Channel.WEB, Channel.TERMINAL)
# Why words do not reach a customer though agents may well have them.
_KEPT = (Why.TAKEN, Why.NOT_CLAIMED, Why.WITH_BOT, Why.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Does:
    """What the group's messages act upon."""

    workspace: WorkspaceId
    desk: Desk
    cases: Cases
    places: DeskPlaces
    suggestions: Suggestions
    language: Callable[[WorkspaceId], Awaitable[str]]


class Hands:
    """Carries out what updates from the group say; a redelivery changes nothing."""

    def __init__(
        self,
        group: Group,
        agents: Agents,
        telling: Telling,
        does: Does,
        *,
        parts: Parts,
        press: Callable[[Pressed], Awaitable[None]],
        being_made: Callable[[int], ConversationId | None],
    ) -> None:
        """Work for the members of `group`; `being_made` knows topics that are not kept yet.

        What is pressed is for `press`.
        """
        self._group = group
        self._press = press
        self._being_made = being_made
        self._agents = agents
        self._telling = telling
        self._does = does
        self._parts = parts

    async def take(self, update: Update) -> None:
        """Do what an update of the group says.

        Raises: Unavailable, TelegramError, TimeoutError: it must come again.
        """
        meaning = read(update)
        if isinstance(meaning, GroupMoved):
            await self._group.move(meaning.chat_id)
        elif isinstance(meaning, Pressed):
            await self._press(meaning)
        elif isinstance(meaning, Written):
            await self._write(meaning)

    async def _write(self, said: Written) -> None:
        does = self._does
        # In this order: what is made in between is in the database by then.
        conversation = self._being_made(said.thread)
        conversation = conversation or await does.places.conversation_at(
            place_of(said.chat_id, said.thread)
        )
        if conversation is None:
            return
        language = await does.language(does.workspace)
        if said.person is None:
            self._tell(said, say(Phrase.DESK_NO_ANONYMOUS, language))
            return
        theirs = said.person.language or language
        try:
            agent = await self._agents.account(said.person, language)
        except Rejected:
            self._tell(said, say(Phrase.NOT_SENT, theirs))
            return
        if agent is None:
            self._tell(said, say(Phrase.DESK_MEMBERS_ONLY, theirs))
            return
        await self._follow(agent, conversation, said)

    async def _follow(self, agent: Account, conversation: ConversationId, said: Written) -> None:
        """Do what an agent's message says."""
        if not said.edited:
            said = await self._parts.toned(said)
        if said.tone is Tone.HELP:
            self._tell_help(said, agent)
        elif said.tone is Tone.TAKE_BACK:
            await self._take_back(agent, conversation, said)
        elif said.edited:
            await self._edit(agent, conversation, said)
        elif said.tone is Tone.CUSTOMER:
            await self._reply(agent, conversation, said)
        else:
            await self._note(agent, conversation, said)
        if said.album and not said.edited:
            await self._take_back_items(agent, conversation, said)

    async def _reply(self, agent: Account, conversation: ConversationId, said: Written) -> None:
        does = self._does
        case = await does.cases.get(agent.workspace, conversation)
        if case is not None and (unfit := _unfit(case, said, agent.language)):
            self._tell(said, unfit)
            return
        if await self._is_for_team(conversation, said):
            await self._note(agent, conversation, replace(said, tone=Tone.DOUBTFUL))
            return
        done = await does.desk.reply(
            agent,
            conversation,
            said.text,
            event_id=_event_id(said, said.message),
            attachments=[replace(file, channel=Channel.TELEGRAM) for file in said.files],
        )
        if isinstance(done, Refused):
            why = explain(done, agent.language)
            if done.why in _KEPT:
                await self._note(agent, conversation, replace(said, tone=Tone.DOUBTFUL), why)
            else:
                self._tell(said, why)
        else:
            await self._judge(done, said)

    async def _is_for_team(self, conversation: ConversationId, said: Written) -> bool:
        """Whether it answers a note, or comes late from before anybody had the conversation.

        What was kept as a reply or as a note stays one.
        """
        places = self._does.places
        if await places.is_reply(conversation, _event_id(said, said.message)):
            return False
        claimed_at = await places.claimed_at(conversation)
        if said.sent_at < claimed_at - SKEW_S or await places.is_note(_ref(said)):
            return True
        if said.replied is None:
            return False
        if said.to_bot:
            return await places.is_note(_ref_of(said, said.replied))
        # Who goes on under words of their own writes to whom these went; what we never kept, as
        # while nobody vouched for its author, went to nobody.
        return not await places.is_reply(conversation, _event_id(said, said.replied))

    async def _note(
        self, agent: Account, conversation: ConversationId, said: Written, why: str = ""
    ) -> None:
        files = "\n".join(f"📎 {in_words(file) or file.name or file.kind}" for file in said.files)
        text = "\n".join(filter(None, (said.text, files)))
        if said.edited:
            self._tell(said, say(Phrase.DESK_NOTE_STAYS, agent.language))
            return
        done = await self._does.desk.note(
            agent,
            conversation,
            text,
            desk=Channel.TELEGRAM,
            event_id=_ref(said),
            reply=_event_id(said, said.message),
        )
        if isinstance(done, Refused):
            self._tell(said, explain(done, agent.language))
        elif done is not None and said.tone is Tone.DOUBTFUL:
            kept = say(Phrase.DESK_KEPT_AS_NOTE, agent.language)
            self._tell(said, f"{why} {kept}".strip())

    async def _edit(self, agent: Account, conversation: ConversationId, said: Written) -> None:
        if await self._does.places.is_note(_ref(said)):
            self._tell(said, say(Phrase.DESK_NOTE_STAYS, agent.language))
            return
        if said.tone is not Tone.CUSTOMER or not said.text:
            # Made internal, or emptied, only afterwards: the customer has read it.
            stays = say(Phrase.DESK_SENT_STAYS, agent.language, command=TAKE_BACK)
            self._tell(said, stays)
            return
        done = await self._does.desk.edit(
            agent,
            conversation,
            said.text,
            reply=_event_id(said, said.message),
            event_id=_edit_id(said),
            version=said.version,
        )
        if isinstance(done, Refused):
            self._tell(said, explain(done, agent.language))

    async def _take_back(self, agent: Account, conversation: ConversationId, said: Written) -> None:
        """Take back what is replied to, or what was changed into the command."""
        does, message = self._does, said.message if said.edited else said.replied
        if message is None:
            self._tell_help(said, agent)
            return
        ref = _ref_of(said, message)
        # What was sent from another desk, or as suggested, stands there as a copy of ours.
        reply = await does.places.reply_shown_as(ref) or _event_id(said, message)
        done = await does.desk.edit(
            agent,
            conversation,
            "",
            reply=reply,
            event_id=_edit_id(said) if said.edited else _event_id(said, said.message),
            version=said.version,
        )
        if not isinstance(done, Refused):
            return
        if await does.places.is_note(ref):
            self._tell(said, say(Phrase.DESK_NOTE_STAYS, agent.language))
        elif done.why is not Why.UNKNOWN:
            self._tell(said, explain(done, agent.language))
        elif said.to_bot and not said.edited:
            # Nobody's here: a card, or the words of a customer or of the assistant.
            self._tell(said, say(Phrase.DESK_NOT_YOURS, agent.language))
        else:
            self._tell_help(said, agent)

    async def _take_back_items(
        self, agent: Account, conversation: ConversationId, said: Written
    ) -> None:
        """Take back what of an album was sent before its caption said that it is a note."""
        for message in await self._parts.let_out(said):
            done = await self._does.desk.edit(
                agent,
                conversation,
                "",
                reply=_event_id(said, message),
                event_id=f"{_edit_id(said)}/{message}",
                version=said.version,
            )
            if isinstance(done, Refused) and done.why is not Why.UNKNOWN:
                self._telling.tell(said.thread, message, explain(done, agent.language))

    async def _judge(self, case: Case, said: Written) -> None:
        """Note what became of the suggested reply."""
        brief = read_briefing(case.briefing)
        if brief is None or not brief.reply:
            return
        fate = fate_of(said.text, brief.reply, taken=said.suggestion)
        if fate is not None:
            await self._does.suggestions.judge(case.workspace, case.id, fate)

    def _tell_help(self, said: Written, agent: Account) -> None:
        told = say(Phrase.DESK_HELP, agent.language, mark=NOTE_MARK, command=TAKE_BACK)
        self._tell(said, told)

    def _tell(self, said: Written, text: str) -> None:
        self._telling.tell(said.thread, said.message, text)


def _unfit(case: Case, said: Written, language: str) -> str:
    """Why files cannot go to this customer; empty if they can."""
    if not said.files:
        return ""
    if case.channel in _NO_FILES:
        return say(Phrase.DESK_NO_FILES, language)
    large = [file for file in said.files if file.size_bytes > MAX_DOWNLOAD_BYTES]
    if large and case.channel is not Channel.TELEGRAM:
        name, limit = large[0].name or large[0].kind, MAX_DOWNLOAD_BYTES // _MEGABYTE
        return say(Phrase.DESK_FILE_TOO_LARGE, language, name=name, limit=limit)
    return ""


def _ref(said: Written) -> str:
    """The platform's id of a message, under which a note is kept."""
    return _ref_of(said, said.message)


def _ref_of(said: Written, message: int) -> str:
    return f"{said.chat_id}/{message}"


def _event_id(said: Written, message: int) -> str:
    """What names an agent's words, and makes a redelivery recognisable."""
    return f"{HERE}{_ref_of(said, message)}"


def _edit_id(said: Written) -> str:
    return f"{HERE}edit:{_ref(said)}/{said.update}"
