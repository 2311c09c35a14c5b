"""The BM25 index of one language's passages."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import bm25s
import numpy as np

from retrieval.encoder import Vectors
from retrieval.vectors import Rows

TOKENS = "1"
"""Changes whenever the same text would give other tokens."""

# Marks that readers leave out or write differently; those of Indic scripts are vowels and stay.
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
)
# Scripts without spaces, and Hangul, whose words end in particles.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_]|[\u0900-\u0963\u0966-\u0dff\u200c\u200d])+"
)


# Endings carry cases and persons; the beginning of a long word alone finds its other forms.
_STEM = 5


def tokens(text: str) -> list[str]:
    """Words without case and accents, long ones also by their beginning.

    Scripts without spaces give pairs of characters.
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = unicodedata.normalize("NFC", _MARKS.sub("", folded))
    found: list[str] = []
    for match in _TOKEN.finditer(folded):
        word = match.group()
        if match["run"] and len(word) > 1:
            found.extend(word[at : at + 2] for at in range(len(word) - 1))
            continue
        found.append(word)
        if len(word) > _STEM and not match["run"]:
            found.append(f"{word[:_STEM]}~")
    return found


class Lexicon:
    """Which passages hold a word, and how much that says."""

    def __init__(self, scorer: bm25s.BM25) -> None:
        """Take over a filled BM25 scorer."""
        self._scorer = scorer
        self._count = int(scorer.scores["num_docs"])

    @property
    def count(self) -> int:
        """How many passages are indexed."""
        return self._count

    def best(self, words: Sequence[str], limit: int) -> tuple[Rows, Vectors]:
        """Row numbers with their BM25 scores, best first; only those that hold a word."""
        known = self._scorer.get_tokens_ids(list(dict.fromkeys(words)))
        known = [token for token in known if self._frequency(token)]
        if not known:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        scores: Vectors = self._scorer.get_scores_from_ids(known)
        limit = min(limit, self._count)
        rows = np.argpartition(-scores, limit - 1)[:limit]
        rows = rows[scores[rows] > 0]
        # Equal scores in the order of the passages, so that an answer can be repeated.
        rows = rows[np.lexsort((rows, -scores[rows]))].astype(np.int64)
        return rows, scores[rows]

    def cover(self, words: Sequence[str], rows: Rows) -> Vectors:
        """How much of the words each of these passages holds, by weight, in [0, 1]."""
        held = np.zeros(len(rows), np.float32)
        total = 0.0
        for word in dict.fromkeys(words):
            weight = self.weight(word)
            total += weight
            token = self._scorer.vocab_dict.get(word)
            if token is not None:
                held += weight * np.isin(rows, self._holders(token), assume_unique=True)
        return held / np.float32(total) if total else held

    def weight(self, word: str) -> float:
        """How much it says that a passage holds the word (idf); most for an unknown one."""
        token = self._scorer.vocab_dict.get(word)
        held = 0 if token is None else self._frequency(token)
        return math.log(1 + (self._count - held + 0.5) / (held + 0.5))

    def save(self, folder: Path) -> None:
        """Write it into a new folder."""
        self._scorer.save(folder, show_progress=False)

    def _holders(self, token: int) -> Rows:
        """The rows that hold a token, in rising order."""
        starts = self._scorer.scores["indptr"]
        # The empty token of texts without words stands in the vocabulary, not in the matrix.
        end = starts[token + 1] if token + 1 < len(starts) else starts[-1]
        rows: Rows = self._scorer.scores["indices"][starts[token] : end]
        return rows

    def _frequency(self, token: int) -> int:
        return len(self._holders(token))


def build_lexicon(texts: Iterable[str]) -> Lexicon:
    """Index texts under their place in the sequence."""
    vocabulary: dict[str, int] = {}
    # One array a passage instead of a list takes an eighth of the memory at a million passages.
    ids = [
        np.fromiter((vocabulary.setdefault(w, len(vocabulary)) for w in tokens(text)), np.int32)
        for text in texts
    ]
    if not vocabulary:
        # BM25 divides by their mean length: of the empty token each holds one.
        ids = [np.zeros(1, np.int32) for _ in ids]
    vocabulary.setdefault("", len(vocabulary))
    scorer = bm25s.BM25(auto_compile=False)
    scorer.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    return Lexicon(scorer)


def load_lexicon(folder: Path) -> Lexicon:
    """Read a lexicon whose checksums were found right.

    Raises: ValueError: it cannot be read.
    """
    try:
        return Lexicon(bm25s.BM25.load(folder, show_progress=False, auto_compile=False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder.name} is no readable lexicon") from error
