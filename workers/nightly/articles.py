"""Which article says what a person answered."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.adapters.documents import Document
from core.turn import Passage
from retrieval.passages import split
from retrieval.topics import topic
from workers.training.dataset.texts import plain

SAID = 0.5
"""From this share of an answer's pieces on, weighed by their rarity, a passage says it. Among the
demo company's articles a sentence finds half its pieces in another article one time in ten."""
AHEAD = 0.1
"""By so much the best article has to be ahead of the next: two that are alike tell nothing."""
SAYS_ELSE = 0.4
"""Below this share a passage of the same language does not say it."""

_PIECE, _PIECE_WIDE = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A passage that says what was answered."""

    passage: Passage
    share: float


class _Shelf:
    """The passages of one language, by their pieces."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages
        self.topics = [topic(one.document, one.language) for one in passages]
        found: dict[str, list[int]] = defaultdict(list)
        for number, passage in enumerate(passages):
            for piece in _pieces(passage.text):
                found[piece].append(number)
        self._places = {piece: np.array(numbers) for piece, numbers in found.items()}

    def shares(self, text: str) -> NDArray[np.float64]:
        """The share of the text that each passage says."""
        said = np.zeros(len(self.passages))
        whole = 0.0
        for piece in _pieces(text):
            places = self._places.get(piece)
            seen = 0 if places is None else len(places)
            weight = math.log(1 + len(self.passages) / (seen + 0.5))
            whole += weight
            if places is not None:
                said[places] += weight
        return said / whole if whole else said


class Articles:
    """The workspace's articles, to be searched by what agents wrote."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Cut the documents into the passages that an index would hold."""
        languages: dict[str, list[Passage]] = defaultdict(list)
        self._documents: dict[str, tuple[Passage, ...]] = {}
        for document in documents:
            self._documents[document.id] = split(document)
            languages[_base(document.language)].extend(self._documents[document.id])
        self._shelves = {tag: _Shelf(passages) for tag, passages in languages.items()}

    def saying(self, answer: str, language: str) -> Match | None:
        """The passage that the answer was taken from; None if no single article says it."""
        shelf = self._shelves.get(_base(language))
        if shelf is None or not shelf.passages:
            return None
        shares = shelf.shares(answer)
        best = int(shares.argmax())
        others = [
            share
            for share, name in zip(shares.tolist(), shelf.topics, strict=True)
            if name != shelf.topics[best]
        ]
        if shares[best] < SAID or shares[best] - max(others, default=0.0) < AHEAD:
            return None
        return Match(passage=shelf.passages[best], share=float(shares[best]))

    def part(self, document: str, answer: str) -> Passage | None:
        """The passage of one document that is nearest to an answer; None if it is gone."""
        passages = self._documents.get(document, ())
        if not passages:
            return None
        shares = _Shelf(passages).shares(answer)
        return passages[int(shares.argmax())]

    @staticmethod
    def says_else(passage: str, language: str, answer: str, answer_language: str) -> bool:
        """Whether a passage of the answer's language says something else."""
        same = _base(language) == _base(answer_language)
        return same and share(answer, passage) < SAYS_ELSE


def share(text: str, of: str) -> float:
    """The share of a text's pieces that another one has."""
    pieces = _pieces(text)
    return len(pieces & _pieces(of)) / len(pieces) if pieces else 0.0


def _base(tag: str) -> str:
    return tag.partition("-")[0]


def _pieces(text: str) -> set[str]:
    """Runs of characters, which scripts without spaces have as well."""
    folded = plain(text)
    # A script of three bytes a letter says more with each of them.
    size = _PIECE_WIDE if len(folded.encode()) > 2.5 * len(folded) else _PIECE
    return {folded[at : at + size] for at in range(len(folded) - size + 1)}
