"""How high the right document stands among those found."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.language import normalise_tag
from core.turn import Passage
from retrieval.search import CONSIDERED
from workers.evaluation.files import read
from workers.evaluation.metrics import Numbers, mean_reciprocal_rank, ndcg_at, recall_at
from workers.evaluation.product import Product, QueryRow, learn_file, unknown_documents
from workers.evaluation.scores import Judged, Rows

_STEP = 20


async def judge(files: Sequence[Path], product: Product) -> Judged:
    """Rank documents, each by its best passage, over all passages that a search considers."""
    queries = read(files[1:], QueryRow)
    documents = await learn_file(product, files[0])
    found: list[float] = []
    for at, query in enumerate(queries):
        if at % _STEP == 0:
            product.progress("searching", at, len(queries))
        result, _ = await product.search(query.query, limit=CONSIDERED)
        found.append(_rank(result.passages, query.doc_id, documents))
    product.progress("searching", len(queries), len(queries))
    ranks: Numbers = np.array(found)

    def measure(chosen: Rows) -> dict[str, float]:
        return {
            "recall@1": recall_at(ranks[chosen], 1),
            "recall@5": recall_at(ranks[chosen], 5),
            "mrr": mean_reciprocal_rank(ranks[chosen]),
            "ndcg@10": ndcg_at(ranks[chosen], 10),
        }

    return Judged(
        languages=[normalise_tag(query.lang) for query in queries],
        measure=measure,
        notes=unknown_documents(queries, documents),
    )


def _rank(passages: Sequence[Passage], right: str, documents: Mapping[str, str]) -> float:
    """The place of the right document, counted from 1; infinite if it is not there."""
    ranked = list(dict.fromkeys(documents[passage.document] for passage in passages))
    return ranked.index(right) + 1.0 if right in ranked else math.inf
