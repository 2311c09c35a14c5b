"""How high the right document stands among those found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.language import normalise_tag
from core.turn import Passage
from retrieval.search import CONSIDERED
from workers.evaluation.files import read
from workers.evaluation.metrics import (
    Flags,
    Numbers,
    calibration_error,
    mean_reciprocal_rank,
    ndcg_at,
    recall_at,
)
from workers.evaluation.product import Product, QueryRow, learn_file, unknown_documents
from workers.evaluation.scores import Columns, Judged, Rows

_STEP = 20


async def judge(files: Sequence[Path], product: Product) -> Judged:
    """Rank documents, each by its best passage, over all passages that a search considers.

    `calibration_error` is that of the probability that the first document is the right one.
    """
    queries = read(files[1:], QueryRow)
    documents = await learn_file(product, files[0])
    ranks: list[int] = []
    stated: list[float] = []
    for at, query in enumerate(queries):
        if at % _STEP == 0:
            product.progress("searching", at, len(queries))
        result, _ = await product.search(query.query, limit=CONSIDERED)
        ranks.append(_rank(result.passages, query.doc_id, documents))
        stated.append(result.probability)
    product.progress("searching", len(queries), len(queries))
    return Judged(
        languages=[normalise_tag(query.lang) for query in queries],
        columns={"rank": np.array(ranks), "probability": np.array(stated)},
        measure=_measure,
        stated=_stated,
        parts=product.parts,
        notes=unknown_documents(queries, documents),
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    places = columns["rank"][chosen]
    ranks: Numbers = np.where(places > 0, places, np.inf)
    return {
        "recall@1": recall_at(ranks, 1),
        "recall@5": recall_at(ranks, 5),
        "mrr": mean_reciprocal_rank(ranks),
        "ndcg@10": ndcg_at(ranks, 10),
        "calibration_error": calibration_error(columns["probability"][chosen], places == 1),
    }


def _stated(columns: Columns) -> tuple[Numbers, Flags]:
    return columns["probability"], columns["rank"] == 1


def _rank(passages: Sequence[Passage], right: str, documents: Mapping[str, str]) -> int:
    """The place of the right document, counted from 1; 0 if it is not there."""
    ranked = list(dict.fromkeys(documents[passage.document] for passage in passages))
    return ranked.index(right) + 1 if right in ranked else 0
