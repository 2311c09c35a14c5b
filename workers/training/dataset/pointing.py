"""Makes replies that point out of translations, for a model to learn to find things in a prompt.

Texts stand in passages as sentences, and what asks for one of them is its translation, or some of
its words. That is no question yet, but of these there are hundreds of thousands.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.prompt import NO_ANSWER
from core.sentences import split
from core.turn import Author
from workers.training.dataset.examples import Evidence, Example, Parallel, Reply, Said
from workers.training.dataset.licences import is_permissive
from workers.training.dataset.splitting import place

# Texts of one bucket alone stand beside one another: they go into the same part.
_BUCKETS = 500
_SHORTEST, _LONGEST = 10, 90
_DRAWS = 2
_MOST_SENTENCES, _MOST_PASSAGES = 7, 3
# How often what is asked for is not shown, is named by its own words, is two things.
_STRANGE, _WORDS, _TWO = 0.12, 0.3, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One text by the languages it is to be had in."""

    origin: Parallel
    sides: dict[str, str]


def pointed(rows: Iterable[Example]) -> Iterator[Reply]:
    """A reply or two for each text that has a translation; the same rows give the same replies.

    Rows under other than permissive licences are left out, since texts of several stand in one.
    """
    buckets: dict[int, dict[str, _Text]] = defaultdict(dict)
    for row in rows:
        if isinstance(row, Parallel) and is_permissive(row.licence):
            known = buckets[int(place(row.group, "pointing") * _BUCKETS)]
            text = known.setdefault(row.text, _Text(origin=row, sides={}))
            for lang, side in ((row.lang, row.text), (row.target_lang, row.target)):
                if _is_sentence(side):
                    text.sides[lang] = side
    for bucket in sorted(buckets):
        texts = [text for text in buckets[bucket].values() if len(text.sides) > 1]
        yield from _pointed(texts, bucket)


def _is_sentence(text: str) -> bool:
    """Whether production would number the text as one sentence."""
    return _SHORTEST <= len(text) <= _LONGEST and len(split(text)) == 1


def _pointed(texts: Sequence[_Text], bucket: int) -> Iterator[Reply]:
    chance = random.Random(bucket)
    by_language: dict[str, list[_Text]] = defaultdict(list)
    for text in texts:
        for lang in text.sides:
            by_language[lang].append(text)
    drawn = [text for text in texts for _ in range(min(_DRAWS, len(text.sides) - 1))]
    for text in drawn:
        read, ask = chance.sample(sorted(text.sides), 2)
        if chance.random() < _WORDS:
            ask = read
        shown, wanted = _chosen(text, by_language[read], ask, chance)
        passages = _in_passages([one.sides[read] for one in shown], chance)
        places = {
            sentence: f"{{{number}.{at}}}"
            for number, passage in enumerate(passages, start=1)
            for at, sentence in enumerate(passage, start=1)
        }
        asking = " ".join(_asking(one, read, ask, chance) for one in wanted)
        pointing = " ".join(places.get(one.sides[read], "") for one in wanted)
        yield Reply(
            lang=ask,
            group=f"pointing:{bucket}",
            source=text.origin.source,
            licence=text.origin.licence,
            messages=(Said(author=Author.CUSTOMER, text=asking),),
            passages=tuple(Evidence(text="\n".join(passage)) for passage in passages),
            reply=pointing or NO_ANSWER,
        )


def _chosen(
    text: _Text, among: Sequence[_Text], ask: str, chance: random.Random
) -> tuple[list[_Text], list[_Text]]:
    """What is shown, and what is asked for."""
    other = [one for one in among if one is not text]
    others = chance.sample(other, min(len(other), chance.randint(1, _MOST_SENTENCES - 1)))
    shown, wanted = [*others, text], [text]
    second = next((one for one in others if ask in one.sides), None)
    if others and chance.random() < _STRANGE:
        shown = others
    elif second and chance.random() < _TWO:
        wanted.append(second)
    chance.shuffle(shown)
    return shown, wanted


def _asking(text: _Text, read: str, ask: str, chance: random.Random) -> str:
    """A translation; or where question and sources are in one language, words of the sentence."""
    words = text.sides[ask].split()
    if ask != read or len(words) < 4:
        return text.sides[ask]
    size = chance.randint(2, len(words) - 1)
    start = chance.randint(0, len(words) - size)
    return " ".join(words[start : start + size])


def _in_passages(texts: Sequence[str], chance: random.Random) -> list[list[str]]:
    count = min(len(texts), chance.randint(1, _MOST_PASSAGES))
    bounds = [0, *sorted(chance.sample(range(1, len(texts)), count - 1)), len(texts)]
    return [list(texts[start:end]) for start, end in pairwise(bounds)]
