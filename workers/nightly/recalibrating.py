"""How far to trust what an encoder finds, fitted on the night's questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Rejected
from retrieval.calibration import Calibration
from retrieval.encoder import Vectors
from retrieval.fitting import (
    PRECISIONS,
    Labelled,
    LetThrough,
    Sample,
    coverage_weights,
    encode,
    fit,
    fluent_languages,
    rescale,
    search_all,
    share_let_through,
)
from retrieval.topics import topic
from workers.evaluation.files import Filled, Row, read
from workers.nightly.pairing import Passages
from workers.nightly.trial import Trial
from workers.training.dataset.examples import Question

UNANSWERED = 1 / 5
"""The share of questions taken to have no answer. Chosen on the `make night` of 2026-11-26, from
the weights before and without the limit on what is let through: with a third, a fifth and a tenth a
held-out turn was worth 0.12, 0.17 and 0.19."""
ALWAYS = 0.05
"""So much of what has no answer may be answered, however little is answered now."""
_APART_FROM = 500
"""From so many questions on, languages that the encoder reads have a regression of their own."""
ELSEWHERE = Path(__file__).with_name("elsewhere.jsonl")
"""Everyday questions in twelve languages that no help desk answers; written for this project."""


class _Elsewhere(Row):
    lang: Filled
    query: Filled


async def passed_by(
    trial: Trial, rows: Sequence[Question], passages: Passages, calibration: Calibration
) -> LetThrough:
    """What the trial's encoder with its calibration answers of questions that have no answer."""
    labelled, weights = _labelled(rows, passages), calibration.coverage_weights
    if not labelled:
        return {}
    vectors = await encode(labelled, trial.product.retrieval.encoder)
    samples = await _unanswered(trial, labelled, vectors, weights, _topics(passages))
    found = share_let_through(samples, calibration)
    return {precision: max(share, ALWAYS) for precision, share in found.items()}


async def recalibrate(
    trial: Trial,
    rows: Sequence[Question],
    passages: Passages,
    before: Calibration,
    precision: float,
    most: LetThrough,
) -> Calibration | None:
    """A calibration of the trial's encoder, which must not have learnt from the rows.

    It is fitted anew, and that of `before` is rescaled; what answers more questions at the wanted
    `precision` is taken. Agents' answers tell of few questions that the knowledge has no answer to.
    So each question counts again with its article hidden, and questions about anything else in the
    world count as well: an encoder that has learnt to tell articles apart need not have learnt to
    tell them from those. Of both no more are answered than `most` says: where most questions find
    their article, a precision alone would let nearly everything through.

    Returns: None if there are too few questions.
    """
    labelled = _labelled(rows, passages)
    if not labelled:
        return None
    encoder = trial.product.retrieval.encoder
    vectors = await encode(labelled, encoder)
    same = _topics(passages)
    fluent: tuple[str, ...] = ()
    if len(labelled) >= _APART_FROM:
        fluent = await fluent_languages(trial.snapshot, labelled, vectors, encoder, same=same)
    default = before.coverage_weights["*"]
    weights = await coverage_weights(
        trial.snapshot, labelled, vectors, encoder, fluent, default=default, same=same
    )
    samples = await search_all(trial.snapshot, labelled, vectors, encoder, weights, same=same)
    samples += await _unanswered(trial, labelled, vectors, weights, same)
    try:
        found = (
            fit(
                samples,
                encoder=encoder.id,
                fluent=fluent,
                coverage_weights=weights,
                let_through=most,
            ),
            rescale(
                samples,
                encoder=encoder.id,
                coverage_weights=weights,
                before=before,
                let_through=most,
            ),
        )
    except Rejected:
        return None
    return max(found, key=lambda calibration: _answered(calibration, precision))


async def _unanswered(
    trial: Trial,
    labelled: Sequence[Labelled],
    vectors: Vectors,
    weights: Mapping[str, float],
    same: Mapping[str, str],
) -> list[Sample]:
    """Searches without an answer, half of them with the article hidden, half for anything else."""
    encoder, half = trial.product.retrieval.encoder, UNANSWERED / (1 - UNANSWERED) / 2
    asked = (trial.snapshot, labelled, vectors, encoder, weights)
    samples = await search_all(*asked, same=same, hidden=half)
    others = _elsewhere(half * len(labelled))
    found = await encode(others, encoder)
    return samples + await search_all(trial.snapshot, others, found, encoder, weights)


def _labelled(rows: Sequence[Question], passages: Passages) -> list[Labelled]:
    return [
        Labelled(question=row.query, language=row.lang, document=document)
        for row in rows
        if (document := passages.document(row)) is not None
    ]


def _answered(calibration: Calibration, precision: float) -> float:
    """The share of questions that is answered, of those not fitted on."""
    kept = str(min((known for known in PRECISIONS if known >= precision), default=PRECISIONS[-1]))
    figures = calibration.figures.values()
    questions = sum(one.questions for one in figures)
    return sum(one.coverage[kept] * one.questions for one in figures) / questions


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
