"""Sums a conversation up by its own most central sentences."""

from collections.abc import Sequence

import numpy as np

from core.language import count_letters
from core.sentences import split
from retrieval.encoder import Encoder, Vectors

_MOST_SENTENCES = 3
# Of a conversation's sentences: a short one needs no three.
_SHARE = 1 / 3
# What is shorter, such as "Thank you!", resembles much and says little.
_LEAST_LETTERS = 12
_DAMPING = 0.85
_ROUNDS = 50


class Extractor:
    """Needs no model but the sentence encoder."""

    name = "extract"

    def __init__(self, encoder: Encoder) -> None:
        """Compare sentences by this encoder."""
        self._encoder = encoder

    async def summarise(self, dialogues: Sequence[str], *, language: str) -> list[str]:
        """The most central sentences of each, in their order and own language."""
        return [await self._summarise(dialogue) for dialogue in dialogues]

    async def _summarise(self, dialogue: str) -> str:
        sentences = [part.strip() for part in split(dialogue) if part.strip()]
        telling = [part for part in sentences if count_letters(part) >= _LEAST_LETTERS] or sentences
        most = min(_MOST_SENTENCES, max(1, round(len(telling) * _SHARE)))
        if len(telling) <= most:
            return " ".join(telling)
        ranks = lexrank(await self._encoder.passages(telling))
        best = sorted(np.argsort(-ranks, kind="stable")[:most].tolist())
        return " ".join(telling[at] for at in best)


def lexrank(vectors: Vectors) -> Vectors:
    """How central each sentence is: a random walk from sentence to like sentence; sums to 1.

    Vectors are those of an encoder: rows of length 1.
    Source: continuous LexRank, Erkan and Radev, JAIR 22, 2004.
    """
    count = len(vectors)
    likeness = np.clip(vectors @ vectors.T, 0, None)
    # A sentence like no other would keep the walk to itself.
    np.fill_diagonal(likeness, 0)
    totals = likeness.sum(axis=1, keepdims=True)
    steps = np.full_like(likeness, 1 / count)
    np.divide(likeness, totals, out=steps, where=totals > 0)
    ranks: Vectors = np.full(count, 1 / count, np.float32)
    for _ in range(_ROUNDS):
        ranks = (1 - _DAMPING) / count + _DAMPING * (ranks @ steps)
    return ranks
