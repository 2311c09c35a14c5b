"""Judged rows to metrics, over all of them, by language, with the width of chance."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Measure = Callable[[Rows], dict[str, float]]

_DRAWS = 500
_PLACES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of each row; `languages` has a tag for every one, `und` if it has none.

    `measure` gives the metrics of the rows with these numbers, of which some may come twice;
    `alone` those of one language's rows, where they are others. `notes` are for the reader.
    """

    languages: Sequence[str]
    measure: Measure
    alone: Measure | None = None
    notes: tuple[str, ...] = ()


def overall(judged: Judged) -> dict[str, float]:
    """The metrics over all rows."""
    return _rounded(judged.measure(np.arange(len(judged.languages))))


def by_language(judged: Judged) -> dict[str, dict[str, float]]:
    """The metrics of each language and its number of rows, most rows first."""
    tags = np.asarray(judged.languages)
    measure = judged.alone or judged.measure
    counts = sorted(Counter(judged.languages).items(), key=lambda item: (-item[1], item[0]))
    return {
        tag: {**_rounded(measure(np.flatnonzero(tags == tag))), "rows": count}
        for tag, count in counts
    }


def intervals(judged: Judged) -> dict[str, tuple[float, float]]:
    """Where 95 % of the overall metrics lie when as many rows are drawn anew, with repetition."""
    count = len(judged.languages)
    dice = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {}
    for _ in range(_DRAWS):
        for name, value in judged.measure(dice.integers(0, count, count)).items():
            drawn.setdefault(name, []).append(value)
    return {
        name: (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))
        for name, values in drawn.items()
    }


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _PLACES) for name, value in metrics.items()}
