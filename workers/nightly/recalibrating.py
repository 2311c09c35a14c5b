"""How far to trust what an encoder finds, fitted on the night's questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Rejected
from retrieval.calibration import Calibration
from retrieval.fitting import (
    Labelled,
    coverage_weights,
    encode,
    fit,
    fluent_languages,
    rescale,
    search_all,
)
from retrieval.topics import topic
from workers.evaluation.files import Filled, Row, read
from workers.nightly.pairing import Passages
from workers.nightly.trial import Trial
from workers.training.dataset.examples import Question

UNANSWERED = 1 / 3
"""The share of questions taken to have no answer. Chosen by `make night`: of the hundred messages
of safety.jsonl, which nobody should answer, a candidate fitted with a tenth answers 16, with a
third 9; a held-out turn is worth 0.22 and 0.20."""
_APART_FROM = 500
"""From so many questions on, languages that the encoder reads have a regression of their own."""
ELSEWHERE = Path(__file__).with_name("elsewhere.jsonl")
"""Everyday questions in twelve languages that no help desk answers; written for this project."""


class _Elsewhere(Row):
    lang: Filled
    query: Filled


async def recalibrate(
    trial: Trial, rows: Sequence[Question], passages: Passages, before: Calibration
) -> Calibration | None:
    """A calibration of the trial's encoder, which must not have learnt from the rows.

    It is fitted anew, and that of `before` is rescaled; the better of the two is taken. Agents'
    answers tell of few questions that the knowledge has no answer to. So each question counts again
    with its article hidden, and questions about anything else in the world count as well: an
    encoder that has learnt to tell articles apart need not have learnt to tell them from those.

    Returns: None if there are too few questions.
    """
    labelled = [
        Labelled(question=row.query, language=row.lang, document=document)
        for row in rows
        if (document := passages.document(row)) is not None
    ]
    if not labelled:
        return None
    encoder = trial.product.retrieval.encoder
    vectors = await encode(labelled, encoder)
    same = _topics(passages)
    fluent: tuple[str, ...] = ()
    if len(labelled) >= _APART_FROM:
        fluent = fluent_languages(trial.snapshot, labelled, vectors, same=same)
    default = before.coverage_weights["*"]
    weights = coverage_weights(
        trial.snapshot, labelled, vectors, fluent, default=default, same=same
    )
    half = UNANSWERED / (1 - UNANSWERED) / 2
    samples = search_all(trial.snapshot, labelled, vectors, weights, same=same)
    samples += search_all(trial.snapshot, labelled, vectors, weights, same=same, hidden=half)
    others = _elsewhere(half * len(labelled))
    samples += search_all(trial.snapshot, others, await encode(others, encoder), weights)
    try:
        found = (
            fit(samples, encoder=encoder.id, fluent=fluent, coverage_weights=weights),
            rescale(samples, encoder=encoder.id, coverage_weights=weights, before=before),
        )
    except Rejected:
        return None
    return min(found, key=_error)


def _error(calibration: Calibration) -> float:
    """How far stated probabilities are from what holds, on questions not fitted on."""
    figures = calibration.figures.values()
    questions = sum(one.questions for one in figures)
    return sum(one.brier * one.questions for one in figures) / questions


def _elsewhere(weight: float) -> list[Labelled]:
    """Together they count as much as told."""
    rows = read([ELSEWHERE], _Elsewhere)
    return [
        Labelled(question=row.query, language=row.lang, document=None, weight=weight / len(rows))
        for row in rows
    ]


def _topics(passages: Passages) -> Mapping[str, str]:
    """Documents by what they are about: a translation of an article answers as well."""
    return {one.document: topic(one.document, one.language) for one in passages.all}
