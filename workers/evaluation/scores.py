"""Judged rows to metrics, over all of them, by language, with the width of chance."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.writing import Progress
from workers.evaluation.metrics import Flags, Numbers

Rows = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
"""What metrics are made of, without any text: arrays by name, each with a place for each row."""
Measure = Callable[[Columns, Rows], dict[str, float]]
"""The metrics of the rows with these numbers, of which some may come twice."""

_DRAWS = 500
_PLACES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of each row; `languages` has a tag for every one, `und` if it has none.

    `alone` measures one language's rows, where that is another thing. `stated` gives
    probabilities, and for each whether what it was stated of holds. `parts` names what was judged,
    such as a model, by its kind. `notes` are for the reader.
    """

    languages: Sequence[str]
    columns: Columns
    measure: Measure
    alone: Measure | None = None
    stated: Callable[[Columns], tuple[Numbers, Flags]] | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def rows(self) -> Rows:
        """The numbers of all rows."""
        return np.arange(len(self.languages))

    def by_language(self) -> dict[str, Rows]:
        """The numbers of each language's rows, most rows first."""
        tags = np.asarray(self.languages)
        counts = sorted(Counter(self.languages).items(), key=lambda item: (-item[1], item[0]))
        return {tag: np.flatnonzero(tags == tag) for tag, _ in counts}

    def of_language(self) -> Measure:
        """What measures the rows of one language."""
        return self.alone or self.measure


def overall(judged: Judged) -> dict[str, float]:
    """The metrics over all rows."""
    return _rounded(judged.measure(judged.columns, judged.rows()))


def by_language(judged: Judged) -> dict[str, dict[str, float]]:
    """The metrics of each language and its number of rows, most rows first."""
    measure = judged.of_language()
    return {
        tag: {**_rounded(measure(judged.columns, rows)), "rows": len(rows)}
        for tag, rows in judged.by_language().items()
    }


Interval = tuple[float, float]


def intervals(judged: Judged) -> dict[str, Interval]:
    """Where 95 % of the overall metrics lie when as many rows are drawn anew, with repetition."""
    return _intervals(judged.measure, judged.columns, judged.rows())


def intervals_by_language(judged: Judged, progress: Progress) -> dict[str, dict[str, Interval]]:
    """The same for the rows of each language."""
    found: dict[str, dict[str, Interval]] = {}
    groups = judged.by_language()
    for tag, rows in groups.items():
        progress("drawing rows anew", len(found), len(groups))
        found[tag] = _intervals(judged.of_language(), judged.columns, rows)
    return found


def _intervals(measure: Measure, columns: Columns, rows: Rows) -> dict[str, Interval]:
    dice = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {}
    for _ in range(_DRAWS):
        for name, value in measure(columns, dice.choice(rows, len(rows))).items():
            drawn.setdefault(name, []).append(value)
    return {name: interval(values) for name, values in drawn.items()}


def interval(values: Sequence[float]) -> Interval:
    """The middle 95 % of draws."""
    low, high = np.percentile(values, [2.5, 97.5])
    return round(float(low), _PLACES), round(float(high), _PLACES)


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _PLACES) for name, value in metrics.items()}
