"""Whole help centres with questions to them, written for this project, read as rows.

What a desk shows its model are passages of one firm, near to each other and to the question, some
of them in two languages. Among articles of firms that have nothing in common an answer is found
too easily, and what nothing answers is told too easily from the rest. But a desk is asked for other
things than its own as well, and shows whatever is nearest to them.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from core.prompt import NO_ANSWER
from core.turn import Author
from workers.training.dataset.examples import Evidence, Example, Parallel, Question, Reply, Said
from workers.training.dataset.lines import Line, Origin
from workers.training.dataset.support import any_one, as_passage, cut_alike

# How many passages a question stands among, of how many sentences; how often they are of both
# languages that a firm writes, how often what answers is left out, and how often all of them are
# another firm's. A firm further back than so many is forgotten.
_PASSAGES, _SENTENCES, _MIXED, _LACKING, _STRANGE = (2, 5), (2, 4), 0.3, 0.15, 0.08
_EARLIER = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """Sentences that stand together in an article, each with its place in the firm's articles."""

    title: str
    sentences: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


def firms(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    """A firm's articles in English and another language, and questions to them in three."""
    earlier: deque[Sequence[Line]] = deque(maxlen=_EARLIER)
    for firm, found in groupby(lines, key=lambda line: line.firm):
        told = tuple(found)
        english = told[0]
        written = [line for line in told if line.articles]
        for line in told:
            about = origin.about(line, f"firm:{firm}")
            for read in (one for one in written if one.lang in ("en", line.lang)):
                yield from _asked(line, read, english.places, about)
                for draw in range(origin.draws):
                    yield from _pointed(line, (read, written, earlier), english.places, about, draw)
            if line is not english:
                yield from _translated(english, line, {**about, "lang": "en"})
        earlier.append(written)


def _asked(
    line: Line,
    read: Line,
    places: Sequence[Sequence[tuple[int, int]]],
    about: Mapping[str, Any],
) -> Iterator[Question]:
    """The questions with an article that answers them, and with the sentence that does.

    Beside each goes another one of the firm, or of the article, that does not.
    """
    chance = random.Random(f"{line.firm} {line.lang} {read.lang} asked")
    for query, right in zip(line.questions, places, strict=True):
        answering = {number for number, _ in right}
        others = [one for at, one in enumerate(read.articles, start=1) if at not in answering]
        for number, at in right[:1]:
            article = read.articles[number - 1]
            beside = [
                sentence
                for place, sentence in enumerate(article.sentences, start=1)
                if (number, place) not in right
            ]
            yield Question(
                **about,
                query=query,
                passage=as_passage(article.title, article.sentences),
                negatives=tuple(
                    as_passage(one.title, one.sentences) for one in any_one(others, chance)
                ),
            )
            yield Question(
                **about,
                query=query,
                passage=article.sentences[at - 1],
                negatives=any_one(beside, chance),
            )


def _pointed(
    line: Line,
    written: tuple[Line, Sequence[Line], Sequence[Sequence[Line]]],
    places: Sequence[Sequence[tuple[int, int]]],
    about: Mapping[str, Any],
    draw: int,
) -> Iterator[Reply]:
    """The questions among passages of the firm, and the number of the sentence that answers.

    `written` is what the firm has in one language and in all that it writes, and what others have.
    """
    read, own, strange = written
    chance = random.Random(f"{line.firm} {line.lang} {read.lang} {draw}")
    for query, right in zip(line.questions, places, strict=True):
        wanted = set(right)
        shelf = own if chance.random() < _MIXED else [read]
        if strange and chance.random() < _STRANGE:
            wanted, shelf = set(), chance.choice(strange)
        shown = _chosen([one for line in shelf for one in _passages(line, chance)], wanted, chance)
        if not all(cut_alike(one.sentences) for one in shown):
            continue
        named = [
            f"{{{number}.{at}}}"
            for number, one in enumerate(shown, start=1)
            for at, place in enumerate(one.places, start=1)
            if place in wanted
        ]
        yield Reply(
            **about,
            messages=(Said(author=Author.CUSTOMER, text=query),),
            passages=tuple(
                Evidence(title=one.title, text=" ".join(one.sentences)) for one in shown
            ),
            reply=named[0] if named else NO_ANSWER,
        )


def _chosen(
    known: Sequence[_Shown], wanted: set[tuple[int, int]], chance: random.Random
) -> list[_Shown]:
    """One passage that answers, unless it is to be lacking, and others that do not."""
    answering = [one for one in known if wanted.intersection(one.places)]
    others = [one for one in known if one not in answering]
    shown = chance.sample(answering, 1) if answering and chance.random() >= _LACKING else []
    count = min(len(others), chance.randint(*_PASSAGES) - len(shown))
    shown += chance.sample(others, count)
    chance.shuffle(shown)
    return shown


def _passages(line: Line, chance: random.Random) -> Iterator[_Shown]:
    """The articles of a firm in one language, cut where it happens."""
    for number, article in enumerate(line.articles, start=1):
        start = 0
        while start < len(article.sentences):
            end = min(len(article.sentences), start + chance.randint(*_SENTENCES))
            yield _Shown(
                title=article.title,
                sentences=article.sentences[start:end],
                places=tuple((number, at) for at in range(start + 1, end + 1)),
            )
            start = end


def _translated(english: Line, line: Line, about: Mapping[str, Any]) -> Iterator[Parallel]:
    for text, target in zip(_texts(english), _texts(line), strict=False):
        yield Parallel(**about, text=text, target_lang=line.lang, target=target)


def _texts(line: Line) -> list[str]:
    """The questions, then the articles, which are not there in every language."""
    articles = [text for one in line.articles for text in (one.title, *one.sentences)]
    return [*line.questions, *articles]
