"""Fits the calibration that ships with an encoder, and with `--any` the one for all others.

On the demo company, on support articles, and on public data where it is at hand.
Run: .venv/bin/python -m benchmarks.calibration [--encoder FOLDER_OR_HUB_ID] [--any]
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
from retrieval.building import Memory
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
from retrieval.topics import topic
from retrieval.writing import write
from workers.training.dataset.splitting import place

DEMO = Path("examples/demo")
LABELLED = "labelled.jsonl"
TOLD = "told.jsonl"
DATA = Path("../shared/data")
WORKSPACE = WorkspaceId("calibration")
# Questions to a shop are what the product meets; the others keep it from knowing only shops.
PUBLIC_WEIGHT = 0.05
SUPPORT = Path("models/data/support")
# Together 168 on 2026-11-27, beside 738 questions to the demo company.
SUPPORT_WEIGHT = 0.05
# So many help articles stand together: among more, even a right one would look doubtful.
HELP_DESK = 160
# The parts that models/recipes/starter-support-data.yaml keeps from the encoder.
HELD_OUT = 0.15
# Cosines are on the scale of one encoder, and how far it bridges languages is its own affair.
ITS_OWN = frozenset({"cosine", "fused", "own_language", "share", "counterparts"})
SCALE_FREE = tuple(name for name in NAMES if name not in ITS_OWN)

Knowledge = tuple[list[Document], list[Labelled]]


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, gzipped or not; none if it is not there."""
    if not path.is_file():
        return []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def demo(*files: str) -> Knowledge:
    """The demo company's articles with the questions labelled for them in these files."""
    root = DEMO / "knowledge"
    documents = [
        Document(id=d.id, title=d.title, text=d.text, language=d.language or "en", source=d.source)
        for source in sources(root)
        for d in read(source, root)
    ]
    return documents, [
        Labelled(question=row["query"], language=row["lang"], document=row["doc_id"])
        for name in files
        for row in rows(DEMO / name)
    ]


def support_lines() -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """What was written for this project: all lines, and the English one of each topic."""
    lines = [row for path in sorted(SUPPORT.glob("*.jsonl")) for row in rows(path)]
    return lines, {line["topic"]: line for line in lines if line["lang"] == "en"}


def support() -> Knowledge:
    """English help articles written for this project; questions in 24 languages to some of them.

    Only topics count that the encoder has not learnt from; every second of these has no article.
    """
    lines, english = support_lines()
    by_place = sorted(english, key=lambda name: -place(f"support:{name}"))
    held_out = [name for name in by_place if place(f"support:{name}") >= 1 - HELD_OUT]
    hidden = set(held_out[::2])
    articles = [name for name in by_place if name not in hidden][:HELP_DESK]
    return [
        Document(
            id=name,
            title=english[name]["title"],
            text=" ".join(english[name]["sentences"]),
            language="en",
            source="",
        )
        for name in articles
    ], [
        Labelled(
            question=text,
            language=line["lang"],
            document=line["topic"] if answer and line["topic"] not in hidden else None,
            weight=SUPPORT_WEIGHT,
        )
        for line in lines
        if line["topic"] in held_out
        for text, answer in zip(line["questions"], english[line["topic"]]["answers"], strict=True)
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
    cuts = memory.cut_up(documents, quiet)
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
    documents, questions = demo(LABELLED, TOLD)
    shop = await snapshot_of(documents, encoder, folder / "shop")
    same = {one.id: topic(one.id, one.language) for one in documents}
    articles, customers = support()
    help_desk = await snapshot_of(articles, encoder, folder / "support")
    asking = await encode(customers, encoder)
    fluent = await fluent_languages(help_desk, customers, asking, encoder)
    vectors = await encode(questions, encoder)
    weights = await coverage_weights(
        shop, questions, vectors, encoder, fluent, default=0.2, same=same
    )
    samples = await search_all(shop, questions, vectors, encoder, weights, same=same)
    report("the demo company", samples)
    of_support = await search_all(help_desk, customers, asking, encoder, weights)
    report("support articles", of_support)
    samples += of_support
    for number, (more, asked) in enumerate((help_pages(random_), intents(random_))):
        if more:
            other = await snapshot_of(more, encoder, folder / str(number))
            vectors = await encode(asked, encoder)
            samples += await search_all(other, asked, vectors, encoder, weights)
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


def report(name: str, samples: Iterable[Sample]) -> None:
    """Print how many of each language's questions were answered right."""
    print(f"{name}:")
    by_language: dict[str, list[bool]] = {}
    for sample in samples:
        if sample.labelled.document is not None:
            by_language.setdefault(base(sample.labelled), []).append(sample.right)
    for language, right in sorted(by_language.items()):
        print(f"  {language}: {sum(right)} of {len(right)} first")


async def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default=None, help="a model folder or hub id")
    parser.add_argument("--any", action="store_true", help="write the one for any encoder, too")
    chosen = parser.parse_args()
    encoder = open_encoder(chosen.encoder)
    with tempfile.TemporaryDirectory() as folder:
        own, any_ = await calibrate(encoder, Path(folder))
    write_calibration(own, SHIPPED / f"{encoder.id.partition('@')[0]}.json")
    print(own.model_dump_json(indent=1))
    if chosen.any:
        write_calibration(any_, SHIPPED / f"{ANY_ENCODER}.json")
        print(any_.model_dump_json(indent=1))


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
