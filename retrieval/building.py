"""Documents to the contents of an index, cutting up and encoding only what is new."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from core.adapters.documents import Document
from core.turn import Passage
from retrieval.encoder import Encoder, Vectors
from retrieval.passages import sentences_of, split
from retrieval.ranking import base_language
from retrieval.sentences import Halved, side_by_side
from retrieval.snapshot import Snapshot
from retrieval.writing import Content, Progress, indexed_text

_ENCODED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The vector of a passage (dim,), and those of its title and sentences (n, dim)."""

    whole: Vectors | Halved
    sentences: Vectors | Halved


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A passage with the wording of its document; `encoded` where a snapshot has its vectors."""

    passage: Passage
    wording: str
    encoded: Encoded | None = None


class Memory:
    """What is known of documents and texts already, so that nothing is done twice.

    The vectors of a snapshot stay where they lie, in its files.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._cuts: dict[tuple[str, str], tuple[Cut, ...]] = {}
        self._vectors: dict[bytes, Vectors | Halved] = {}

    def learn(self, snapshot: Snapshot) -> None:
        """Remember the documents of a snapshot, which must be of the encoder in use."""
        for shard in snapshot.shards:
            # As in `Sentences.of`.
            wholes = np.asarray(shard.vectors)
            cuts = (
                Cut(
                    passage=passage,
                    wording=wording,
                    encoded=Encoded(whole=wholes[row], sentences=shard.sentences.of(row)),
                )
                for row, (passage, wording) in enumerate(shard.texts)
            )
            for named, mine in groupby(cuts, lambda cut: (cut.passage.document, cut.wording)):
                self._cuts[named] = tuple(mine)

    def cut_up(self, documents: Sequence[Document], progress: Progress) -> tuple[Cut, ...]:
        """All passages of all documents."""
        named = {(document.id, document.sha256): document for document in documents}
        # What is new repeats most of what it replaces.
        for gone in self._cuts.keys() - named.keys():
            self._take_apart(self._cuts.pop(gone))
        cuts: list[Cut] = []
        for done, (name, document) in enumerate(named.items()):
            if done % 500 == 0:
                progress("splitting", done, len(documents))
            _, wording = name
            new = (Cut(passage=passage, wording=wording) for passage in split(document))
            cuts.extend(self._cuts.get(name) or new)
        return tuple(cuts)

    async def fill(self, cuts: Sequence[Cut], encoder: Encoder, progress: Progress) -> None:
        """Encode what is not known yet."""
        texts = await asyncio.to_thread(self._unknown, cuts)
        # Texts of like length together: a batch takes as long as its longest.
        todo = sorted(texts, key=lambda key: (len(texts[key]), key))
        for start in range(0, len(todo), _ENCODED_AT_ONCE):
            progress("encoding", start, len(todo))
            batch = todo[start : start + _ENCODED_AT_ONCE]
            encoded = await encoder.passages([texts[key] for key in batch])
            self._vectors.update(zip(batch, encoded, strict=True))
        progress("encoding", len(todo), len(todo))

    def contents(self, cuts: Sequence[Cut]) -> tuple[Content, ...]:
        """The passages by language, with the vectors of each; all must have been encoded."""
        languages: dict[str, list[Cut]] = defaultdict(list)
        for cut in cuts:
            languages[base_language(cut.passage.language)].append(cut)
        return tuple(self._content(language, mine) for language, mine in sorted(languages.items()))

    def _content(self, language: str, cuts: Sequence[Cut]) -> Content:
        encoded = [cut.encoded or self._encoded(cut.passage) for cut in cuts]
        return Content(
            language=language,
            passages=[(cut.passage, cut.wording) for cut in cuts],
            vectors=np.stack([each.whole for each in encoded], dtype=np.float32),
            sentences=side_by_side([each.sentences for each in encoded]),
        )

    def _take_apart(self, cuts: Iterable[Cut]) -> None:
        """Remember the vector of each text."""
        for cut in cuts:
            if cut.encoded is not None:
                encoded = zip(sentences_of(cut.passage), cut.encoded.sentences, strict=True)
                self._vectors.update((_hash(text), vector) for text, vector in encoded)
                self._vectors[_hash(indexed_text(cut.passage))] = cut.encoded.whole

    def _unknown(self, cuts: Sequence[Cut]) -> Mapping[bytes, str]:
        """What is to be encoded, each once."""
        new = (cut.passage for cut in cuts if cut.encoded is None)
        texts = (text for each in new for text in (indexed_text(each), *sentences_of(each)))
        hashed = {_hash(text): text for text in texts}
        return {key: text for key, text in hashed.items() if key not in self._vectors}

    def _encoded(self, passage: Passage) -> Encoded:
        return Encoded(
            whole=self._vectors[_hash(indexed_text(passage))],
            sentences=np.stack(
                [self._vectors[_hash(text)] for text in sentences_of(passage)], dtype=np.float32
            ),
        )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
