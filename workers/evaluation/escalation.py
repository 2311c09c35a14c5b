"""How well questions that the knowledge does not cover are told from those that it does."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.adapters.documents import Document
from core.errors import Rejected
from core.language import normalise_tag
from core.turn import Found
from retrieval.ranking import base_language
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import (
    Flags,
    Numbers,
    auroc,
    average_precision,
    calibration_error,
    share,
)
from workers.evaluation.product import Product
from workers.evaluation.scores import Columns, Judged, Rows

_STEP = 20
# The nearest passages whose mean likeness says how well a question is covered.
_NEAREST = 5


class Known(Row):
    """Something that customers say, and what they want by it; `oos` rows teach nothing."""

    text: str
    intent: Filled
    lang: str = ""
    oos: bool = False


class Asked(Row):
    """A question; `oos` says that no known intent covers it."""

    text: str
    oos: bool
    lang: str = ""


async def judge(files: Sequence[Path], product: Product) -> Judged:
    """Ask over one document for each known intent, its title, with its utterances as paragraphs.

    `auroc` and `average_precision` (of out-of-scope questions) rank by likeness to the nearest
    passages; `precision` (the share of answered questions that are in scope) and `coverage` (the
    share answered) are at the probability from which on the pipeline answers. `calibration_error`
    reads that probability as one of being in scope.
    """
    asked = read(files[1:], Asked)
    outside: Flags = np.array([row.oos for row in asked])
    if outside.all() or not outside.any():
        raise Rejected(f"{files[1]}: needs rows with oos true, and rows with oos false")
    await product.learn(_documents(read(files[:1], Known), product))
    found = await _search(asked, product)
    return Judged(
        languages=[normalise_tag(row.lang) if row.lang else "und" for row in asked],
        columns={"oos": outside, **found},
        measure=_measure,
        stated=_stated,
        parts=product.parts,
        notes=(f"answers from a probability of {product.threshold:.3f}",),
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    out, said = columns["oos"][chosen], columns["answered"][chosen]
    likeness, stated = columns["likeness"][chosen], columns["probability"][chosen]
    ranked = {
        "auroc": auroc(-likeness, out),
        "average_precision": average_precision(-likeness, out),
    }
    # A draw or a language of one kind only has no ranking to judge.
    known = {name: value for name, value in ranked.items() if value is not None}
    return known | {
        "precision": share(~out[said]),
        "coverage": share(said),
        "calibration_error": calibration_error(stated, ~out),
    }


def _stated(columns: Columns) -> tuple[Numbers, Flags]:
    return columns["probability"], ~columns["oos"]


def _documents(rows: Sequence[Known], product: Product) -> list[Document]:
    by_intent: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if not row.oos:
            by_intent[row.intent, row.lang].append(row.text)
    return [
        Document(
            id=str(number),
            title=intent.replace("_", " "),
            text="\n\n".join(texts),
            language=normalise_tag(lang) if lang else product.spoken(" ".join(texts)),
        )
        for number, ((intent, lang), texts) in enumerate(by_intent.items())
    ]


async def _search(asked: Sequence[Asked], product: Product) -> Columns:
    """The likeness of each question to what is known, and whether it would be answered."""
    likeness, answered = np.zeros(len(asked)), np.zeros(len(asked), np.bool_)
    probability = np.zeros(len(asked))
    threshold = product.threshold
    for at, row in enumerate(asked):
        if at % _STEP == 0:
            product.progress("searching", at, len(asked))
        found, language = await product.search(row.text, limit=_NEAREST)
        likeness[at] = _likeness(found, language, product)
        probability[at] = found.probability
        answered[at] = bool(found.passages) and found.probability >= threshold
    product.progress("searching", len(asked), len(asked))
    return {"likeness": likeness, "answered": answered, "probability": probability}


def _likeness(found: Found, language: str, product: Product) -> float:
    """Mean score of the nearest passages, on the same scale in every language.

    On ../shared/data/clinc150, and on bitext with held-out intents, its AUROC is 0.981 and 0.972;
    that of the calibrated probability, which says whether the first document is the right one, is
    0.947 and 0.971, and that of the largest cosine 0.973 and 0.923.
    """
    weights = product.retrieval.calibration.coverage_weights
    most = 1 + weights.get(base_language(language), weights["*"])
    return sum(passage.score for passage in found.passages) / (len(found.passages) or 1) / most
