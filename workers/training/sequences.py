"""Makes the texts and pairs of texts that an encoder is pre-trained on."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np

from core.language import same_language
from workers.training.dataset.examples import Example, Parallel, Text

Objective = Literal["mlm", "nsp", "tlm"]
# How long each of some paragraphs is, in tokens.
Measure = Callable[[Sequence[str]], Sequence[int]]
Paragraphs = tuple[str, ...]

# What a loss passes over.
IGNORED = -100
# Whether a second text follows the first one; the numbers are BERT's.
FOLLOWS, STRANGE = 0, 1

_BREAK = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One text, or two in one sequence; `language` of a translation names both."""

    language: str
    first: str
    second: str = ""
    label: int = IGNORED


def texts(rows: Iterable[Example]) -> Iterator[Drawn]:
    """Each document as a whole."""
    for row in rows:
        if isinstance(row, Text):
            yield Drawn(language=row.lang, first=_BREAK.join(row.paragraphs))


def translations(rows: Iterable[Example]) -> Iterator[Drawn]:
    """Texts beside their translations in another language; either comes first as often."""
    order = count()
    for row in rows:
        if isinstance(row, Parallel) and not same_language(row.lang, row.target_lang):
            sides = (row.text, row.target) if next(order) % 2 else (row.target, row.text)
            language = f"{row.lang}+{row.target_lang}"
            yield Drawn(language=language, first=sides[0], second=sides[1])


def neighbours(rows: Iterable[Example], measure: Measure, size: int, seed: int) -> Iterator[Drawn]:
    """Documents in halves that follow one another, or in every other pair do not.

    A half that does not follow is from another document of the same language. A pair has about
    `size` tokens, more where two paragraphs have. What has no neighbour stands alone, without a
    label.
    """
    documents: dict[str, list[Paragraphs]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Text):
            documents[row.lang].append(row.paragraphs)
    random = np.random.default_rng(seed)
    for language in sorted(documents):
        yield from _neighbours(language, documents[language], measure, size, random)


def _neighbours(
    language: str,
    documents: Sequence[Paragraphs],
    measure: Measure,
    size: int,
    random: np.random.Generator,
) -> Iterator[Drawn]:
    order = count()
    for at, paragraphs in enumerate(documents):
        sizes, start = measure(paragraphs), 0
        while start < len(paragraphs):
            end = _end(sizes, start, size)
            if end - start == 1 or len(documents) == 1:
                yield Drawn(language=language, first=_BREAK.join(paragraphs[start:end]))
                start = end
                continue
            cut = int(random.integers(start + 1, end))
            first, second, label = paragraphs[start:cut], paragraphs[cut:end], FOLLOWS
            start = end
            if next(order) % 2:
                # The half that is not used begins the next pair.
                start, label = cut, STRANGE
                second = _elsewhere(documents, at, len(second), random)
            yield Drawn(
                language=language,
                first=_BREAK.join(first),
                second=_BREAK.join(second),
                label=label,
            )


def _end(sizes: Sequence[int], start: int, limit: int) -> int:
    """Where a piece ends that has as many whole paragraphs as fit, at least two if there are."""
    end, total = start, 0
    while end < len(sizes) and (end - start < 2 or total + sizes[end] <= limit):
        total += sizes[end]
        end += 1
    return end


def _elsewhere(
    documents: Sequence[Paragraphs], at: int, length: int, random: np.random.Generator
) -> Paragraphs:
    other = documents[(at + int(random.integers(1, len(documents)))) % len(documents)]
    start = int(random.integers(0, len(other)))
    return other[start : start + length]
