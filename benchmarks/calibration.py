"""Fits the calibrations that ship, on the demo company and on public data where it is at hand.

Run: .venv/bin/python -m benchmarks.calibration [--encoder FOLDER_OR_HUB_ID]
"""

import argparse
import asyncio
import gzip
import json
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.adapters.documents import Document
from core.turn import WorkspaceId
from retrieval.building import Memory, cut_up
from retrieval.calibration import ANY_ENCODER, NAMES, SHIPPED, Calibration, write_calibration
from retrieval.encoder import Encoder, open_encoder
from retrieval.fitting import (
    Labelled,
    Sample,
    coverage_weights,
    encode,
    fit,
    fluent_languages,
    search_all,
)
from retrieval.loaders.files import read, sources
from retrieval.ranking import base_language
from retrieval.snapshot import Snapshot, load
from retrieval.writing import write

DEMO = Path("examples/demo")
DATA = Path("../shared/data")
WORKSPACE = WorkspaceId("calibration")
# Questions to a shop are what the product meets; the others keep it from knowing only shops.
PUBLIC_WEIGHT = 0.05
# Cosines are on the scale of one encoder, and how far it bridges languages is its own affair.
SCALE_FREE = tuple(name for name in NAMES if name not in {"cosine", "fused", "own_language"})

Knowledge = tuple[list[Document], list[Labelled]]


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, gzipped or not; none if it is not there."""
    if not path.is_file():
        return []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def demo() -> Knowledge:
    """The demo company's articles with the questions labelled for them."""
    root = DEMO / "knowledge"
    documents = [
        Document(id=d.id, title=d.title, text=d.text, language=d.language or "en", source=d.source)
        for source in sources(root)
        for d in read(source, root)
    ]
    return documents, [
        Labelled(question=row["query"], language=row["lang"], document=row["doc_id"])
        for row in rows(DEMO / "labelled.jsonl")
    ]


def help_pages(random_: random.Random) -> Knowledge:
    """English help pages, half of them left out; questions in many languages about both halves."""
    pages = rows(DATA / "tldr/docs_en.jsonl.gz")
    pages = random_.sample(pages, min(2_000, len(pages)))
    indexed = {page["doc_id"] for page in pages[::2]}
    about = {page["doc_id"] for page in pages}
    questions: dict[str, list[Labelled]] = {}
    for pair in rows(DATA / "tldr/pairs.jsonl.gz"):
        if pair["doc_id"] in about and pair["kind"] == "description":
            label = pair["doc_id"] if pair["doc_id"] in indexed else None
            for language, text in ((pair["lang"], pair["query"]), ("en", pair["eng"])):
                questions.setdefault(language, []).append(labelled(text, language, label))
    return [
        Document(id=page["doc_id"], title=page["title"], text=page["text"], language="en")
        for page in pages
        if page["doc_id"] in indexed
    ], [
        item
        for language, items in sorted(questions.items())
        for item in random_.sample(items, min(600 if language == "en" else 40, len(items)))
    ]


def intents(random_: random.Random) -> Knowledge:
    """Short utterances as knowledge: five of every second intent; the rest are the questions."""
    by_intent: dict[str, list[str]] = {}
    for row in rows(DATA / "clinc150/train.jsonl.gz"):
        by_intent.setdefault("oos" if row["oos"] else row["intent"], []).append(row["text"])
    known = [intent for intent in sorted(by_intent) if intent != "oos"][::2]
    documents = [
        Document(
            id=f"intent/{intent}",
            title=intent.replace("_", " "),
            text=". ".join(by_intent[intent][:5]),
            language="en",
        )
        for intent in known
    ]
    questions = [
        labelled(text, "en", f"intent/{intent}" if intent in known else None)
        for intent, texts in sorted(by_intent.items())
        for text in random_.sample(texts[5:], min(6, len(texts[5:])))
    ]
    return documents, questions


def labelled(question: str, language: str, document: str | None) -> Labelled:
    """A question of public data."""
    tag = language.replace("_", "-")
    return Labelled(question=question, language=tag, document=document, weight=PUBLIC_WEIGHT)


async def snapshot_of(documents: Sequence[Document], encoder: Encoder, folder: Path) -> Snapshot:
    """Index documents in a folder of their own."""
    memory = Memory()
    cuts = cut_up(documents, quiet)
    await memory.fill(cuts, encoder, quiet)
    name = write(
        folder, memory.contents(cuts), workspace=WORKSPACE, encoder=encoder.id, progress=quiet
    )
    return load(folder, name, workspace=WORKSPACE, encoder=encoder.id)


def quiet(stage: str, done: int, total: int) -> None:
    """Show no progress."""


async def calibrate(encoder: Encoder, folder: Path) -> tuple[Calibration, Calibration]:
    """One calibration for this encoder, one for any."""
    random_ = random.Random(20)
    documents, questions = demo()
    shop = await snapshot_of(documents, encoder, folder / "shop")
    vectors = await encode(questions, encoder)
    fluent = fluent_languages(shop, questions, vectors)
    weights = coverage_weights(shop, questions, vectors, fluent, default=0.7)
    samples = search_all(shop, questions, vectors, weights)
    for number, (more, asked) in enumerate((help_pages(random_), intents(random_))):
        if more:
            other = await snapshot_of(more, encoder, folder / str(number))
            samples += search_all(other, asked, await encode(asked, encoder), weights)
    report(samples)
    return (
        fit(samples, encoder=encoder.id, fluent=fluent, coverage_weights=weights),
        fit(
            samples,
            encoder=ANY_ENCODER,
            fluent=fluent,
            coverage_weights={"*": 0.7},
            features=SCALE_FREE,
        ).model_copy(update={"fluent": ("*",)}),
    )


def base(question: Labelled) -> str:
    """The language of a question without its region."""
    return base_language(question.language)


def report(samples: Iterable[Sample]) -> None:
    """Print how many of each language's questions were answered right."""
    by_language: dict[str, list[bool]] = {}
    for sample in samples:
        if sample.labelled.document is not None:
            by_language.setdefault(base(sample.labelled), []).append(sample.right)
    for language, right in sorted(by_language.items()):
        print(f"{language}: {sum(right)} of {len(right)} first")


async def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default=None, help="a model folder or hub id")
    encoder = open_encoder(parser.parse_args().encoder)
    with tempfile.TemporaryDirectory() as folder:
        own, any_ = await calibrate(encoder, Path(folder))
    write_calibration(own, SHIPPED / f"{encoder.id.partition('@')[0]}.json")
    write_calibration(any_, SHIPPED / f"{ANY_ENCODER}.json")
    print(own.model_dump_json(indent=1))
    print(any_.model_dump_json(indent=1))


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
