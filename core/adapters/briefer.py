"""Makes the briefing of each case, out of every customer's turn."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from core import redaction
from core.adapters.briefings import Briefings, Unbriefed
from core.adapters.generator import HttpGenerator, tagged_name
from core.adapters.handoffs import UNDETERMINED
from core.briefing import (
    Article,
    Briefing,
    Entity,
    Said,
    dialogue,
    entities,
    extract,
    held,
    question,
    tone_of,
    tried,
)
from core.errors import Unavailable
from core.escalation import Policy
from core.excerpt import compose, select
from core.faithful import FaithfulTranslator
from core.language import normalise_tag, same_language
from core.ports import Detector, Retriever
from core.prompt import summarise
from core.reply import Asked, Writer
from core.translation import Translated
from core.turn import Found, Passage, WorkspaceId
from core.verify import visible
from core.wishes import without_courtesies

log = structlog.get_logger()

# A model that hangs costs the agent the model's summary, and nobody else anything.
MAKE_S = 90.0
READ_S = 60.0
LOOK_EVERY_S = 0.5
AFTER_FAILURE_S = 5.0
_SEARCH_S = 10.0
_MAX_ARTICLES = 3
_MAX_TRANSLATED = 12
_MAX_QUESTION_CHARS = 2_000
# Below that the best article is most often about something else; a person judges the rest.
_WORTH_SUGGESTING = 0.25

DeskLanguage = Callable[[WorkspaceId], Awaitable[str]]
Titles = Callable[[WorkspaceId], Awaitable[Sequence[str]]]
"""The titles of the documents of a workspace. Raises: Unavailable."""


class Briefer:
    """Takes cases one after the other; each part that fails is left out."""

    def __init__(
        self,
        briefings: Briefings,
        *,
        retriever: Retriever,
        detector: Detector,
        translator: FaithfulTranslator,
        generator: HttpGenerator | None,
        desk_language: DeskLanguage,
        titles: Titles,
    ) -> None:
        """Without a generator the customer's own words stand for a summary."""
        self._briefings = briefings
        self._retriever = retriever
        self._detector = detector
        self._translator = translator
        self._generator = generator
        self._desk_language = desk_language
        self._titles = titles
        # A person reads and judges what is written across languages.
        self._writer = (
            Writer(generator, self._guess, Policy(), across_languages=True) if generator else None
        )

    async def run(self) -> None:
        """Make briefings until cancelled."""
        while True:
            try:
                await asyncio.sleep(0 if await self.make_next() else LOOK_EVERY_S)
            except Unavailable as error:
                log.warning("briefing_postponed", error=str(error))
                await asyncio.sleep(AFTER_FAILURE_S)

    async def make_next(self) -> bool:
        """Make the briefing that is most urgent; False if none is wanted.

        Raises: Unavailable: the database does not answer.
        """
        case = await self._briefings.take(READ_S + MAKE_S + 30)
        if case is None:
            return False
        briefing = await self._made(case)
        kept = await self._briefings.keep(case, briefing)
        log.info(
            "case_briefed",
            workspace=case.workspace,
            conversation=case.conversation,
            kept=kept,
            model=briefing.model,
            articles=len(briefing.articles),
            suggested=bool(briefing.reply),
        )
        return True

    async def _made(self, case: Unbriefed) -> Briefing:
        language = await self._desk_language(case.workspace)
        case = replace(case, lines=tuple(_as_read(line, language) for line in case.lines))
        try:
            async with asyncio.timeout(READ_S):
                case = await self._read(case, language)
        except TimeoutError:
            log.warning("case_not_translated", conversation=case.conversation)
        asked = question(case.lines)
        attempts = tried(case.lines, language)
        briefing = Briefing(
            summary=extract(asked, attempts, language),
            language=case.language,
            tone=tone_of(case.lines),
            tried=attempts,
            entities=await self._named(case),
        )
        try:
            async with asyncio.timeout(MAKE_S):
                briefing = await self._summed_up(briefing, case.lines, language)
                return await self._suggested(briefing, case.workspace, asked, language)
        except TimeoutError:
            return briefing

    async def _read(self, case: Unbriefed, language: str) -> Unbriefed:
        """The case with its last lines as the desk reads them.

        What was said to the bot has had no reader on the desk until now.
        """
        foreign = [line for line in case.lines if _is_foreign(line, language)][-_MAX_TRANSLATED:]
        read: dict[int, Said] = {}
        for source in dict.fromkeys(line.language for line in foreign):
            lines = [line for line in foreign if line.language == source]
            texts = [line.text for line in lines]
            made = await self._translator.translate_all(
                case.workspace, texts, source=source, target=language
            )
            read |= {
                line.id: replace(line, read=one.text, read_in=language)
                for line, one in zip(lines, made, strict=True)
                if isinstance(one, Translated)
            }
        if read:
            await self._briefings.keep_read(case, tuple(read.values()), language)
        return replace(case, lines=tuple(read.get(line.id, line) for line in case.lines))

    async def _named(self, case: Unbriefed) -> tuple[Entity, ...]:
        try:
            titles = await self._titles(case.workspace)
        except Unavailable:
            titles = ()
        return await asyncio.to_thread(entities, case.lines, titles)

    async def _summed_up(
        self, briefing: Briefing, lines: Sequence[Said], language: str
    ) -> Briefing:
        """With the model's summary, as far as the conversation holds it."""
        if self._generator is None or self._generator.only_points or len(lines) < 2:
            return briefing
        masked = redaction.mask(dialogue(lines))
        name = tagged_name(normalise_tag(language))
        try:
            written = await self._generator.complete(summarise(masked.text, language=name))
        except Unavailable:
            return briefing
        summary = held(redaction.restore(written, masked.replacements), lines, language=language)
        guesses = await self._guess(summary)
        if not summary or (guesses and not same_language(guesses[0][0], language)):
            return briefing
        return replace(briefing, summary=summary, model=self._generator.model)

    async def _suggested(
        self, briefing: Briefing, workspace: WorkspaceId, asked: Said | None, language: str
    ) -> Briefing:
        """With articles that may help, and what could be answered from them."""
        if asked is None:
            return briefing
        wanted = without_courtesies(visible(asked.text[:_MAX_QUESTION_CHARS]))
        masked = redaction.mask(wanted)
        found = await self._found(workspace, masked.text, asked.language)
        articles = {p.document: Article(document=p.document, title=p.title) for p in found.passages}
        briefing = replace(briefing, articles=tuple(articles.values())[:_MAX_ARTICLES])
        if found.probability < _WORTH_SUGGESTING or not found.passages:
            return briefing
        question = Asked(
            text=masked.text, language=language, history=(), replacements=masked.replacements
        )
        reply = await self._reply(workspace, question, found.passages)
        return replace(briefing, reply=reply)

    async def _found(self, workspace: WorkspaceId, question: str, language: str) -> Found:
        try:
            async with asyncio.timeout(_SEARCH_S):
                return await self._retriever.search(workspace, question, language=language)
        except (Unavailable, TimeoutError):
            return Found(passages=(), probability=0.0, index="")

    async def _reply(
        self, workspace: WorkspaceId, asked: Asked, passages: Sequence[Passage]
    ) -> str:
        """A reply in the desk's language: the model's where it holds, else the article's words."""
        if self._writer is not None:
            written = await self._writer.write(asked, passages, _unseen)
            if written is not None:
                return written.text
        chosen, left_out = select(passages, asked.text, asked.language)
        text = visible(compose(chosen, asked.text, left_out))
        source = chosen[0].language
        made = await self._translator.translate(
            workspace, text, source=source, target=asked.language
        )
        return made.text if isinstance(made, Translated) else text

    async def _guess(self, text: str) -> Sequence[tuple[str, float]]:
        try:
            return await self._detector.detect(text)
        except Unavailable:
            return ()


def _as_read(line: Said, language: str) -> Said:
    """The line without a reading that was made for an agent of another language."""
    return line if same_language(line.read_in, language) else replace(line, read="", read_in="")


def _is_foreign(line: Said, language: str) -> bool:
    known = line.language != UNDETERMINED and not same_language(line.language, language)
    return known and not line.read and bool(line.text.strip())


async def _unseen(text: str) -> None:
    """Nobody watches a suggestion being written."""
