"""Tells whether one version beats another on the same rows, or chance made it look so."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1_000

Score = Callable[[NDArray[Any]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A metric of both versions, and the 95 % interval of `after - before`.

    `p` is how often chance alone makes the two differ as much, in either direction; it cannot fall
    below 1 / (draws + 1).
    """

    before: float
    after: float
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """By how much it has grown."""
        return self.after - self.before


def paired_bootstrap(
    before: NDArray[Any],
    after: NDArray[Any],
    score: Score = lambda rows: float(rows.mean()),
    *,
    clusters: NDArray[Any] | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
) -> Difference:
    """Compare two versions by what each row adds to a score: the first axis is that of the rows.

    The mean of numbers is the default; for BLEU and its like, give `text_metrics.statistics` of
    both with `partial(text_metrics.corpus_score, metric)`. Rows with the same number in `clusters`
    are drawn together, since one of them foretells the others; the score is over all rows drawn.

    Raises: ValueError: the versions have not the same number of rows, or there are none.
    Source: Koehn, EMNLP 2004; p after Riezler and Maxwell, 2005; clusters after Field and Welsh,
        Journal of the Royal Statistical Society B, 2007.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f"{len(before)} rows cannot be compared with {len(after)}")
    return differences(
        lambda rows: {"score": score(before[rows])},
        lambda rows: {"score": score(after[rows])},
        np.arange(len(before)),
        clusters=clusters,
        draws=draws,
        seed=seed,
    )["score"]


Measured = Callable[[NDArray[np.int64]], Mapping[str, float]]


def differences(
    before: Measured,
    after: Measured,
    rows: NDArray[np.int64],
    *,
    clusters: NDArray[Any] | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
) -> dict[str, Difference]:
    """The same for metrics by name, each measured on the rows with given numbers.

    `clusters` has a number for each of these rows. A metric that one version lacks is left out; so
    is a draw in which it is not defined.
    """
    was, now = before(rows), after(rows)
    drawn: dict[str, list[float]] = {name: [] for name in now if name in was}
    of = np.arange(len(rows)) if clusters is None else clusters
    for chosen in _drawn(rows, of, draws, seed):
        one, other = before(chosen), after(chosen)
        for name, changes in drawn.items():
            if name in one and name in other:
                changes.append(other[name] - one[name])
    return {
        name: _difference(was[name], now[name], np.array(changes))
        for name, changes in drawn.items()
        if changes
    }


def _drawn(
    rows: NDArray[np.int64], clusters: NDArray[Any], draws: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """As many clusters as there are, drawn anew with repetition, each with all its rows."""
    dice = np.random.default_rng(seed)
    # Those of a cluster stand behind one another, from its start on.
    ordered = rows[np.argsort(clusters, kind="stable")]
    _, starts, sizes = np.unique(np.sort(clusters), return_index=True, return_counts=True)
    for _ in range(draws):
        chosen = dice.integers(len(sizes), size=len(sizes))
        many = sizes[chosen]
        begun = np.cumsum(many) - many
        yield ordered[np.arange(many.sum()) + np.repeat(starts[chosen] - begun, many)]


def _difference(before: float, after: float, changes: NDArray[np.float64]) -> Difference:
    # Chance is what is left of the draws once their mean is taken off.
    as_much = np.abs(changes - changes.mean()) >= abs(after - before)
    low, high = np.percentile(changes, [2.5, 97.5])
    return Difference(
        before=before,
        after=after,
        low=float(low),
        high=float(high),
        p=float((1 + as_much.sum()) / (1 + len(changes))),
    )
