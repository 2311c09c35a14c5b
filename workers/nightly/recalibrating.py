"""How far to trust what an encoder finds, fitted on the night's questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Rejected
from retrieval.calibration import Calibration
from retrieval.fitting import (
    PRECISIONS,
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

UNANSWERED = 1 / 5
"""The share of questions taken to have no answer. Chosen on the night of `make night`: with a
third, a fifth and a tenth a held-out turn is worth 0.12, 0.17 and 0.19; of the hundred messages of
safety.jsonl, which nobody should answer, it answers 3, 4 and 4 that are not heard to be misuse."""
_APART_FROM = 500
"""From so many questions on, languages that the encoder reads have a regression of their own."""
ELSEWHERE = Path(__file__).with_name("elsewhere.jsonl")
"""Everyday questions in twelve languages that no help desk answers; written for this project."""


class _Elsewhere(Row):
    lang: Filled
    query: Filled


async def recalibrate(
    trial: Trial,
    rows: Sequence[Question],
    passages: Passages,
    before: Calibration,
    precision: float,
) -> Calibration | None:
    """A calibration of the trial's encoder, which must not have learnt from the rows.

    It is fitted anew, and that of `before` is rescaled; what answers more questions at the wanted
    `precision` is taken. Agents' answers tell of few questions that the knowledge has no answer to.
    So each question counts again with its article hidden, and questions about anything else in the
    world count as well: an encoder that has learnt to tell articles apart need not have learnt to
    tell them from those.

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
        fluent = await fluent_languages(trial.snapshot, labelled, vectors, encoder, same=same)
    default = before.coverage_weights["*"]
    weights = await coverage_weights(
        trial.snapshot, labelled, vectors, encoder, fluent, default=default, same=same
    )
    half = UNANSWERED / (1 - UNANSWERED) / 2
    asked = (trial.snapshot, labelled, vectors, encoder, weights)
    samples = await search_all(*asked, same=same)
    samples += await search_all(*asked, same=same, hidden=half)
    others = _elsewhere(half * len(labelled))
    vectors = await encode(others, encoder)
    samples += await search_all(trial.snapshot, others, vectors, encoder, weights)
    try:
        found = (
            fit(samples, encoder=encoder.id, fluent=fluent, coverage_weights=weights),
            rescale(samples, encoder=encoder.id, coverage_weights=weights, before=before),
        )
    except Rejected:
        return None
    return max(found, key=lambda calibration: _answered(calibration, precision))


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
