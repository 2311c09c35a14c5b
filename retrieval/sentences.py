"""The vectors of one language's sentences, by the passage they stand in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import Vectors
from retrieval.vectors import Rows

Halved = NDArray[np.float16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """The vectors of each passage's title and sentences: an answer is often one of them alone.

    `vectors` (sentences, dim) have half the bits, for there are several for each passage; those of
    the passage in row n are from `starts[n]` to before `starts[n + 1]`, at least one.
    """

    vectors: Halved
    starts: Rows

    def of(self, row: int) -> Halved:
        """The vectors of one passage's sentences, in reading order, where they lie."""
        # Each slice of a memory map is one, and takes more than what is in it.
        return np.asarray(self.vectors)[self.starts[row] : self.starts[row + 1]]

    def nearest(self, rows: Rows, question: Vectors) -> Vectors:
        """The cosine of each passage's closest sentence to `question` (dim,)."""
        counts = self.starts[rows + 1] - self.starts[rows]
        firsts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(self.starts[rows] - firsts, counts)
        cosines = self.vectors[places].astype(np.float32) @ question
        closest: Vectors = np.maximum.reduceat(cosines, firsts)
        return closest


def side_by_side(sentences: Sequence[Vectors | Halved]) -> Sentences:
    """Of one array (sentences, dim) for each passage."""
    return Sentences(
        vectors=np.concatenate(sentences, dtype=np.float16),
        starts=np.cumsum([0, *map(len, sentences)]).astype(np.int64),
    )
