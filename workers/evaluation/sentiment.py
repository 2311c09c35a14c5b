"""How often the sentiment of a text is told rightly."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from core.language import normalise_tag
from retrieval.writing import Progress
from workers.classification import SENTIMENTS, SentimentClassifier
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import Flags, Numbers, calibration_error, macro_f1, share
from workers.evaluation.scores import Columns, Judged, Rows

_STEP = 64


class Felt(Row):
    """A text and what it expresses."""

    text: str
    label: Literal["positive", "neutral", "negative"]
    lang: Filled


async def judge(
    files: Sequence[Path], classifier: SentimentClassifier, progress: Progress
) -> Judged:
    """Classify each text.

    `calibration_error` is that of the probability of the label that was given.
    """
    rows = read(files, Felt)
    found: list[Numbers] = []
    for at in range(0, len(rows), _STEP):
        progress("classifying", at, len(rows))
        found.append(await classifier.classify([row.text for row in rows[at : at + _STEP]]))
    progress("classifying", len(rows), len(rows))
    probabilities = np.concatenate(found)
    return Judged(
        languages=[normalise_tag(row.lang) for row in rows],
        columns={
            "gold": np.array([SENTIMENTS.index(row.label) for row in rows]),
            "said": probabilities.argmax(axis=1),
            "probability": probabilities.max(axis=1),
        },
        measure=_measure,
        stated=_stated,
        parts={"sentiment": classifier.name},
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    gold, said = columns["gold"][chosen], columns["said"][chosen]
    return {
        "macro_f1": macro_f1(gold, said, len(SENTIMENTS)),
        "accuracy": share(gold == said),
        "calibration_error": calibration_error(columns["probability"][chosen], gold == said),
    }


def _stated(columns: Columns) -> tuple[Numbers, Flags]:
    return columns["probability"], columns["gold"] == columns["said"]
