"""What the night's encoder learns from: customers' questions, beside the articles' own headings.

Each question goes with the passage that answers it and with one that looks to the base as if it
did. The headings keep an encoder that learns a few questions from forgetting the other articles.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.adapters.documents import Document
from core.turn import Passage
from retrieval.encoder import Vectors
from retrieval.passages import split
from retrieval.ranking import rank
from retrieval.topics import topic
from workers.nightly.trial import Trial
from workers.training.dataset.examples import Example, Question
from workers.training.dataset.folder import (
    MANIFEST,
    Dataset,
    Manifest,
    Part,
    open_dataset,
    write_manifest,
    write_part,
)

# Headings for each question.
_HEADINGS = 0.5
_SEED = 0


class Passages:
    """The passages of a workspace's documents, by their text."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Cut the documents up as their index does."""
        self.all: tuple[Passage, ...] = tuple(
            passage for document in documents for passage in split(document)
        )
        self._by_text = {passage.text: passage for passage in self.all}

    def document(self, row: Question) -> str | None:
        """The id of the document that answers; None if no passage says it any more."""
        passage = self._by_text.get(row.passage)
        return passage.document if passage else None

    def topic(self, row: Question) -> str:
        """The same for all translations of an article; the row's own group where none has it."""
        passage = self._by_text.get(row.passage)
        return topic(passage.document, passage.language) if passage else row.group


def questions(dataset: Dataset, part: Part) -> tuple[Question, ...]:
    """The rows of a part that ask for a passage; there may be none."""
    return tuple(row for row in dataset.stream(part) if isinstance(row, Question))


async def write_pairs(
    curated: Dataset, documents: Sequence[Document], base: Trial, folder: Path
) -> Dataset:
    """Write what the encoder learns from into `folder`, or open what a night before a kill wrote.

    Raises: Rejected: the disk is full.
    """
    if (folder / MANIFEST).exists():
        return open_dataset(folder)
    passages = Passages(documents)
    train, dev = (questions(curated, part) for part in (Part.TRAIN, Part.DEV))
    asked = [row.query for row in train]
    vectors = await base.product.retrieval.encoder.questions(asked)
    rows: list[Example] = [
        *_apart(train, vectors, base, passages),
        *_headings(documents, passages, round(_HEADINGS * len(train))),
    ]
    random.Random(_SEED).shuffle(rows)
    return await asyncio.to_thread(_write, folder, rows, dev)


def _write(folder: Path, train: Sequence[Example], dev: Sequence[Example]) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        part: write_part(folder, part, rows)
        for part, rows in ((Part.TRAIN, train), (Part.DEV, dev), (Part.TEST, dev))
    }
    created = datetime.now(UTC).date().isoformat()
    write_manifest(folder, Manifest(created=created, seed=_SEED, files=files))
    return open_dataset(folder)


def _apart(
    rows: Sequence[Question], vectors: Vectors, base: Trial, passages: Passages
) -> Iterator[Question]:
    """The rows by topic, each with a passage of another one that the base finds for it."""
    for row, vector in zip(rows, vectors, strict=True):
        mine = passages.topic(row)
        negatives = row.negatives or _looks_right(row, vector, mine, base)
        yield row.model_copy(update={"group": mine, "negatives": negatives})


def _looks_right(row: Question, vector: Vectors, mine: str, base: Trial) -> tuple[str, ...]:
    weights: Mapping[str, float] = base.product.retrieval.calibration.coverage_weights
    for candidate in rank(base.snapshot, row.query, vector, row.lang, weights):
        passage, _ = candidate.shard.texts[candidate.row]
        if topic(passage.document, passage.language) != mine:
            return (passage.text,)
    return ()


def _headings(documents: Sequence[Document], passages: Passages, count: int) -> list[Question]:
    """So many titles with their headings, each a question to the passage below it."""
    languages = {document.id: document.language for document in documents}
    found = [
        Question(
            lang=languages[passage.document],
            group=topic(passage.document, passage.language),
            source="knowledge",
            licence="own",
            query=" ".join(dict.fromkeys((passage.title, *passage.heading.split(" › ")))),
            passage=passage.text,
        )
        for passage in passages.all
        if passage.heading
    ]
    return random.Random(_SEED).sample(found, min(count, len(found)))
