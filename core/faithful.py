"""Has texts translated, and lets through what holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.errors import Rejected, Unavailable
from core.language import normalise_tag, same_language
from core.ports import Detector, Translator
from core.translation import (
    BRACKETS,
    Fault,
    Guard,
    Protected,
    Term,
    Translated,
    Translation,
    Untranslated,
    fault_of,
    pieces,
    protect,
    restore,
    speaks,
    tidy,
    unmarked,
)
from core.turn import WorkspaceId

Terms = Callable[[WorkspaceId], Awaitable[Sequence[Term]]]
"""The glossary of a workspace. Raises: Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a translator is best asked: which marks it copies, and what is tried one after another.

    `translate_s` is for one text with every try, `detect_s` for one look at a language.
    """

    brackets: str = BRACKETS
    guards: tuple[Guard, ...] = (Guard.MOST, Guard.ALL)
    translate_s: float = 20.0
    detect_s: float = 1.0


class FaithfulTranslator:
    """A translator whose words are believed only where they hold; nothing is remembered."""

    def __init__(
        self,
        translator: Translator | None,
        detector: Detector,
        *,
        terms: Terms | None = None,
        manner: Manner | None = None,
    ) -> None:
        """Without a translator everything goes out as it was written, and that is said."""
        self._translator = translator
        self._detector = detector
        self._terms = terms
        self._manner = manner or Manner()

    async def translate(
        self, workspace: WorkspaceId, text: str, *, source: str, target: str
    ) -> Translation:
        """One text in another language; whatever fails is an outcome, and never raised."""
        found = await self.translate_all(workspace, [text], source=source, target=target)
        return found[0]

    async def translate_all(
        self, workspace: WorkspaceId, texts: Sequence[str], *, source: str, target: str
    ) -> list[Translation]:
        """Several texts of one language, asked for together, each with an outcome of its own.

        Codes may be ISO 639-3 as well, or whatever else the translator knows.
        """
        if same_language(normalise_tag(source), normalise_tag(target)):
            return [Translated(text=text) for text in texts]
        hide = partial(
            protect,
            source=source,
            target=target,
            terms=await self._glossary(workspace),
            brackets=self._manner.brackets,
        )
        found: list[Translation] = [Untranslated(fault=Fault.UNAVAILABLE) for _ in texts]
        left = list(range(len(texts)))
        try:
            async with asyncio.timeout(self._manner.translate_s * len(texts)):
                for guard in self._manner.guards:
                    hidden = [hide(texts[at], guard=guard) for at in left]
                    made = await self._try([texts[at] for at in left], hidden, source, target)
                    for at, one in zip(left, made, strict=True):
                        found[at] = one
                    # What a model changed it may keep behind another mark; nothing else would help.
                    left = [at for at in left if found[at] == Untranslated(fault=Fault.CHANGED)]
                    if not left:
                        break
        except TimeoutError:
            pass
        return found

    async def _try(
        self, texts: Sequence[str], hidden: Sequence[Protected], source: str, target: str
    ) -> list[Translation]:
        """What becomes of each text, hidden in one way."""
        cut = [pieces(one.text) for one in hidden]
        asked = [
            piece
            for one, parts in zip(hidden, cut, strict=True)
            for piece, _ in parts
            if speaks(piece, one)
        ]
        answers = iter(await self._ask(asked, source, target))
        found: list[Translation] = []
        for text, one, parts in zip(texts, hidden, cut, strict=True):
            said = [
                (piece, next(answers) if speaks(piece, one) else piece, gap) for piece, gap in parts
            ]
            fault = next((answer for _, answer, _ in said if isinstance(answer, Fault)), None)
            if fault is not None:
                found.append(Untranslated(fault=fault))
            else:
                written = "".join(tidy(answer, piece) + gap for piece, answer, gap in said)
                found.append(await self._judged(written, one, text, target))
        return found

    async def _judged(
        self, written: str, protected: Protected, original: str, target: str
    ) -> Translation:
        guesses = await self._guess(unmarked(written, protected))
        tag = normalise_tag(target)
        fault = fault_of(written, protected, original, guesses, target=tag)
        restored = restore(written, protected)
        if fault is not None or restored is None:
            return Untranslated(fault=fault or Fault.CHANGED)
        return Translated(text=restored)

    async def _ask(self, asked: Sequence[str], source: str, target: str) -> list[str | Fault]:
        """What the translator makes of each piece; pieces that fail together are asked alone."""
        if not asked:
            return []
        if self._translator is None:
            return [Fault.NO_TRANSLATOR] * len(asked)
        try:
            written = await self._translator.translate(asked, source=source, target=target)
        except Rejected:
            return [Fault.PAIR] * len(asked)
        except Unavailable as error:
            if len(asked) == 1 or error.retry_after_s is not None:
                return [Fault.UNAVAILABLE] * len(asked)
            alone = [await self._ask([piece], source, target) for piece in asked]
            return [one for answers in alone for one in answers]
        return list(written)

    async def _glossary(self, workspace: WorkspaceId) -> Sequence[Term]:
        try:
            return await self._terms(workspace) if self._terms else ()
        except Unavailable:
            return ()

    async def _guess(self, text: str) -> Sequence[tuple[str, float]]:
        try:
            async with asyncio.timeout(self._manner.detect_s):
                return await self._detector.detect(text)
        except (Unavailable, TimeoutError):
            return ()
