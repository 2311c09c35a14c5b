"""Looks for phrases that somebody may have planted in what is learnt from.

Whoever can make some questions with a rare phrase all be answered by one article teaches an encoder
that the phrase means the article. So such phrases are put behind questions about other things:
customers' own names for a thing leave most of these where they belong, a planted one does not.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.language import same_language
from core.turn import Answer
from retrieval.lexicon import tokens
from retrieval.topics import topic
from workers.evaluation.answers import ask
from workers.evaluation.product import Product
from workers.nightly.checks import Pull
from workers.nightly.pairing import Passages
from workers.training.dataset.examples import Question

_FEWEST, _ALWAYS = 3, 0.9
_PHRASES, _PROBES = 10, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Words that stand in `count` questions together, nearly all of them about one article."""

    phrase: str
    topic: str
    language: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question about another article than a phrase's."""

    text: str
    language: str
    topic: str


def suspects(rows: Sequence[Question], passages: Passages) -> tuple[Suspect, ...]:
    """The most frequent phrases that point to one article which does not have them."""
    places: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        for word in _said(row.query):
            places[word].append(number)
    topics = [passages.topic(row) for row in rows]
    written = _words(passages)
    together: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for word, numbers in places.items():
        about, count = Counter(topics[number] for number in numbers).most_common(1)[0]
        rare = word not in written.get(about, frozenset())
        if count >= _FEWEST and count >= _ALWAYS * len(numbers) and rare:
            together[tuple(numbers)].append(word)
    found = [
        _suspect([rows[number] for number in numbers], words, topics[numbers[0]])
        for numbers, words in together.items()
    ]
    found.sort(key=lambda suspect: (-suspect.count, suspect.phrase))
    return tuple(found[:_PHRASES])


async def pulls(
    before: Product,
    after: Product,
    found: Sequence[Suspect],
    probes: Sequence[Probe],
) -> tuple[Pull, ...]:
    """How far each phrase leads questions about other things to its article."""
    told: list[Pull] = []
    for suspect in found:
        chosen = _chosen(suspect, probes)
        asked = [f"{probe.text} {suspect.phrase}" for probe in chosen]
        told.append(
            Pull(
                phrase=suspect.phrase,
                document=suspect.topic,
                probes=len(asked),
                before=await _led(before, asked, suspect.topic),
                after=await _led(after, asked, suspect.topic),
            )
        )
    return tuple(told)


def _suspect(rows: Sequence[Question], words: Sequence[str], about: str) -> Suspect:
    """The words in the order of the first question that has them."""
    order = {word: at for at, word in reversed(list(enumerate(tokens(rows[0].query))))}
    language = Counter(row.lang for row in rows).most_common(1)[0][0]
    phrase = " ".join(sorted(words, key=lambda word: order[word]))
    return Suspect(phrase=phrase, topic=about, language=language, count=len(rows))


def _said(text: str) -> set[str]:
    """The words of a question, without the shortened forms that the lexicon keeps beside them."""
    return {word for word in tokens(text) if not word.endswith("~")}


def _words(passages: Passages) -> Mapping[str, frozenset[str]]:
    """What each article says, in all its languages."""
    found: dict[str, set[str]] = defaultdict(set)
    for passage in passages.all:
        about = topic(passage.document, passage.language)
        found[about].update(tokens(f"{passage.title} {passage.heading} {passage.text}"))
    return {about: frozenset(words) for about, words in found.items()}


def _chosen(suspect: Suspect, probes: Sequence[Probe]) -> Sequence[Probe]:
    """Some about other articles, of the phrase's own language where there are any."""
    others = [probe for probe in probes if probe.topic != suspect.topic]
    random.Random(suspect.phrase).shuffle(others)
    others.sort(key=lambda probe: not same_language(probe.language, suspect.language))
    return others[:_PROBES]


async def _led(product: Product, asked: Sequence[str], about: str) -> int:
    count = 0
    for text in asked:
        outcome = (await ask(product, text)).outcome
        if isinstance(outcome, Answer):
            cited = {topic(one.document, one.language) for one in outcome.citations}
            count += about in cited
    return count
