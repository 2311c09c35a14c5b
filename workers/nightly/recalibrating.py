"""How far to trust what an encoder finds, fitted on the night's questions."""

from collections.abc import Mapping, Sequence

from core.errors import Rejected
from retrieval.calibration import Calibration
from retrieval.fitting import Labelled, coverage_weights, encode, fit, fluent_languages, search_all
from workers.nightly.pairing import Passages
from workers.nightly.trial import Trial
from workers.training.dataset.examples import Question
from workers.training.dataset.knowledge import topic

UNANSWERED = 1 / 3
"""The share of questions that no article answers, as among the demo company's."""


async def recalibrate(
    trial: Trial, rows: Sequence[Question], passages: Passages, before: Calibration
) -> Calibration | None:
    """A calibration of the trial's encoder, which must not have learnt from the rows.

    What the rows are too few to tell is as it was `before`.
    Each question counts twice: as it is, and less with its article hidden, since agents' answers
    tell of few questions that the knowledge has no answer to.

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
    fluent = fluent_languages(trial.snapshot, labelled, vectors, same=same)
    default = before.coverage_weights["*"]
    weights = coverage_weights(
        trial.snapshot, labelled, vectors, fluent, default=default, same=same
    )
    samples = search_all(trial.snapshot, labelled, vectors, weights, same=same)
    hidden = search_all(
        trial.snapshot,
        labelled,
        vectors,
        weights,
        same=same,
        hidden=UNANSWERED / (1 - UNANSWERED),
    )
    try:
        return fit([*samples, *hidden], encoder=encoder.id, fluent=fluent, coverage_weights=weights)
    except Rejected:
        return None


def _topics(passages: Passages) -> Mapping[str, str]:
    """Documents by what they are about: a translation of an article answers as well."""
    return {one.document: topic(one.document, one.language) for one in passages.all}
