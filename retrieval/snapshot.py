"""One immutable, checked version of a workspace's index."""

import hashlib
import json
import mmap
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import DragomanError
from core.turn import Passage, WorkspaceId
from retrieval import vectors as faiss_index
from retrieval.encoder import Vectors
from retrieval.lexicon import TOKENS, Lexicon, load_lexicon
from retrieval.passages import SPLITTER
from retrieval.sentences import Sentences
from retrieval.vectors import Rows

FORMAT = 2
MANIFEST = "manifest.json"

# How much FAISS may read is a setting of the process. And numpy has Python parse the head of each
# file; 3.11 counts for all threads at once how deep it is in that, so that now and then one of two
# ends in a SystemError (python/cpython#106905).
_opening = threading.Lock()


class SnapshotRefused(DragomanError):
    """A snapshot is damaged or was built for something else; another one must serve."""


class ShardEntry(BaseModel):
    """What the manifest says of one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    language: str
    count: int
    form: str


class Manifest(BaseModel):
    """What a snapshot holds; its own hash is part of the version's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    workspace: str
    encoder: str
    dim: int
    splitter: str = SPLITTER
    tokens: str = TOKENS
    count: int
    shards: tuple[ShardEntry, ...]
    files: dict[str, str]

    def seal(self) -> str:
        """A hash over every field, and so over every file."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The passages of one language, side by side in four forms, by row number."""

    language: str
    texts: "PassageFile"
    vectors: Vectors
    sentences: Sentences
    index: faiss.Index
    lexicon: Lexicon

    def nearest(self, question: Vectors, limit: int) -> tuple[Rows, Vectors]:
        """Rows with their cosines to the question's vector, best first."""
        return faiss_index.nearest(self.index, self.vectors, question, limit)

    def closeness(self, rows: Rows, question: Vectors) -> Vectors:
        """How close passages are to the question's vector, as a whole and by their best sentence.

        The mean of the two cosines. With the title as one of the sentences, of 216 short questions
        to the demo company (`examples/demo/everyday.jsonl`) it puts a right one first in 0.93,
        without in 0.86; of 207 others in 0.76 and 0.71 (a trial that is not in the repository).
        """
        whole = np.asarray(self.vectors[rows]) @ question
        best = self.sentences.nearest(rows, question)
        closeness: Vectors = np.mean((whole, best), axis=0)
        return closeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A version that passed every check, ready to be searched."""

    version: str
    encoder: str
    dim: int
    count: int
    shards: tuple[Shard, ...]


class PassageFile:
    """Passages in JSON Lines, read one by one when they are wanted."""

    def __init__(self, path: Path) -> None:
        """Map the file and find its lines."""
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = np.flatnonzero(np.frombuffer(self._data, np.uint8) == ord("\n"))
        self._starts = np.concatenate([[0], ends + 1]).astype(np.int64)

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> tuple[Passage, str]:
        """A passage with the wording (sha256) of the document it was cut from."""
        fields: dict[str, Any] = json.loads(self._data[self._starts[row] : self._starts[row + 1]])
        wording = fields.pop("wording")
        return Passage(**fields), wording

    def __iter__(self) -> Iterator[tuple[Passage, str]]:
        """All of them in order."""
        return (self[row] for row in range(len(self)))


def passage_line(passage: Passage, wording: str) -> bytes:
    """One passage as its line in the file."""
    fields = asdict(passage) | {"wording": wording}
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def workspace_folder(data_dir: Path, workspace: WorkspaceId) -> Path:
    """Where the versions of a workspace lie, whatever characters its id has."""
    return data_dir / "indexes" / quote(workspace, safe="").replace(".", "%2E")


def versions(folder: Path) -> tuple[str, ...]:
    """The complete versions in a workspace's folder, oldest first."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")))


def load(folder: Path, version: str, *, workspace: WorkspaceId, encoder: str) -> Snapshot:
    """Check a version in every respect, then open it.

    Raises: SnapshotRefused: it is damaged, incomplete, or of another workspace or encoder.
    """
    place = folder / version
    try:
        manifest = read_manifest(place)
        _check(manifest, version, workspace, encoder)
        for name, expected in manifest.files.items():
            with (place / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise SnapshotRefused(f"{version}: {name} is damaged")
        with _opening:
            shards = tuple(_open_shard(place, entry, manifest.dim) for entry in manifest.shards)
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise SnapshotRefused(f"{version}: {str(error) or type(error).__name__}") from error
    return Snapshot(
        version=version,
        encoder=manifest.encoder,
        dim=manifest.dim,
        count=manifest.count,
        shards=shards,
    )


def read_manifest(place: Path) -> Manifest:
    """The manifest of a version.

    Raises: SnapshotRefused: it is missing or damaged.
    """
    try:
        return Manifest.model_validate_json((place / MANIFEST).read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        raise SnapshotRefused(f"{place.name}: its manifest is missing or damaged") from error


def _check(manifest: Manifest, version: str, workspace: WorkspaceId, encoder: str) -> None:
    if not version.endswith(f"-{manifest.seal()}"):
        raise SnapshotRefused(f"{version}: its manifest was changed")
    if manifest.workspace != workspace:
        raise SnapshotRefused(f"{version}: belongs to another workspace")
    if manifest.encoder != encoder:
        raise SnapshotRefused(
            f"{version}: built with encoder {manifest.encoder}, not {encoder};"
            " run `dragoman knowledge reindex`"
        )
    if (manifest.format, manifest.splitter, manifest.tokens) != (FORMAT, SPLITTER, TOKENS):
        raise SnapshotRefused(f"{version}: of another release; run `dragoman knowledge reindex`")
    if manifest.count != sum(entry.count for entry in manifest.shards):
        raise SnapshotRefused(f"{version}: its counts disagree")


def _open_shard(place: Path, entry: ShardEntry, dim: int) -> Shard:
    folder = place / entry.folder
    shard = Shard(
        language=entry.language,
        texts=PassageFile(folder / "passages.jsonl"),
        vectors=np.load(folder / "vectors.npy", mmap_mode="r"),
        sentences=Sentences(
            vectors=np.load(folder / "sentences.npy", mmap_mode="r"),
            starts=np.load(folder / "starts.npy"),
        ),
        index=faiss_index.load(folder / "index.faiss"),
        lexicon=load_lexicon(folder / "lexicon"),
    )
    sentences = shard.sentences
    counts = {
        len(shard.texts),
        len(shard.vectors),
        len(sentences.starts) - 1,
        shard.index.ntotal,
        shard.lexicon.count,
    }
    dims = {shard.vectors.shape[1], sentences.vectors.shape[1], shard.index.d}
    if counts != {entry.count} or dims != {dim} or len(sentences.vectors) != sentences.starts[-1]:
        raise SnapshotRefused(f"{place.name}: the parts of {entry.language} disagree in size")
    return shard


def probe(snapshot: Snapshot, rows_a_shard: int = 20) -> None:
    """Search for some passages by their own vectors, which must bring them back.

    Raises: SnapshotRefused: one is not found, or a vector is not finite.
    """
    for shard in snapshot.shards:
        for row in np.linspace(0, len(shard.texts) - 1, rows_a_shard, dtype=np.int64):
            vector = np.asarray(shard.vectors[row])
            found, cosines = shard.nearest(vector, 5)
            # Two passages may say the same; then either will do.
            if not np.isfinite(cosines).all() or not len(found) or cosines[0] < 0.999:
                raise SnapshotRefused(
                    f"{snapshot.version}: passage {row} of {shard.language} is not found again"
                )
