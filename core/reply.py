"""Builds an answer from passages: written and checked, or in the passage's own words."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from core import redaction
from core.errors import Unavailable
from core.escalation import Policy
from core.excerpt import compose, select
from core.language import count_letters, language_name, same_language
from core.phrases import Phrase, said_in, say
from core.ports import Generator, ShowPartial
from core.prompt import Quotes, read_marks
from core.sentences import Splitter
from core.turn import Answer, Message, Passage
from core.verify import FATAL, Fault, Verdict, supported, visible

Guess = Callable[[str], Awaitable[Sequence[tuple[str, float]]]]
"""Languages of a text as (tag, probability), most likely first; never raises."""

_MAX_REPLY_CHARS = 2_000
_MIN_LETTERS = 25
_SURE_OF_ANOTHER = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question in a settled language, with its personal data behind masks.

    `replacements` maps each mask to what it stands for.
    """

    text: str
    language: str
    history: tuple[Message, ...]
    replacements: Mapping[str, str]


class Writer:
    """Has a model write a reply and lets through what the passages support."""

    def __init__(
        self, generator: Generator, guess: Guess, policy: Policy, *, across_languages: bool = False
    ) -> None:
        """With `across_languages` a claim is believed of passages in other languages."""
        self._generator = generator
        self._guess = guess
        self._policy = policy
        self._across_languages = across_languages

    async def write(
        self, asked: Asked, passages: Sequence[Passage], show: ShowPartial
    ) -> Answer | None:
        """A reply of which every sentence holds; None if none came of it, for any reason.

        It is in the customer's language, or all of it stands in passages of one other language.
        """
        reply = _Reply(asked.language)
        try:
            async with asyncio.timeout(self._policy.write_s):
                if not await self._fill(reply, asked, passages, show):
                    return None
        except (Unavailable, TimeoutError):
            return None
        return reply.answer(asked)

    async def _fill(
        self, reply: "_Reply", asked: Asked, passages: Sequence[Passage], show: ShowPartial
    ) -> bool:
        """Take in sentence after sentence; False as soon as one condemns the whole reply."""
        splitter, quotes = Splitter(), Quotes(passages)
        pieces = self._generator.write(
            asked.text, passages, language=asked.language, history=asked.history
        )
        async with aclosing(pieces):
            async for piece in pieces:
                for sentence in splitter.feed(quotes.feed(piece)):
                    if not await self._add(reply, sentence, quotes, asked, show):
                        return False
        for sentence in (*splitter.feed(quotes.rest()), *splitter.rest()):
            if not await self._add(reply, sentence, quotes, asked, show):
                return False
        return True

    async def _add(
        self,
        reply: "_Reply",
        sentence: str,
        quotes: Quotes,
        asked: Asked,
        show: ShowPartial,
    ) -> bool:
        """Check one sentence and show the reply so far; False condemns the whole reply."""
        written, cited = read_marks(sentence, len(quotes.passages))
        text, quoted = visible(written), quotes.named.get(written.strip())
        if quoted is None:
            verdict = self._judge(text, cited, asked, quotes.passages)
        else:
            verdict = Verdict(fault=None, passages=(quoted,))
        if verdict.fault in FATAL or reply.is_babble(text):
            return False
        gap = sentence[len(sentence.rstrip()) :]
        if not reply.take(text, gap, verdict, quoted.language if quoted else asked.language):
            return False
        if not quoted and not await self._in_language(reply.text, asked.language):
            return False
        if verdict.ok:
            await show(redaction.restore(reply.text, asked.replacements))
        return True

    def _judge(
        self, text: str, cited: Sequence[int], asked: Asked, passages: Sequence[Passage]
    ) -> Verdict:
        """Hold a sentence against what it cites, else against each passage: marks may be wrong."""
        groups = [[passages[index] for index in cited]] if cited else []
        groups += [[passage] for passage in passages]
        plain = text
        for mask in asked.replacements:
            plain = plain.replace(mask, " ")
        verdicts: list[Verdict] = []
        for group in groups:
            verdict = supported(
                plain,
                group,
                asked.text,
                language=asked.language,
                claim_holds=self._across_languages and not _any_in(group, asked.language),
            )
            if verdict.ok:
                return verdict
            verdicts.append(verdict)
        return verdicts[0]

    async def _in_language(self, text: str, language: str) -> bool:
        """Whether a reply long enough to tell is in the language that it must be in."""
        if count_letters(text) < _MIN_LETTERS:
            return True
        guesses = await self._guess(text)
        return (
            not guesses
            or guesses[0][1] < _SURE_OF_ANOTHER
            or same_language(guesses[0][0], language)
        )


class _Reply:
    """The sentences of a reply that held, and the passages that hold them."""

    def __init__(self, language: str) -> None:
        """For a customer of this language."""
        self._language = language
        self._written_in = ""
        self._kept: list[str] = []
        self._passages: dict[str, Passage] = {}
        self._left_out = 0

    @property
    def text(self) -> str:
        return _introduced(self._said, self._written_in or self._language, self._language)

    @property
    def _said(self) -> str:
        return "".join(self._kept).strip()

    def is_babble(self, sentence: str) -> bool:
        """Whether the model repeats itself, or writes on and on."""
        said = [kept.strip() for kept in self._kept]
        return said.count(sentence.strip()) > 1 or len(self._said) > _MAX_REPLY_CHARS

    def take(self, sentence: str, gap: str, verdict: Verdict, language: str) -> bool:
        """Keep a sentence that holds; False where it is in another language than the others."""
        if not verdict.ok:
            self._left_out += verdict.fault is not Fault.EMPTY
            return True
        if self._written_in and not same_language(self._written_in, language):
            return False
        self._written_in = language
        self._kept.append(sentence.strip() + gap)
        self._passages |= {passage.id: passage for passage in verdict.passages}
        return True

    def answer(self, asked: Asked) -> Answer | None:
        """The reply, unless more of it was left out than was kept."""
        if not self._kept or self._left_out > len(self._kept):
            return None
        return Answer(
            text=redaction.restore(self.text, asked.replacements),
            citations=tuple(self._passages.values()),
            verbatim=not same_language(self._written_in, self._language),
        )


def verbatim(found: Sequence[tuple[str, Sequence[Passage]]], language: str) -> Answer:
    """The own words of the best document for each question.

    In another language than the customer's, they are said to be so.
    """
    parts: list[str] = []
    citations: list[Passage] = []
    for question, passages in found:
        chosen, left_out = select(passages, question, language)
        said = visible(compose(chosen, question, left_out))
        written_in = chosen[0].language
        told = bool(citations) and same_language(written_in, citations[-1].language)
        parts.append(said if told else _introduced(said, written_in, language))
        citations += chosen
    return Answer(text="\n\n".join(parts), citations=tuple(citations), verbatim=True)


def _any_in(passages: Sequence[Passage], language: str) -> bool:
    return any(same_language(passage.language, language) for passage in passages)


def _introduced(text: str, written_in: str, language: str) -> str:
    """The words of an article; in another language than the customer's, said to be so."""
    if same_language(written_in, language):
        return text
    name = language_name(written_in, said_in(language))
    told = say(Phrase.FOREIGN_ARTICLE, language, language=name)
    return f"{told}\n\n{text}"
