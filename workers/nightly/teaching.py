"""What one exchange teaches: a reply, a question with its article, or why it teaches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.adapters.documents import Document
from core.language import same_language
from core.turn import Author
from retrieval.passages import size
from retrieval.topics import topic
from workers.nightly.articles import Articles
from workers.nightly.exchanges import Cited, Exchange
from workers.nightly.masking import Masker, Public, marks, without_names
from workers.nightly.screening import Fault, Screen
from workers.training.dataset.examples import Evidence, Question, Reply, Said
from workers.training.dataset.licences import OWN
from workers.training.dataset.marks import marked

LEAST_WORDS = 6.0
""""You're welcome!" and "One moment, please" answer nothing."""
MAX_NEGATIVES = 4
_MAX_TITLE_CHARS = 120
_ASKS = ("?", "？", "؟", "?)", "？）")


class Poor(StrEnum):
    """Why an exchange teaches nothing, though nothing is wrong with it."""

    SAYS_LITTLE = "answer_says_too_little"
    ASKS_BACK = "answer_asks_back"
    NO_LANGUAGE = "language_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What an exchange teaches, masked; `document` is the article that answers, empty for none."""

    exchange: Exchange
    question: str
    shown: str
    document: str
    reply: Reply | None
    pair: Question

    @property
    def rows(self) -> tuple[Reply | Question, ...]:
        """What a dataset gets of it."""
        return (self.reply, self.pair) if self.reply is not None else (self.pair,)


class Teacher:
    """Reads exchanges against the workspace's articles."""

    def __init__(self, documents: Sequence[Document], staff: Sequence[str]) -> None:
        """`staff` are the names of the agents."""
        self._articles = Articles(documents)
        self._screen = Screen(documents)
        self._public = Public(documents)
        self._staff = staff

    def lesson(self, exchange: Exchange) -> Lesson | Poor | Fault:
        """What an exchange teaches, or why nothing."""
        written = [exchange.question, exchange.answer, *(one.text for one in exchange.told)]
        poor = _poor(exchange) or self._screen.hidden(written)
        if poor is not None:
            return poor
        told = self._masked(exchange)
        if marks(told.answer) - marks(_said_before(told)) or "⟦NAME_" in told.answer:
            # A reply that names somebody whom the conversation does not is about somebody.
            return Fault.PERSONAL
        texts = [told.question, told.answer, told.shown, *(one.text for one in told.told)]
        fault = self._screen.fault(texts)
        if fault is not None:
            return fault
        if size(told.answer) < LEAST_WORDS:
            return Poor.SAYS_LITTLE
        return self._taught(told)

    def fault(self, text: str) -> Fault | None:
        """What is wrong with a text that people would be shown."""
        return self._screen.fault([text])

    def masked(self, text: str) -> str:
        """A text without who is meant."""
        return Masker(staff=self._staff, public=self._public).mask(text)

    def _masked(self, exchange: Exchange) -> Exchange:
        masker = Masker(staff=self._staff, public=self._public)
        told = tuple(
            Said(author=one.author, text=masker.mask(one.text).strip() or "…")
            for one in exchange.told
        )
        return replace(
            exchange,
            question=masker.mask(exchange.question).strip(),
            told=told,
            answer=without_names(masker.mask(exchange.answer)),
            shown=without_names(masker.mask(exchange.shown)),
            rejected=masker.mask(exchange.rejected),
        )

    def _taught(self, told: Exchange) -> Lesson:
        """The article that answers stands below the reply; without one, the answer is its own."""
        document, passage, title = self._source(told)
        negatives = self._negatives(told, document)
        kind = "articles" if document else "conversations"
        pair = Question(
            lang=told.language,
            source=f"{kind}:{told.how}",
            query=told.question,
            passage=passage,
            negatives=tuple(one.passage for one in negatives),
            group=_group(told),
            licence=OWN,
        )
        return Lesson(
            exchange=told,
            question=told.question,
            shown=told.shown,
            document=document,
            reply=_reply(told, Evidence(title=title, text=passage), negatives),
            pair=pair,
        )

    def _source(self, told: Exchange) -> tuple[str, str, str]:
        """The document that answers, its passage and its title.

        An admin has said which where they published it; else an article has to say the same.
        """
        published = told.case.published if told.case is not None else ""
        passage = self._articles.part(published, told.answer) if published else None
        if passage is None:
            match = self._articles.saying(told.answer, told.answer_language)
            passage = match.passage if match is not None else None
        if passage is None:
            return "", told.answer, " ".join(told.question.split())[:_MAX_TITLE_CHARS]
        return passage.document, passage.text, passage.title

    def _negatives(self, told: Exchange, document: str) -> tuple[Cited, ...]:
        """What the bot showed, and what the agent was shown, where a person answered otherwise."""
        shown = [*told.cited, *self._suggested(told)]
        found = {
            one.passage: one
            for one in shown
            if one.document != document and self._is_wrong(one, told, document)
        }
        return tuple(found.values())[:MAX_NEGATIVES]

    def _is_wrong(self, one: Cited, told: Exchange, document: str) -> bool:
        """Whether a passage can be told not to answer: another language's may say the same."""
        if document:
            return _topic(one.document) != _topic(document)
        return one.disliked and self._articles.says_else(
            one.passage, one.language, told.answer, told.answer_language
        )

    def _suggested(self, told: Exchange) -> list[Cited]:
        named = told.case.articles if told.case is not None else ()
        parts = (self._articles.part(one, told.answer) for one in named)
        return [
            Cited(
                document=part.document,
                title=part.title,
                passage=part.text,
                language=part.language,
                disliked=False,
            )
            for part in parts
            if part is not None
        ]


def _poor(exchange: Exchange) -> Poor | None:
    if "und" in (exchange.language, exchange.answer_language) or not exchange.language:
        return Poor.NO_LANGUAGE
    if size(exchange.answer) < LEAST_WORDS or not exchange.question.strip():
        return Poor.SAYS_LITTLE
    return Poor.ASKS_BACK if exchange.answer.rstrip().endswith(_ASKS) else None


def _said_before(told: Exchange) -> str:
    return "\n".join([told.question, *(one.text for one in told.told)])


def _reply(told: Exchange, source: Evidence, negatives: Sequence[Cited]) -> Reply | None:
    """The reply, with the passage that it rests on and one that it does not."""
    if not told.told or told.told[-1].author is not Author.CUSTOMER:
        return None
    others = [Evidence(title=one.title, text=one.passage) for one in negatives[:1]]
    # Were it always the first, a model would learn to take the first.
    first = told.conversation % 2 == 0
    passages = (source, *others) if first else (*others, source)
    return Reply(
        lang=told.answer_language,
        source=f"conversations:{told.how}",
        messages=told.told,
        passages=passages,
        reply=marked(told.answer, [one.text for one in passages]),
        rejected=told.rejected if same_language(told.language, told.answer_language) else "",
        group=_group(told),
        licence=OWN,
    )


def _group(told: Exchange) -> str:
    return f"conversation:{told.conversation}"


def _topic(document: str) -> str:
    """Articles that differ in their language folder alone hold the same facts."""
    return topic(document, document.partition("/")[0])
