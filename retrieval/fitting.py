"""A calibration fitted on labelled questions, with honest figures.

scikit-learn is needed here alone; what it finds is plain numbers that serve without it.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from core.errors import Rejected
from retrieval.calibration import NAMES, Calibration, Figures, Regression
from retrieval.encoder import Encoder, Vectors
from retrieval.ranking import Evidence, base_language, evidence, rank, read_again
from retrieval.snapshot import Snapshot

COVERAGE_WEIGHTS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
# Of some hundred labelled questions two more or less are chance.
_AS_GOOD = 0.98
# A language is read by the encoder if its cosines alone put this share of answers first.
FLUENT_FROM = 0.5
MIN_QUESTIONS = 20
PRECISIONS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
_CONSIDERED = 60

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Same = Mapping[str, str]
"""What documents are about, by their ids; those about the same answer the same questions."""
_EACH_ITS_OWN: Same = {}
LetThrough = Mapping[str, float]
"""The share of questions without an answer that may be answered, by the precision wanted."""
_ANY: LetThrough = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A question with the document that answers it; None if the knowledge has no answer.

    `weight` makes questions like those of real customers count for more.
    """

    question: str
    language: str
    document: str | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one search brought, and whether its first passage was of the right document.

    What was searched has no answer if it is not `answerable`.
    """

    labelled: Labelled
    evidence: Evidence
    right: bool
    answerable: bool = True


async def encode(labelled: Sequence[Labelled], encoder: Encoder) -> Vectors:
    """Vectors of the questions, in their order."""
    return await encoder.questions([item.question for item in labelled])


async def fluent_languages(
    snapshot: Snapshot,
    labelled: Sequence[Labelled],
    vectors: Vectors,
    encoder: Encoder,
    *,
    same: Same = _EACH_ITS_OWN,
) -> tuple[str, ...]:
    """The languages in which cosines alone mostly find the answer."""
    first: dict[str, list[bool]] = defaultdict(list)
    samples = await search_all(snapshot, labelled, vectors, encoder, {"*": 0.0}, same=same)
    for sample in samples:
        if sample.labelled.document is not None:
            first[base_language(sample.labelled.language)].append(sample.right)
    return tuple(
        sorted(
            language
            for language, right in first.items()
            if len(right) >= MIN_QUESTIONS and sum(right) / len(right) >= FLUENT_FROM
        )
    )


async def coverage_weights(
    snapshot: Snapshot,
    labelled: Sequence[Labelled],
    vectors: Vectors,
    encoder: Encoder,
    fluent: Sequence[str],
    *,
    default: float,
    same: Same = _EACH_ITS_OWN,
) -> dict[str, float]:
    """The weight that puts most answers first in the fluent languages, and in the others (`*`)."""
    weights: dict[str, float] = {}
    for names, chosen in ((fluent, True), (("*",), False)):
        mine = [
            n for n, q in enumerate(labelled) if (base_language(q.language) in fluent) == chosen
        ]
        asked = [labelled[n] for n in mine]
        weight = await coverage_weight(snapshot, asked, vectors[mine], encoder, default, same=same)
        weights |= dict.fromkeys(names, weight)
    return weights


async def coverage_weight(
    snapshot: Snapshot,
    labelled: Sequence[Labelled],
    vectors: Vectors,
    encoder: Encoder,
    default: float,
    *,
    same: Same = _EACH_ITS_OWN,
) -> float:
    """The weight nearest `default` that puts about as many answers first as the best one does."""
    known = [n for n, item in enumerate(labelled) if item.document is not None]
    if len(known) < MIN_QUESTIONS:
        return default
    mine = [labelled[n] for n in known]

    async def answered(weight: float) -> float:
        samples = await search_all(
            snapshot, mine, vectors[known], encoder, {"*": weight}, same=same
        )
        return sum(sample.right * sample.labelled.weight for sample in samples)

    found = {weight: await answered(weight) for weight in COVERAGE_WEIGHTS}
    enough = _AS_GOOD * max(found.values())
    good = [weight for weight, count in found.items() if count >= enough]
    return min(good, key=lambda weight: abs(weight - default))


async def search_all(
    snapshot: Snapshot,
    labelled: Sequence[Labelled],
    vectors: Vectors,
    encoder: Encoder,
    coverage_weights: Mapping[str, float],
    *,
    same: Same = _EACH_ITS_OWN,
    hidden: float = 0.0,
) -> list[Sample]:
    """Search for every question and compare what stands first with the label.

    With `hidden`, as if the knowledge had no answer; each question then counts so much of itself.
    """
    samples: list[Sample] = []
    for item, vector in zip(labelled, vectors, strict=True):
        ranked = rank(snapshot, item.question, vector, item.language, coverage_weights)
        pairs = [(c, c.shard.texts[c.row][0]) for c in ranked[:_CONSIDERED]]
        wanted = same.get(item.document, item.document) if item.document is not None else None
        if hidden:
            pairs = [
                pair for pair in pairs if same.get(pair[1].document, pair[1].document) != wanted
            ]
            item = replace(item, weight=item.weight * hidden)
        if pairs:
            pairs = await read_again(item.question, pairs, encoder)
            first = pairs[0][1].document
            right = same.get(first, first) == wanted
            found = evidence(item.question, pairs)
            answerable = item.document is not None and not hidden
            samples.append(
                Sample(labelled=item, evidence=found, right=right, answerable=answerable)
            )
    return samples


def fit(
    samples: Sequence[Sample],
    *,
    encoder: str,
    fluent: tuple[str, ...],
    coverage_weights: dict[str, float],
    features: Sequence[str] = NAMES,
    let_through: LetThrough = _ANY,
) -> Calibration:
    """Fit one regression for the fluent languages and one for the others.

    Raises: Rejected: there are too few questions, or all are right or all are wrong.
    """
    groups = {True: [s for s in samples if _fluent(s, fluent)]}
    groups[False] = [s for s in samples if not _fluent(s, fluent)]
    # Where one group is too small to tell anything, both share what all questions tell.
    usable = {key: group if _enough(group) else list(samples) for key, group in groups.items()}
    if not _enough(samples):
        raise Rejected(
            f"calibration needs at least {MIN_QUESTIONS} labelled questions with and as many"
            " without a right answer"
        )
    return Calibration(
        encoder=encoder,
        fluent=fluent,
        coverage_weights=coverage_weights,
        in_fluent=_regression(usable[True], features),
        in_others=_regression(usable[False], features),
        figures={
            name: _measured(*_arrays(group, features), _hopeless(group), let_through)
            for name, group in (("fluent", groups[True]), ("others", groups[False]))
            if _enough(group)
        },
    )


def rescale(
    samples: Sequence[Sample],
    *,
    encoder: str,
    coverage_weights: dict[str, float],
    before: Calibration,
    let_through: LetThrough = _ANY,
) -> Calibration:
    """The regressions of another encoder's calibration, stretched and shifted as one.

    Two numbers are learnt, where `fit` learns many: a hundred questions are enough.

    Raises: Rejected: there are too few, or all are right or all are wrong.
    Source: Platt, 1999.
    """
    if not _enough(samples):
        raise Rejected(f"calibration needs at least {MIN_QUESTIONS} questions of both kinds")
    odds = np.array([[_log_odds(sample, before)] for sample in samples])
    _, right, weights = _arrays(samples, ())
    learnt = _train(odds, right, weights)
    return before.model_copy(
        update={
            "encoder": encoder,
            "coverage_weights": coverage_weights,
            "in_fluent": _rescaled(before.in_fluent, learnt),
            "in_others": _rescaled(before.in_others, learnt),
            "figures": {"all": _measured(odds, right, weights, _hopeless(samples), let_through)},
        }
    )


def _log_odds(sample: Sample, before: Calibration) -> float:
    chance = before.probability(sample.evidence, sample.labelled.language)
    return float(np.log(chance / (1 - chance)))


def _rescaled(regression: Regression, learnt: "_Trained") -> Regression:
    (slope,) = learnt.slopes
    return Regression(
        intercept=round(learnt.intercept + slope * regression.intercept, 4),
        coefficients={
            name: round(slope * value, 4) for name, value in regression.coefficients.items()
        },
    )


def _fluent(sample: Sample, fluent: tuple[str, ...]) -> bool:
    return base_language(sample.labelled.language) in fluent


def _enough(samples: Sequence[Sample]) -> bool:
    right = sum(sample.right for sample in samples)
    return min(right, len(samples) - right) >= MIN_QUESTIONS


def _arrays(samples: Sequence[Sample], features: Sequence[str]) -> tuple[Numbers, Numbers, Numbers]:
    inputs = np.array([[getattr(s.evidence, name) for name in features] for s in samples])
    right = np.array([float(s.right) for s in samples])
    return inputs, right, np.array([s.labelled.weight for s in samples])


def _regression(samples: Sequence[Sample], features: Sequence[str]) -> Regression:
    inputs, right, weights = _arrays(samples, features)
    predict = _train(inputs, right, weights)
    return Regression(
        intercept=round(predict.intercept, 4),
        coefficients={
            name: round(value, 4) for name, value in zip(features, predict.slopes, strict=True)
        },
    )


@dataclass(frozen=True, slots=True)
class _Trained:
    slopes: tuple[float, ...]
    intercept: float

    def __call__(self, inputs: Numbers) -> Numbers:
        result: Numbers = 1 / (1 + np.exp(-(inputs @ np.array(self.slopes) + self.intercept)))
        return result


def _train(inputs: Numbers, right: Numbers, weights: Numbers) -> _Trained:
    """Fit on scaled inputs, so that one penalty suits all, then undo the scaling."""
    scaler = StandardScaler().fit(inputs)
    model = LogisticRegression(C=0.5, max_iter=2_000)
    model.fit(scaler.transform(inputs), right, sample_weight=weights)
    slopes = model.coef_[0] / scaler.scale_
    intercept = float(model.intercept_[0] - slopes @ scaler.mean_)
    return _Trained(tuple(float(slope) for slope in slopes), intercept)


def share_let_through(samples: Sequence[Sample], calibration: Calibration) -> LetThrough:
    """The share of the questions without an answer that it answers, by the precision wanted."""
    lost = [sample for sample in samples if not sample.answerable]
    weights = np.array([sample.labelled.weight for sample in lost])
    chances = np.array(
        [calibration.probability(one.evidence, one.labelled.language) for one in lost]
    )
    return {
        str(precision): float(
            weights[chances >= calibration.threshold(precision)].sum() / weights.sum()
        )
        for precision in PRECISIONS
    }


def _hopeless(samples: Sequence[Sample]) -> Flags:
    return np.array([not sample.answerable for sample in samples])


def _measured(
    inputs: Numbers, right: Numbers, weights: Numbers, hopeless: Flags, let_through: LetThrough
) -> Figures:
    """Five-fold: each question is judged by a regression that never saw it."""
    judged = np.zeros(len(right))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(inputs, right):
        judged[test] = _train(inputs[train], right[train], weights[train])(inputs[test])
    thresholds = {
        str(p): max(
            _threshold(judged, right, weights, p),
            _shut(judged[hopeless], weights[hopeless], let_through.get(str(p), 1.0)),
        )
        for p in PRECISIONS
    }
    return Figures(
        questions=len(right),
        auroc=round(float(roc_auc_score(right, judged, sample_weight=weights)), 3),
        brier=round(float(brier_score_loss(right, judged, sample_weight=weights)), 3),
        calibration_error=round(_calibration_error(judged, right, weights), 3),
        thresholds=thresholds,
        coverage={
            key: round(float(weights[judged >= threshold].sum() / weights.sum()), 3)
            for key, threshold in thresholds.items()
        },
    )


def _threshold(judged: Numbers, right: Numbers, weights: Numbers, precision: float) -> float:
    """The least probability from which on answers are right that often; 1 if none is."""
    order = np.argsort(-judged, kind="stable")
    kept = np.cumsum((right * weights)[order]) / np.cumsum(weights[order])
    enough = np.flatnonzero(kept >= precision)
    return round(float(judged[order][enough[-1]]), 3) if len(enough) else 1.0


def _shut(judged: Numbers, weights: Numbers, most: float) -> float:
    """The least probability from which on no more than that share is answered."""
    order = np.argsort(-judged, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    over = np.flatnonzero(shares > most)
    # Just above the first that is too many; thresholds have three places.
    return round(math.floor(judged[order][over[0]] * 1000) / 1000 + 0.001, 3) if len(over) else 0.0


def _calibration_error(judged: Numbers, right: Numbers, weights: Numbers) -> float:
    """Mean distance between what was promised and what came true, over ten bins."""
    bins = np.minimum((judged * 10).astype(int), 9)
    gap = 0.0
    for number in range(10):
        mine = bins == number
        if mine.any():
            share = np.average(right[mine], weights=weights[mine])
            said = np.average(judged[mine], weights=weights[mine])
            gap += abs(share - said) * weights[mine].sum()
    return float(gap / weights.sum())
