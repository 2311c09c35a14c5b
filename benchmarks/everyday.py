"""What every desk is asked most, put to the whole product with the demo company, as Markdown.

Run: .venv/bin/python -m benchmarks.everyday
"""

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle
from pathlib import Path

import structlog

from benchmarks.calibration import DEMO, quiet, rows
from core.turn import Answer, Clarify, Served
from dragoman.composition import Core, load_demo, open_core
from dragoman.settings import Settings
from retrieval.topics import topic
from workers.evaluation.answers import ask
from workers.evaluation.product import Product

LEARNT = Path("models/data/everyday")
BESIDE = "short, behind a story"


class Fate(StrEnum):
    """What became of a question."""

    RIGHT = "right"
    ASKED = "asked back"
    HANDED_OVER = "handed over"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Everyday:
    """A question that any shop is asked; an article on one of the `topics` answers it.

    Its `form` is `short`, or `told` with what belongs to it.
    """

    lang: str
    form: str
    query: str
    topics: tuple[str, ...]


def questions() -> list[Everyday]:
    """Twelve questions in 18 languages and two forms, with the demo company's topics for them."""
    return [
        Everyday(
            lang=row["lang"], form=row["form"], query=row["query"], topics=tuple(row["topics"])
        )
        for row in rows(DEMO / "everyday.jsonl")
    ]


def beside_stories() -> list[Everyday]:
    """The short ones, each behind a sentence of its language that has nothing to do with it."""
    stories: dict[str, list[str]] = {}
    for row in rows(DEMO / "stories.jsonl"):
        stories.setdefault(row["lang"], []).append(row["text"])
    told = {language: cycle(some) for language, some in stories.items()}
    return [
        replace(one, form=BESIDE, query=f"{next(told[one.lang])} {one.query}")
        for one in questions()
        if one.form == "short"
    ]


def learnt() -> Iterator[tuple[str, str]]:
    """The everyday questions of the encoder's own data, each after its language."""
    for path in sorted(LEARNT.glob("*.jsonl")):
        for line in rows(path):
            for query in line["questions"]:
                yield line["lang"], query


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


async def fates(core: Core, asked: Sequence[Everyday]) -> list[Fate]:
    """What becomes of each as a customer's first message to a desk that knows the demo company."""
    product = Product(
        pipeline=core.pipeline,
        retrieval=core.retrieval,
        workspace=core.workspace,
        default_language="en",
        precision=0.8,
        progress=quiet,
    )
    return [_fate(await ask(product, one.query), one) for one in asked]


def _fate(served: Served, asked: Everyday) -> Fate:
    outcome = served.outcome
    if isinstance(outcome, Answer):
        cited = {topic(passage.document, passage.language) for passage in outcome.citations}
        return Fate.RIGHT if cited & set(asked.topics) else Fate.WRONG
    return Fate.ASKED if isinstance(outcome, Clarify) else Fate.HANDED_OVER


def table(asked: Sequence[Everyday], found: Sequence[Fate]) -> Iterator[str]:
    """Shares of all questions, of each language's, and of those about each topic.

    Those that the encoder has not learnt word for word stand by themselves.
    """
    yield "| | questions | " + " | ".join(Fate) + " |"
    yield "|---|" + "---:|" * (1 + len(Fate))
    known = {_plain(query) for _, query in learnt()}
    groups: dict[str, list[Fate]] = {}
    by_itself = [pair for pair in zip(asked, found, strict=True) if pair[0].form != BESIDE]
    for one, fate in zip(asked, found, strict=True):
        if one.form != BESIDE:
            groups.setdefault("all", []).append(fate)
        groups.setdefault(one.form, []).append(fate)
        if one.form == "short" and _plain(one.query) not in known:
            groups.setdefault("short, not learnt word for word", []).append(fate)
    for one, fate in by_itself:
        groups.setdefault(one.lang, []).append(fate)
    for one, fate in by_itself:
        groups.setdefault(" or ".join(one.topics), []).append(fate)
    for name, some in groups.items():
        count = Counter(some)
        shares = " | ".join(f"{count[fate] / len(some):.2f}" for fate in Fate)
        yield f"| {name} | {len(some)} | {shares} |"


async def main() -> None:
    """Measure and print."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asked = [*questions(), *beside_stories()]
    with tempfile.TemporaryDirectory() as folder:
        async with open_core(Settings(data_dir=Path(folder))) as core:
            await load_demo(core, quiet)
            found = await fates(core, asked)
    print("\n".join(table(asked, found)))


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
