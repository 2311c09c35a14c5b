"""Candidate passages put in order by a cross-encoder that reads question and passage together."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.errors import Unavailable
from retrieval.encoder import NOT_LOADED, first_line
from retrieval.model_folder import check_safe, model_folder
from retrieval.own_thread import OwnThread

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Reranker(Protocol):
    """Judges how well passages answer a question."""

    async def judge(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """One score a passage, higher is better."""
        ...


class CrossEncoderReranker:
    """A sentence-transformers cross-encoder, loaded when it is first asked."""

    def __init__(self, model: str | Path) -> None:
        """Check the folder or hub id.

        Raises: Misconfigured: there is no such model, or it is not safe to load.
        """
        self._folder = check_safe(model_folder(model))
        self._model: CrossEncoder | None = None
        self._thread = OwnThread("reranker")

    async def judge(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Score each passage.

        Raises: Unavailable: the model cannot be loaded, or does not judge.
        """
        return await self._thread.run(self._judge, question, list(passages))

    def _judge(self, question: str, passages: list[str]) -> list[float]:
        if self._model is None:
            self._model = _load(self._folder)
        scores = self._model.predict([(question, p) for p in passages], show_progress_bar=False)
        judged = [float(score) for score in np.asarray(scores).reshape(len(passages), -1)[:, -1]]
        if not all(map(math.isfinite, judged)):
            raise Unavailable("reranker", "the model wrote a score that is no number")
        return judged


def _load(folder: Path) -> "CrossEncoder":
    from sentence_transformers import CrossEncoder

    try:
        model: CrossEncoder = CrossEncoder(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except NOT_LOADED as error:
        raise Unavailable("reranker", f"{folder} cannot be loaded ({first_line(error)})") from error
    return model
