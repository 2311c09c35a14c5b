"""How many of a question's words have one like them in a passage, whatever languages they are in.

An encoder's table of word pieces has translations near each other. What one vector for a whole
passage hides, that it never speaks of half of what was asked, stands here.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_REMEMBERED = 4_096
# Of each piece of a word, in how many of so many questions it stands (`benchmarks.rarity`).
RARITY = Path(__file__).with_name("rarity.tsv")


class Counterparts:
    """A tokenizer with the vector of each of its pieces."""

    def __init__(self, tokenizer: Any, table: NDArray[np.float32]) -> None:
        """`tokenizer` as of `tokenizers`, shared with nobody who sets it to cut or to fill up.

        `table` (pieces, dim) is only read.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._table = table
        special: Any = tokenizer.get_added_tokens_decoder()
        # What the tokenizer does not know is like nothing, not even like itself.
        self._strange = {number for number, token in special.items() if token.special}
        # Cutting up a passage takes longer than comparing it.
        self._pieces = lru_cache(_REMEMBERED)(self._cut)

    def shares(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """For each passage, the mean likeness (cosine) of the question's pieces to its nearest.

        What few questions hold, such as a place or a thing, counts for more than "how" or "can".
        Float32 (n,), at most 1; 0 where either has no word.
        """
        read = self._tokenizer.encode(question, add_special_tokens=False)
        known = [at for at, number in enumerate(read.ids) if number not in self._strange]
        pieces = [self._pieces(passage) for passage in passages]
        shares = np.zeros(len(passages), dtype=np.float32)
        if not known or not any(map(len, pieces)):
            return shares
        told, places = np.unique(np.concatenate(pieces), return_inverse=True)
        asked = self._vectors([read.ids[at] for at in known])
        likeness = (asked @ self._vectors(told).T).T
        weights = np.array([rarity(question[slice(*read.offsets[at])]) for at in known])
        ends = np.cumsum([len(some) for some in pieces])
        for at, mine in enumerate(np.split(places, ends[:-1])):
            if len(mine):
                shares[at] = np.average(likeness[mine].max(axis=0), weights=weights)
        return shares

    def _cut(self, passage: str) -> NDArray[np.int64]:
        """The numbers of its pieces, each once."""
        read = self._tokenizer.encode(passage, add_special_tokens=False)
        return np.array(sorted(set(read.ids) - self._strange), dtype=np.int64)

    def _vectors(self, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        found = self._table[numbers]
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = found / np.maximum(lengths, 1e-9)
        return scaled


def rarity(piece: str) -> float:
    """How much a piece of a word tells of what a question is about: log(1 / share)², at least 0.

    The share is that of the questions that hold it. Squared, it told right answers from wrong ones
    better than as it is.
    """
    known, rarest = _rarities()
    return known.get(piece.lower(), rarest)


@cache
def _rarities() -> tuple[dict[str, float], float]:
    """Of the pieces that were counted, and of all others."""
    head, *lines = RARITY.read_text(encoding="utf-8").splitlines()
    questions = int(head.rpartition("\t")[2])
    counted = (line.rsplit("\t", 1) for line in lines)
    found = {piece: math.log(questions / int(count)) ** 2 for piece, count in counted}
    return found, max(found.values())
