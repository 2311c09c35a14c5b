"""Metrics over arrays with a place for each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

_BINS = 10
_ENTITY_MARKS = frozenset("BIESLUM")


def share(flags: NDArray[Any]) -> float:
    """The share that is true; 0 of nothing."""
    return float(flags.mean()) if len(flags) else 0.0


def ratio(part: float, whole: float) -> float:
    """`part / whole`; 0 of nothing."""
    return float(part / whole) if whole else 0.0


def f1_by_class(gold: Codes, predicted: Codes, classes: int) -> Numbers:
    """F1 of each class; NaN where it is not in `gold`. A prediction of -1 is of no class.

    Classes are numbers below `classes`.
    """
    right = np.bincount(gold[gold == predicted], minlength=classes)
    there = np.bincount(gold, minlength=classes)
    said = np.bincount(predicted[predicted >= 0], minlength=classes)
    found: Numbers = np.full(classes, np.nan)
    np.divide(2.0 * right, there + said, out=found, where=there > 0)
    return found


def macro_f1(gold: Codes, predicted: Codes, classes: int) -> float:
    """Mean F1 over the classes that are in `gold`."""
    return float(np.nanmean(f1_by_class(gold, predicted, classes)))


def spans(tags: Sequence[str]) -> frozenset[tuple[str, int, int]]:
    """The entities of BIO or BIOES tags as (type, first token, token behind the last).

    A tag that continues nothing, or another type, begins an entity, as conlleval has it; what is
    no such tag at all is outside.
    """
    found: list[tuple[str, int, int]] = []
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        mark, _, now = tag.partition("-")
        continues = mark in ("I", "E", "L", "M") and now == kind
        if kind and not continues:
            found.append((kind, start, at))
            kind = ""
        if now and mark in _ENTITY_MARKS and not continues:
            kind, start = now, at
        if kind and mark in ("E", "L", "S", "U"):
            found.append((kind, start, at + 1))
            kind = ""
    return frozenset(found)


def f1_of_counts(right: float, there: float, said: float) -> float:
    """F1 from how many are right, are there, were said: 2PR / (P + R); 0 of nothing."""
    return ratio(2 * right, there + said)


def span_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """Micro F1 of entities over all rows of BIO tags: type and both ends must be right."""
    pairs = [(spans(one), spans(other)) for one, other in zip(gold, predicted, strict=True)]
    right = sum(len(one & other) for one, other in pairs)
    there = sum(len(one) for one, _ in pairs)
    said = sum(len(other) for _, other in pairs)
    return f1_of_counts(right, there, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of about the same stated probability: their mean, the share right, how many."""

    stated: float
    right: float
    rows: int


def reliability(probabilities: Numbers, right: Flags) -> tuple[Bin, ...]:
    """Rows in ten equal bins of probability, lowest first; empty ones are left out."""
    places = np.minimum((probabilities * _BINS).astype(np.int64), _BINS - 1)
    return tuple(
        Bin(
            stated=float(probabilities[places == place].mean()),
            right=share(right[places == place]),
            rows=int((places == place).sum()),
        )
        for place in np.unique(places)
    )


def calibration_error(probabilities: Numbers, right: Flags) -> float:
    """Expected calibration error, in [0, 1]: how far stated probabilities are from what holds.

    Source: Guo, Pleiss, Sun and Weinberger, ICML 2017.
    """
    bins = reliability(probabilities, right)
    return ratio(sum(one.rows * abs(one.right - one.stated) for one in bins), len(right))


def auroc(scores: Numbers, positive: Flags) -> float | None:
    """The chance that a positive scores above a negative, ties counting half (Mann-Whitney).

    Returns: None if all are positive or none is.
    """
    ahead, total = int(positive.sum()), len(positive)
    if ahead in (0, total):
        return None
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    # Ranks from 1; rows with the same score share the mean of theirs.
    ranks = (np.cumsum(count) - (count - 1) / 2)[level]
    above = ranks[positive].sum() - ahead * (ahead + 1) / 2
    return float(above / (ahead * (total - ahead)))


def average_precision(scores: Numbers, positive: Flags) -> float | None:
    """Precision at each threshold, weighted by the recall that it adds; None without positives."""
    ahead = int(positive.sum())
    if not ahead:
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    # A threshold lies behind the last of several rows with the same score.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    added = np.diff(hits[last], prepend=0) / ahead
    return float((added * hits[last] / (last + 1)).sum())


def recall_at(ranks: Numbers, limit: int) -> float:
    """The share of rows whose one right document stands among the first `limit`.

    `ranks` count from 1 and are infinite where it was not found.
    """
    return share(ranks <= limit)


def mean_reciprocal_rank(ranks: Numbers) -> float:
    """Mean of 1 / rank, with 0 for what was not found."""
    return float((1 / ranks).mean())


def ndcg_at(ranks: Numbers, limit: int) -> float:
    """Normalised discounted cumulative gain where one document is right, and no other."""
    gains = np.where(ranks <= limit, 1 / np.log2(ranks + 1), 0.0)
    return float(gains.mean())
