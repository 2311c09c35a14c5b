"""Measures a sentence encoder, while it is trained, by searching for the dev passages."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset as Columns
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.evaluation import BaseEvaluator

from workers.evaluation.metrics import Numbers, mean_reciprocal_rank, ndcg_at, recall_at

# Rows of similarities that are held together.
_QUESTIONS = 1_000


class EncoderTrainer(SentenceTransformerTrainer):
    """The trainer of sentence-transformers, with a `Search` for its evaluator."""

    evaluator: "Search"

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Loss and scores of the rows given, or of all, for which everything is embedded anew."""
        self.evaluator.rows = eval_dataset
        scores: dict[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        return scores

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the card that it writes quotes training texts."""

    def _load_best_model(self) -> None:
        # The library's own goes on with the last weights if these cannot be loaded.
        if self.state.best_model_checkpoint:
            self._load_from_checkpoint(self.state.best_model_checkpoint)


class Search(BaseEvaluator):
    """Ranks all dev passages for dev questions, as an evaluator of sentence-transformers."""

    def __init__(self, everything: Columns) -> None:
        """Set `rows` to ask some of the questions only, with the vectors of the last time."""
        super().__init__()  # type: ignore[no-untyped-call]  # no stubs
        self.rows: Columns | None = None
        self._everything = everything
        self._passages = {text: at for at, text in enumerate(dict.fromkeys(everything["found"]))}
        self._questions = {text: at for at, text in enumerate(dict.fromkeys(everything["asked"]))}
        self._vectors: tuple[Numbers, Numbers] | None = None

    def __call__(self, model: Any, *_: object, **__: object) -> dict[str, float]:
        """Scores, each in [0, 1]."""
        if self.rows is None or self._vectors is None:
            self._vectors = (
                _embed(model.encode_query, self._questions),
                _embed(model.encode_document, self._passages),
            )
        ranks = self._ranks(self.rows or self._everything, *self._vectors)
        return {
            "ndcg@10": ndcg_at(ranks, 10),
            "mrr": mean_reciprocal_rank(ranks),
            "recall@1": recall_at(ranks, 1),
            "recall@5": recall_at(ranks, 5),
            "recall@10": recall_at(ranks, 10),
        }

    def _ranks(self, rows: Columns, questions: Numbers, passages: Numbers) -> Numbers:
        asked = np.array([self._questions[text] for text in rows["asked"]])
        right = np.array([self._passages[text] for text in rows["found"]])
        ranks = []
        for start in range(0, len(asked), _QUESTIONS):
            some = slice(start, start + _QUESTIONS)
            alike = questions[asked[some]] @ passages.T
            own = alike[np.arange(len(alike)), right[some]]
            # Of passages that are as alike the right one comes last: a model to which all texts
            # are the same has found nothing.
            ranks.append((alike >= own[:, None]).sum(axis=1))
        return np.concatenate(ranks).astype(np.float64)


def _embed(encode: Any, texts: Mapping[str, int]) -> Numbers:
    vectors: Numbers = encode(
        list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors
