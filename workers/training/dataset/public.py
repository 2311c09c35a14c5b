"""Public files of known form and licence, read as rows.

The folder holds one folder for each of `SETS`, of JSON Lines files, gzipped or not. `parallel` and
`monolingual` name a repository in each row; its licence stands in the README of `parallel`.
`support` is ours, in `models/data`.
"""

import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import Field

from core.errors import Rejected
from core.prompt import NO_ANSWER
from core.sentences import split
from core.turn import Author
from workers.evaluation.files import Row, stream
from workers.training.dataset.duplicates import fingerprint
from workers.training.dataset.examples import (
    Evidence,
    Example,
    Label,
    Parallel,
    Question,
    Reply,
    Said,
    Text,
    Tokens,
)
from workers.training.dataset.licences import spdx

_UNKNOWN = "unknown"
_TABLE_ROW = re.compile(r"\|\s*([\w.-]+/[\w.-]+)\s*\|[^|]*\|\s*([^|]+?)\s*\|")
_WORD = re.compile(r"\w+|[^\w\s]")
_AUTHORS = {"user": Author.CUSTOMER, "customer": Author.CUSTOMER}
_HISTORY = 6
# How many lines back an article may stand beside another one, how many may, by how many of their
# sentences, how much of the article itself is shown, how often others are in its stead, and how
# often another question was asked before.
_EARLIER, _STRANGERS, _SENTENCES, _SHOWN, _UNANSWERED, _LATER = 240, 3, 4, 0.6, 0.2, 0.3
_POLARITY = {
    "anger": "negative", "disgust": "negative", "fear": "negative", "sadness": "negative",
    "joy": "positive", "trust": "positive", "neutral": "neutral",
}  # fmt: skip
# The types of entities that `dragoman evaluate entities` knows by shorter names.
_TYPES = {
    "PERSON": "PER", "GPE": "LOC", "STREET_ADDRESS": "LOC", "ORGANIZATION": "ORG",
}  # fmt: skip


class _Span(Row):
    type: str
    start: int
    end: int


class _Turn(Row):
    role: str
    text: str


class _Line(Row):
    """A line of any set; what a set does not have is empty."""

    id: str | int = ""
    doc_id: str = ""
    template_id: int = 0
    lang: str = "en"
    source: str = ""
    category: str = ""
    title: str = ""
    text: str = ""
    en: str = ""
    eng: str = ""
    query: str = ""
    refs: Mapping[str, str] = Field(default_factory=dict)
    intent: str = ""
    label: str = ""
    emotions: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    spans: tuple[_Span, ...] = ()
    turns: tuple[_Turn | str, ...] = ()
    topic: str = ""
    sentences: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    # The sentences that answer each question, from 1; of the English article alone.
    answers: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where the lines of a file come from."""

    folder: Path
    name: str
    stem: str
    licence: str
    licences: Mapping[str, str]

    def about(self, line: _Line, group: str, lang: str = "") -> dict[str, Any]:
        """The keys that all rows have; equal groups of different sets are the same group."""
        mixed = bool(self.licences)
        return {
            "lang": lang or line.lang,
            "group": group,
            "source": f"{self.name}:{line.source}" if mixed else self.name,
            "licence": self.licences.get(line.source, _UNKNOWN) if mixed else self.licence,
        }


_Read = Callable[[Iterable[_Line], _Origin], Iterator[Example]]


def _parallel(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        # The same English sentence stands in many languages, and in several sets.
        about = origin.about(line, _english(line.en), "en")
        yield Parallel(**about, text=line.en, target_lang=origin.stem, target=line.text)


def _monolingual(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, _by_text(line), origin.stem)
        yield Text(**about, paragraphs=(line.text,))


def _spree(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, _english(line.eng), "en")
        yield Parallel(**about, text=line.eng, target_lang=line.lang, target=line.text)


def _ntrex(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, f"ntrex:{line.doc_id}", "en")
        for lang, target in line.refs.items():
            yield Parallel(**about, text=line.eng, target_lang=lang, target=target)


def _tldr(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    """The lines of a page are its translation, paragraph by paragraph, and questions to it."""
    docs = stream(_file(origin.folder, "docs_en"), _Line.model_validate_json)
    pages = {page.doc_id: page.text for page in docs}
    for (doc, lang), found in groupby(lines, key=lambda line: (line.doc_id, line.lang)):
        page = tuple(found)
        about = origin.about(page[0], f"tldr:{doc}")
        if len(page) > 1:
            yield Text(**about, paragraphs=tuple(line.query for line in page))
        for line in page:
            english = {**about, "lang": "en"}
            yield Parallel(**english, text=line.eng, target_lang=lang, target=line.query)
            if doc in pages:
                yield Question(**about, query=line.query, passage=pages[doc])


def _intents(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        yield Label(**origin.about(line, _by_text(line)), text=line.text, label=line.intent)


def _nusax(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        yield Label(**origin.about(line, f"nusax:{line.id}"), text=line.text, label=line.label)


def _xed(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    """Sentiment, where all emotions of a line have the same."""
    for line in lines:
        found = {_POLARITY.get(emotion) for emotion in line.emotions}
        label = found.pop() if len(found) == 1 else None
        if label:
            yield Label(**origin.about(line, _by_text(line)), text=line.text, label=label)


def _xsid(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, f"xsid:{line.id}")
        if line.tokens and all(line.tokens):
            yield Tokens(**about, tokens=line.tokens, tags=line.slots)
        yield Label(**about, text=line.text, label=line.intent)


def _presidio(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    for line in lines:
        words = tuple(_WORD.finditer(line.text))
        about = origin.about(line, f"presidio_pii:{line.template_id}")
        tags = tuple(_tag(word, line.spans) for word in words)
        yield Tokens(**about, tokens=tuple(word[0] for word in words), tags=tags)


def _dialogues(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    """One row for each reply to a customer, without passages."""
    for number, line in enumerate(lines):
        # Our tags leave the script out, and Hindi in Latin letters is not what a model expects.
        if line.lang == "hi-Latn":
            continue
        about = origin.about(line, f"{origin.name}:{line.id or number}")
        said = [_said(place, turn) for place, turn in enumerate(line.turns)]
        for before, after in zip(range(len(said)), said[1:], strict=False):
            history = tuple(said[max(0, before + 1 - _HISTORY) : before + 1])
            if history[-1].author is Author.CUSTOMER and after.author is not Author.CUSTOMER:
                yield Reply(**about, messages=history, reply=after.text)


def _support(lines: Iterable[_Line], origin: _Origin) -> Iterator[Example]:
    """Articles with questions to them, each a translation of an English one or its questions."""
    earlier: deque[_Line] = deque(maxlen=_EARLIER)
    for topic, found in groupby(lines, key=lambda line: line.topic):
        article = tuple(found)
        english = article[0]
        for line in article:
            about = origin.about(line, f"support:{topic}")
            readable = (english, line) if line is not english and line.sentences else (english,)
            for read in readable:
                yield from _asked(line, read, english.answers, about)
                yield from _pointed(line, (read, *earlier), english.answers, about)
            for text in line.questions:
                yield Label(**about, text=text, label="question")
            if line is not english:
                yield from _translated(english, line, {**about, "lang": "en"})
        earlier.extend(article)


def _asked(
    line: _Line, article: _Line, answers: Sequence[tuple[int, ...]], about: Mapping[str, Any]
) -> Iterator[Question]:
    """The questions with their article, and with what answers them in it."""
    for query, numbers in zip(line.questions, answers, strict=True):
        if numbers:
            whole = "\n".join((article.title, " ".join(article.sentences)))
            told = " ".join(article.sentences[number - 1] for number in numbers)
            yield Question(**about, query=query, passage=whole)
            yield Question(**about, query=query, passage=told)


def _pointed(
    line: _Line,
    articles: Sequence[_Line],
    answers: Sequence[tuple[int, ...]],
    about: Mapping[str, Any],
) -> Iterator[Reply]:
    """The questions among passages, and the numbers of the sentences that answer them.

    The first of `articles` is the one that they are about; others that are in its language stand
    beside it or in its stead. Some sentences that do not answer are left out, lest what a question
    is about tell the number.
    """
    first, *others = articles
    alike = [(one.title, one.sentences) for one in others if one.lang == first.lang]
    chance = random.Random(f"{line.topic} {line.lang} {first.lang}")
    before: tuple[Said, ...] = ()
    for query, numbers in zip(line.questions, answers, strict=True):
        asking = Said(author=Author.CUSTOMER, text=query)
        history = before if chance.random() < _LATER else ()
        before = _before(asking, first, numbers)
        kept = [
            (number, sentence)
            for number, sentence in enumerate(first.sentences, start=1)
            if number in numbers or chance.random() < _SHOWN
        ]
        article = (first.title, tuple(sentence for _, sentence in kept))
        strange = [
            (title, _part(sentences, chance))
            for title, sentences in chance.sample(alike, min(len(alike), _STRANGERS))
        ][: chance.randint(0, _STRANGERS)]
        shown = [article, *strange]
        if strange and chance.random() < _UNANSWERED:
            shown = strange
        chance.shuffle(shown)
        if not all(_cut_alike(sentences) for _, sentences in shown):
            continue
        place = next((at for at, one in enumerate(shown, start=1) if one is article), 0)
        told = [at for at, (number, _) in enumerate(kept, start=1) if number in numbers and place]
        yield Reply(
            **about,
            messages=(*history, asking),
            passages=tuple(
                Evidence(title=title, text=" ".join(sentences)) for title, sentences in shown
            ),
            reply=" ".join(f"{{{place}.{at}}}" for at in told) or NO_ANSWER,
        )


def _before(asking: Said, article: _Line, numbers: Sequence[int]) -> tuple[Said, ...]:
    """A question with its answer, as what was said before the next one."""
    answer = " ".join(article.sentences[number - 1] for number in numbers)
    return (asking, Said(author=Author.BOT, text=answer)) if answer else ()


def _part(sentences: Sequence[str], chance: random.Random) -> tuple[str, ...]:
    """A few sentences that stand together, as in a passage of a long article."""
    size = chance.randint(1, _SENTENCES)
    start = chance.randint(0, max(0, len(sentences) - size))
    return tuple(sentences[start : start + size])


def _cut_alike(sentences: Sequence[str]) -> bool:
    """Whether production would number an article's sentences as its line does."""
    cut = [one.strip() for one in split(" ".join(sentences))]
    return bool(cut) and cut == [one.strip() for one in sentences]


def _translated(english: _Line, line: _Line, about: Mapping[str, Any]) -> Iterator[Parallel]:
    texts = (english.title, *english.questions, *english.sentences)
    # An article of which the questions alone are translated ends with these.
    for text, target in zip(texts, (line.title, *line.questions, *line.sentences), strict=False):
        yield Parallel(**about, text=text, target_lang=line.lang, target=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """Files of one form; an empty licence stands in the rows."""

    licence: str
    files: str
    read: _Read


SETS: Mapping[str, PublicSet] = {
    "parallel": PublicSet(licence="", files="*", read=_parallel),
    "monolingual": PublicSet(licence="", files="*", read=_monolingual),
    "tldr": PublicSet(licence="CC-BY-4.0", files="pairs", read=_tldr),
    "spree_i18n": PublicSet(licence="BSD-3-Clause", files="pairs", read=_spree),
    "ntrex": PublicSet(licence="CC-BY-SA-4.0", files="train", read=_ntrex),
    "clinc150": PublicSet(licence="CC-BY-3.0", files="train", read=_intents),
    "banking77": PublicSet(licence="CC-BY-4.0", files="train", read=_intents),
    "hwu64": PublicSet(licence="CC-BY-4.0", files="train", read=_intents),
    "bitext": PublicSet(licence="CDLA-Sharing-1.0", files="train", read=_intents),
    "xed_emotions": PublicSet(licence="CC-BY-4.0", files="train", read=_xed),
    "nusax": PublicSet(licence="CC-BY-SA-4.0", files="sentiment_train", read=_nusax),
    "xsid": PublicSet(licence="CC-BY-SA-4.0", files="dev", read=_xsid),
    "presidio_pii": PublicSet(licence="MIT", files="train", read=_presidio),
    "sgd": PublicSet(licence="CC-BY-SA-4.0", files="train", read=_dialogues),
    "taskmaster4": PublicSet(licence="CC-BY-4.0", files="train", read=_dialogues),
    "chatterbot": PublicSet(licence="BSD-3-Clause", files="train", read=_dialogues),
    "support": PublicSet(licence="Apache-2.0", files="*", read=_support),
    "abcd_policies": PublicSet(licence="MIT", files="sample_dialogues", read=_dialogues),
}


def read(folder: Path, name: str) -> Iterator[Example]:
    """The rows of one set, in the order of its files.

    Raises: Rejected: the folder has no such set, or a line of it is not in its form.
    """
    one, below = SETS[name], folder / name
    paths = sorted(below.glob(f"{one.files}.jsonl*"))
    if not paths:
        raise Rejected(f"{below}: holds no {one.files}.jsonl or {one.files}.jsonl.gz")
    licences = {} if one.licence else _licences(folder)
    for path in paths:
        stem = path.name.partition(".")[0]
        origin = _Origin(folder=below, name=name, stem=stem, licence=one.licence, licences=licences)
        yield from one.read(stream(path, _Line.model_validate_json), origin)


def _licences(folder: Path) -> dict[str, str]:
    """The licence of each repository, as the table of sources says."""
    path = folder / "parallel" / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {source: spdx(licence) for source, licence in _TABLE_ROW.findall(text)}
    if not found:
        raise Rejected(f"{path}: has no table of sources with their licences")
    return found


def _file(folder: Path, stem: str) -> Path:
    return next(iter(sorted(folder.glob(f"{stem}.jsonl*"))), folder / f"{stem}.jsonl.gz")


def _english(text: str) -> str:
    return f"en:{fingerprint(text) & (2**64 - 1):016x}"


def _by_text(line: _Line) -> str:
    return _english(line.text)


def _said(place: int, turn: _Turn | str) -> Said:
    if isinstance(turn, str):
        return Said(author=Author.BOT if place % 2 else Author.CUSTOMER, text=turn)
    return Said(author=_AUTHORS.get(turn.role, Author.AGENT), text=turn.text)


def _tag(word: re.Match[str], spans: Iterable[_Span]) -> str:
    for span in spans:
        if span.start <= word.start() < span.end:
            name = _TYPES.get(span.type, span.type)
            return f"B-{name}" if word.start() == span.start else f"I-{name}"
    return "O"
