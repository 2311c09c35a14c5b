"""Retrieval: time and recall at three sizes, quality by language, as Markdown.

Run: .venv/bin/python -m benchmarks.retrieval [--sizes 1000,100000,1000000]
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import structlog

from benchmarks.calibration import (
    DATA,
    LABELLED,
    TOLD,
    demo,
    help_pages,
    quiet,
    rows,
    snapshot_of,
)
from core.adapters.database import open_database
from core.adapters.documents import Document
from core.turn import Passage, WorkspaceId
from retrieval.building import Memory
from retrieval.calibration import find_calibration
from retrieval.encoder import Encoder, Vectors, normalised, open_encoder
from retrieval.fitting import Labelled, encode
from retrieval.opening import open_retriever
from retrieval.ranking import base_language, choose, rank
from retrieval.sentences import Sentences
from retrieval.snapshot import Shard, load
from retrieval.vectors import form_for
from retrieval.writing import Content, write

SIZES = (1_000, 100_000, 1_000_000)
DIM = 384
QUESTIONS = 200
WORDS = 14
# In a passage of the demo company.
SENTENCES = 3
WORKSPACE = WorkspaceId("benchmark")
SHOWN = ("en", "de", "es", "fr", "pt", "it", "nl", "ru", "zh", "ja", "ko", "ar", "hi", "tr")


class MadeUp(Sequence[tuple[Passage, str]]):
    """Passages of random words, as rare and frequent as in a language (Zipf), made when read."""

    def __init__(self, count: int) -> None:
        drawn = np.random.default_rng(1).zipf(1.3, count * WORDS) % 50_000
        self._words = drawn.astype(np.int32).reshape(count, WORDS)

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, at: int) -> tuple[Passage, str]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[Passage, str]]: ...

    def __getitem__(self, at: int | slice) -> tuple[Passage, str] | Sequence[tuple[Passage, str]]:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        text = " ".join(f"w{word}" for word in self._words[at])
        name = f"d{at}"
        return Passage(id=f"{name}#1", document=name, title=name, text=text, language="en"), "x"

    def __iter__(self) -> Iterator[tuple[Passage, str]]:
        return (self[n] for n in range(len(self)))


def made_up_vectors(count: int) -> Vectors:
    """Points around 5,000 subjects; evenly strewn ones would have no near neighbours at all."""
    dice = np.random.default_rng(2)
    subjects = dice.standard_normal((5_000, DIM), dtype=np.float32)
    found = np.empty((count, DIM), np.float32)
    for start in range(0, count, 50_000):
        part = subjects[dice.integers(0, len(subjects), min(50_000, count - start))]
        part = part + 0.7 * dice.standard_normal(part.shape, dtype=np.float32)
        found[start : start + len(part)] = normalised(part)
    return found


def made_up_sentences(vectors: Vectors) -> Sentences:
    """As many as an article's passage has, each as the passage is."""
    halved = vectors.astype(np.float16)
    starts = np.arange(0, SENTENCES * len(vectors) + 1, SENTENCES)
    return Sentences(vectors=np.repeat(halved, SENTENCES, axis=0), starts=starts)


def at_size(count: int, folder: Path, encoder: Encoder) -> str:
    """A row of the table: build, load, search, recall."""
    vectors = made_up_vectors(count)
    passages = MadeUp(count)
    began = time.perf_counter()
    content = Content(
        language="en", passages=passages, vectors=vectors, sentences=made_up_sentences(vectors)
    )
    name = write(folder, [content], workspace=WORKSPACE, encoder=encoder.id, progress=quiet)
    built_s = time.perf_counter() - began
    began = time.perf_counter()
    snapshot = load(folder, name, workspace=WORKSPACE, encoder=encoder.id)
    loaded_s = time.perf_counter() - began
    dice = np.random.default_rng(3)
    asked = dice.integers(0, count, QUESTIONS)
    noise = 0.3 / np.sqrt(DIM) * dice.standard_normal((QUESTIONS, DIM), dtype=np.float32)
    questions = normalised(vectors[asked] + noise)
    took_ms = []
    for row, vector in zip(asked, questions, strict=True):
        text = passages[int(row)][0].text
        began = time.perf_counter()
        found = rank(snapshot, text, vector, "en", {"*": 0.7})[:60]
        _ = [c.shard.texts[c.row] for c in found]
        took_ms.append(1_000 * (time.perf_counter() - began))
    p50, p99 = np.percentile(took_ms, [50, 99])
    share = recall(snapshot.shards[0], vectors, questions)
    return (
        f"| {count:,} | {form_for(count)} | {built_s:.0f} s | {loaded_s:.1f} s | {p50:.1f} ms |"
        f" {p99:.1f} ms | {share:.3f} |"
    )


def recall(shard: Shard, vectors: Vectors, questions: Vectors) -> float:
    """The share of the ten truly nearest that the index finds among its first ten."""
    hits = 0
    for block in range(0, len(questions), 50):
        cosines = questions[block : block + 50] @ vectors.T
        exact = np.argpartition(-cosines, 10, axis=1)[:, :10]
        for question, nearest in zip(questions[block : block + 50], exact, strict=True):
            hits += len(set(nearest.tolist()) & set(shard.nearest(question, 10)[0].tolist()))
    return hits / (10 * len(questions))


async def whole_search(encoder: Encoder, folder: Path) -> str:
    """Everything a customer waits for, at 1,000 passages: encoding, both searches, the rows."""
    pages = rows(DATA / "tldr/docs_en.jsonl.gz")
    documents, questions = demo(LABELLED)
    documents += [
        Document(id=page["doc_id"], title=page["title"], text=page["text"], language="en")
        for page in pages[: 1_000 - len(Memory().cut_up(documents, quiet))]
    ]
    count = len(Memory().cut_up(documents, quiet))
    async with (
        open_database(f"sqlite:///{folder / 'benchmark.db'}") as database,
        open_retriever(database, folder, encoder=encoder) as retrieval,
    ):
        began = time.perf_counter()
        await retrieval.knowledge.put(WORKSPACE, documents)
        indexed_s = time.perf_counter() - began
        took_ms = []
        for item in questions:
            began = time.perf_counter()
            await retrieval.retriever.search(WORKSPACE, item.question, language=item.language)
            took_ms.append(1_000 * (time.perf_counter() - began))
    p50, p99 = np.percentile(took_ms, [50, 99])
    return (
        f"A whole search over {count:,} passages in 8 languages, encoding the question and checking"
        f" the rows included: p50 {p50:.1f} ms, p99 {p99:.1f} ms over {len(questions)} questions."
        f" Indexing them took {indexed_s:.0f} s."
    )


async def quality(name: str, given: tuple[list[Document], list[Labelled]], encoder: Encoder) -> str:
    """A row of the table: the share of questions whose document is among the first five."""
    documents, questions = given
    answerable = [item for item in questions if item.document is not None]
    hits: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as folder:
        snapshot = await snapshot_of(documents, encoder, Path(folder))
        weights = find_calibration(encoder.id, Path(folder)).coverage_weights
        vectors = await encode(answerable, encoder)
        for item, vector in zip(answerable, vectors, strict=True):
            ranked = rank(snapshot, item.question, vector, item.language, weights)
            pairs = [(c, c.shard.texts[c.row][0]) for c in ranked]
            found = {passage.document for _, passage in choose(pairs, 5)}
            hits.setdefault(base_language(item.language), []).append(item.document in found)
    mean = np.mean([np.mean(found) for found in hits.values()])
    cells = [f"{np.mean(hits[tag]):.2f}" if tag in hits else "" for tag in SHOWN]
    return f"| {name} | {len(answerable)} | {mean:.2f} | {' | '.join(cells)} |"


async def main() -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--encoder", default=None, help="a model folder or hub id")
    chosen = parser.parse_args()
    # What is printed is the result; logs go beside it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    encoder = open_encoder(chosen.encoder)
    with tempfile.TemporaryDirectory() as folder:
        print(await whole_search(encoder, Path(folder)), flush=True)
    print("\nMade-up passages of 14 words and clustered vectors of 384 dimensions, one language;")
    print("the question's vector given. Recall is against exact search, ten of ten.\n")
    print("| passages | form | build | load | search p50 | p99 | recall@10 |")
    print("|---|---|---|---|---|---|---|")
    for size in map(int, chosen.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            print(at_size(size, Path(folder), encoder), flush=True)
    print(f"\nThe right document among the first five, encoder {encoder.id}:\n")
    print("The English questions about help pages are lines of these pages, so they only count as")
    print("a check; all other languages have to cross over to English pages.\n")
    print(f"| knowledge | questions | mean | {' | '.join(SHOWN)} |")
    print("|---|---|---|" + "---|" * len(SHOWN))
    print(await quality("demo company, 8 languages", demo(LABELLED), encoder), flush=True)
    print(await quality("the same, told", demo(TOLD), encoder), flush=True)
    pages = help_pages(random.Random(20))
    if pages[0]:
        print(await quality("English help pages", pages, encoder), flush=True)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
