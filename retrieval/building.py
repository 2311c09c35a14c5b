"""Documents to the contents of an index, encoding only what is new."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.adapters.documents import Document
from core.turn import Passage
from retrieval.encoder import Encoder, Vectors
from retrieval.passages import sentences_of, split
from retrieval.sentences import side_by_side
from retrieval.snapshot import Snapshot
from retrieval.writing import Content, Progress, indexed_text

_ENCODED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A passage, the wording of its document, and the hash of what is encoded for it."""

    passage: Passage
    wording: str
    key: str


class Memory:
    """Vectors by the hash of their text, so that nothing is encoded twice."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._known: dict[str, Vectors] = {}

    def learn(self, snapshot: Snapshot) -> None:
        """Remember every vector of a snapshot, which must be of the encoder in use."""
        for shard in snapshot.shards:
            for row, (passage, _) in enumerate(shard.texts):
                self._known[_key(passage)] = shard.vectors[row]
                told = zip(sentences_of(passage), shard.sentences.of(row), strict=True)
                self._known.update((_hash(sentence), vector) for sentence, vector in told)

    async def fill(self, cuts: Sequence[Cut], encoder: Encoder, progress: Progress) -> None:
        """Encode what is not known yet."""
        texts = {cut.key: indexed_text(cut.passage) for cut in cuts}
        for cut in cuts:
            texts.update((_hash(sentence), sentence) for sentence in sentences_of(cut.passage))
        # Texts of like length together: a batch takes as long as its longest.
        todo = sorted(texts.keys() - self._known.keys(), key=lambda key: (len(texts[key]), key))
        for start in range(0, len(todo), _ENCODED_AT_ONCE):
            progress("encoding", start, len(todo))
            batch = todo[start : start + _ENCODED_AT_ONCE]
            encoded = await encoder.passages([texts[key] for key in batch])
            self._known.update(zip(batch, encoded, strict=True))
        progress("encoding", len(todo), len(todo))

    def contents(self, cuts: Sequence[Cut]) -> tuple[Content, ...]:
        """The passages by language, with the vectors of each; all must have been encoded."""
        languages: dict[str, list[Cut]] = defaultdict(list)
        for cut in cuts:
            languages[cut.passage.language.partition("-")[0].lower()].append(cut)
        return tuple(
            Content(
                language=language,
                passages=[(cut.passage, cut.wording) for cut in mine],
                vectors=self._stacked(cut.key for cut in mine),
                sentences=side_by_side(
                    [self._stacked(map(_hash, sentences_of(cut.passage))) for cut in mine]
                ),
            )
            for language, mine in sorted(languages.items())
        )

    def _stacked(self, keys: Iterable[str]) -> Vectors:
        return np.stack([self._known[key] for key in keys]).astype(np.float32)


def cut_up(documents: Sequence[Document], progress: Progress) -> tuple[Cut, ...]:
    """All passages of all documents."""
    cuts: list[Cut] = []
    for done, document in enumerate(documents):
        if done % 500 == 0:
            progress("splitting", done, len(documents))
        wording = document.sha256
        cuts.extend(Cut(passage=p, wording=wording, key=_key(p)) for p in split(document))
    return tuple(cuts)


def _key(passage: Passage) -> str:
    return _hash(indexed_text(passage))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
