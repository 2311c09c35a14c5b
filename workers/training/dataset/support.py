"""Help articles with questions to them, written for this project, read as rows."""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

from core.prompt import NO_ANSWER
from core.sentences import split
from core.turn import Author
from workers.training.dataset.examples import (
    Evidence,
    Example,
    Label,
    Parallel,
    Question,
    Reply,
    Said,
)
from workers.training.dataset.lines import Line, Origin

# How many lines back an article may stand beside another one, how many may, by how many of their
# sentences, how much of the article itself is shown, how often others are in its stead, and how
# often another question was asked before. In draws after the first, how often what answers is left
# out of the article.
_EARLIER, _STRANGERS, _SENTENCES, _SHOWN, _UNANSWERED, _LATER = 240, 3, 4, 0.6, 0.2, 0.3
_LACKING = 0.15
# The kind of what an article answers, and a person would rather be called for.
_WISH = "person"

_Item = TypeVar("_Item")


def support(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    """Articles with questions to them, each a translation of an English one or its questions."""
    earlier: deque[Line] = deque(maxlen=_EARLIER)
    for topic, found in groupby(lines, key=lambda line: line.topic):
        article = tuple(found)
        english = article[0]
        for line in article:
            about = origin.about(line, f"support:{_subject(topic)}")
            readable = (english, line) if line is not english and line.sentences else (english,)
            for read in readable:
                yield from _asked(line, read, english.answers, about)
                for draw in range(origin.draws):
                    yield from _pointed(line, (read, *earlier), english.answers, about, draw)
            for text, kind in zip(line.questions, english.kinds, strict=True):
                if kind != _WISH:
                    yield Label(**about, text=text, label="question")
            if line is not english:
                yield from _translated(english, line, {**about, "lang": "en"})
        earlier.extend(article)


def _asked(
    line: Line, article: Line, answers: Sequence[tuple[int, ...]], about: Mapping[str, Any]
) -> Iterator[Question]:
    """The questions with their article, and with what answers them in it.

    Beside the latter goes a sentence of the article that does not.
    """
    chance = random.Random(f"{line.topic} {line.lang} {article.lang} asked")
    for query, numbers in zip(line.questions, answers, strict=True):
        if numbers:
            told = " ".join(article.sentences[number - 1] for number in numbers)
            yield Question(
                **about, query=query, passage=as_passage(article.title, article.sentences)
            )
            beside = [
                sentence
                for number, sentence in enumerate(article.sentences, start=1)
                if number not in numbers
            ]
            wrong = any_one(beside, chance)
            yield Question(**about, query=query, passage=told, negatives=wrong)


def _pointed(
    line: Line,
    articles: Sequence[Line],
    answers: Sequence[tuple[int, ...]],
    about: Mapping[str, Any],
    draw: int,
) -> Iterator[Reply]:
    """The questions among passages, and the numbers of the sentences that answer them.

    The first of `articles` is the one that they are about; others that are in its language, and
    about something else, stand beside it or in its stead. Some sentences that do not answer are
    left out, lest what a question is about tell the number. Each `draw` chooses others.
    """
    first, *others = articles
    alike = [
        (one.title, one.sentences)
        for one in others
        if one.lang == first.lang and _subject(one.topic) != _subject(first.topic)
    ]
    chance = random.Random(f"{line.topic} {line.lang} {first.lang}" + f" {draw}" * bool(draw))
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
        if draw and chance.random() < _LACKING:
            kept = [one for one in kept if one[0] not in numbers]
        article = (first.title, tuple(sentence for _, sentence in kept))
        strange = [
            (title, _part(sentences, chance))
            for title, sentences in chance.sample(alike, min(len(alike), _STRANGERS))
        ][: chance.randint(0, _STRANGERS)]
        shown = [article, *strange]
        if strange and chance.random() < _UNANSWERED:
            shown = strange
        chance.shuffle(shown)
        if not all(cut_alike(sentences) for _, sentences in shown):
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


def _subject(topic: str) -> str:
    """What stands before the slash: articles with one name there may answer the same question."""
    return topic.partition("/")[0]


def _before(asking: Said, article: Line, numbers: Sequence[int]) -> tuple[Said, ...]:
    """A question with its answer, as what was said before the next one."""
    answer = " ".join(article.sentences[number - 1] for number in numbers)
    return (asking, Said(author=Author.BOT, text=answer)) if answer else ()


def _part(sentences: Sequence[str], chance: random.Random) -> tuple[str, ...]:
    """A few sentences that stand together, as in a passage of a long article."""
    size = chance.randint(1, _SENTENCES)
    start = chance.randint(0, max(0, len(sentences) - size))
    return tuple(sentences[start : start + size])


def as_passage(title: str, sentences: Sequence[str]) -> str:
    """A whole article, as an encoder reads it."""
    return "\n".join((title, " ".join(sentences)))


def any_one(found: Sequence[_Item], chance: random.Random) -> tuple[_Item, ...]:
    """One of them, if there is any."""
    return tuple(chance.sample(found, min(1, len(found))))


def cut_alike(sentences: Sequence[str]) -> bool:
    """Whether production would number an article's sentences as its line does."""
    cut = [one.strip() for one in split(" ".join(sentences))]
    return bool(cut) and cut == [one.strip() for one in sentences]


def _translated(english: Line, line: Line, about: Mapping[str, Any]) -> Iterator[Parallel]:
    texts = (english.title, *english.questions, *english.sentences)
    # An article of which the questions alone are translated ends with these.
    for text, target in zip(texts, (line.title, *line.questions, *line.sentences), strict=False):
        yield Parallel(**about, text=text, target_lang=line.lang, target=target)
