"""What customers and agents say to each other, each read in their own language."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from core.cases import Change
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.handoff import told
from core.hours import Expected
from core.language import choose, normalise_tag, same_language
from core.phrases import Phrase, say
from core.ports import Detector
from core.translation import Fault, Translation, Untranslated
from core.turn import Heard, Kind, Served, Spoken, Turn, Words, WorkspaceId

DETECT_S = 1.0
EXPECT_S = 2.0
UNDETERMINED = "und"
# Below that a few words look like many languages.
_MEANT = 0.5

log = structlog.get_logger()

DeskLanguage = Callable[[WorkspaceId], Awaitable[str]]
Expects = Callable[[WorkspaceId, str], Awaitable[Expected]]
"""When a person will answer in a workspace, said in a language. Raises: Unavailable."""


async def with_time(text: str, expects: Expects, workspace: WorkspaceId, language: str) -> Expected:
    """A text, and behind it when a person will answer, if that can be told."""
    try:
        async with asyncio.timeout(EXPECT_S):
            expected = await expects(workspace, language)
    except (Unavailable, TimeoutError):
        return Expected(text=text)
    gap = "" if text.endswith("。") else " "
    return replace(expected, text=f"{text}{gap}{expected.text}".strip())


async def _english(workspace: WorkspaceId) -> str:
    return "en"


async def _nothing(workspace: WorkspaceId, language: str) -> Expected:
    return Expected()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Between customers and agents; without a translator both read the original.

    `desk_language` is what is read where no agent has the conversation yet. Customers see
    agents' names if `show_names`. Who waits for another agent hears what the company `expects`.
    """

    translator: FaithfulTranslator | None = None
    detector: Detector | None = None
    desk_language: DeskLanguage = _english
    default_language: str = "en"
    show_names: bool = True
    expects: Expects = _nothing

    async def heard(self, turn: Turn, *, as_written: bool = False) -> Heard:
        """A customer's turn as the agent reads it.

        `as_written` has it neither read nor translated, and says so.
        """
        target = (
            turn.agent.language if turn.agent else await self.desk_language(turn.address.workspace)
        )
        if as_written:
            source = turn.language or UNDETERMINED
            unread = tuple(_as_written(text, source, target) for text in turn.texts)
            return Heard(lines=unread, language=turn.language, chosen=turn.chosen)
        if turn.kind is Kind.CHOOSES_LANGUAGE:
            tag = normalise_tag(turn.text) if turn.text.strip() else turn.language
            return Heard(lines=(), language=tag, chosen=bool(turn.text.strip()) or turn.chosen)
        guesses = await self._guess(turn.text)
        choice = choose(
            turn.text,
            guesses,
            previous=turn.language,
            chosen=turn.chosen,
            hint=turn.language_hint,
            default=self.default_language,
        )
        lines = tuple([await self._line(text, turn, target) for text in turn.texts])
        return Heard(lines=lines, language=choice.language, chosen=choice.requested)

    async def relayed(self, turn: Turn, *, as_written: bool = False) -> tuple[Served | None, Heard]:
        """An agent's doing as the customer reads it; nothing where there is nothing to read.

        `as_written` as in `heard`.
        """
        language = turn.language or self.default_language
        if turn.kind is Kind.CHANGE:
            return await self._told(turn, language), Heard(lines=())
        if not turn.text.strip() and not turn.attachments and turn.kind is Kind.AGENT_REPLY:
            # Taken back before anybody read it.
            return None, Heard(lines=())
        spoken = await self._line_of_agent(turn, language, as_written=as_written)
        text = spoken.translation or turn.text
        if spoken.fault:
            text = f"{say(Phrase.UNTRANSLATED, language)}\n\n{text}"
        name = turn.agent.name if turn.agent and self.show_names else ""
        words = Words(
            text=text if turn.text.strip() else "",
            sender=name,
            attachments=turn.attachments,
            replaces=turn.target,
        )
        return _served(words, language), Heard(lines=(spoken,))

    async def _told(self, turn: Turn, language: str) -> Served | None:
        """Who has the conversation now; nothing where a newer release beside this one says it."""
        change = next((each for each in Change if each == turn.text), None)
        if change is None:
            log.warning("change_unknown", change=turn.text)
            return None
        words = _notice(change, language)
        if change in (Change.LAPSED, Change.RELEASED):
            timed = await with_time(words.text, self.expects, turn.address.workspace, language)
            words = replace(words, text=timed.text, due_at=timed.due_at)
        return _served(words, language)

    async def _line(self, text: str, turn: Turn, target: str) -> Spoken:
        source = await self._language(text, turn.language or self.default_language)
        return await self.spoken(turn.address.workspace, text, source=source, target=target)

    async def _line_of_agent(self, turn: Turn, target: str, *, as_written: bool) -> Spoken:
        own = (
            turn.agent.language if turn.agent else await self.desk_language(turn.address.workspace)
        )
        if as_written:
            return _as_written(turn.text, own, target)
        source = await self._language(turn.text, own, reader=target)
        return await self.spoken(turn.address.workspace, turn.text, source=source, target=target)

    async def spoken(
        self, workspace: WorkspaceId, text: str, *, source: str, target: str
    ) -> Spoken:
        """One message with its translation, if it needs one."""
        if _is_understood(text, source, target):
            return Spoken(text=text, language=source)
        made = await self._translated(workspace, text, source, target)
        if isinstance(made, Untranslated):
            log.warning("not_translated", source=source, target=target, why=made.fault)
            return Spoken(text=text, language=source, fault=made.fault)
        return Spoken(
            text=text, language=source, translation=made.text, translation_language=target
        )

    async def _translated(
        self, workspace: WorkspaceId, text: str, source: str, target: str
    ) -> Translation:
        if self.translator is None:
            return Untranslated(fault=Fault.NO_TRANSLATOR)
        return await self.translator.translate(workspace, text, source=source, target=target)

    async def _language(self, text: str, prior: str, *, reader: str = "") -> str:
        """The language that a text is in; the likely one where it does not show.

        Who writes a few words that look like the `reader`'s has chosen to.
        """
        guesses = await self._guess(text)
        if reader and _is_meant(guesses, prior, reader):
            return reader
        choice = choose(text, guesses, previous=prior, chosen=False, hint=None, default=prior)
        if not choice.requested:
            return choice.language
        # It names a language, and may be in another.
        return guesses[0][0] if guesses else prior

    async def _guess(self, text: str) -> Sequence[tuple[str, float]]:
        if self.detector is None:
            return ()
        try:
            async with asyncio.timeout(DETECT_S):
                return await self.detector.detect(text)
        except (Unavailable, TimeoutError):
            return ()


def _is_meant(guesses: Sequence[tuple[str, float]], own: str, reader: str) -> bool:
    """Whether the best guess is the reader's language, clearly before the writer's own."""
    if not guesses or not same_language(guesses[0][0], reader):
        return False
    likely = guesses[0][1]
    rather_own = max((p for tag, p in guesses if same_language(tag, own)), default=0.0)
    return likely >= _MEANT and rather_own < likely / 2


def _is_understood(text: str, source: str, target: str) -> bool:
    return not text.strip() or UNDETERMINED in (source, target) or same_language(source, target)


def _as_written(text: str, source: str, target: str) -> Spoken:
    fault = "" if _is_understood(text, source, target) else Fault.UNAVAILABLE
    return Spoken(text=text, language=source, fault=fault)


def _notice(change: Change, language: str) -> Words:
    text = told(change, language)
    if change is not Change.RESOLVED:
        return Words(text=text)
    return Words(text=f"{text}\n\n{say(Phrase.RATE_US, language)}", asks_rating=True)


def _served(words: Words, language: str) -> Served:
    return Served(outcome=words, language=language, probability=0.0)
