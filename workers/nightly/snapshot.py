"""A night's set as it is frozen on the disk, whole or not at all."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.adapters.night_files import HELD_OUT, ORIGINS, SAMPLE, STOOD
from core.errors import Rejected
from core.language import same_language
from core.nights import Order
from workers.nightly.exchanges import Exchange, Stood
from workers.nightly.splitting import Row, Shared
from workers.nightly.teaching import Lesson
from workers.training.dataset.building import code_version
from workers.training.dataset.examples import Question
from workers.training.dataset.folder import (
    MANIFEST,
    Manifest,
    Origin,
    Part,
    open_dataset,
    sha256,
    write_manifest,
    write_part,
)
from workers.training.dataset.licences import OWN

FIGURES = "figures.json"
"""In the dataset's folder: what the step tells of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What people are shown beside the set, with the conversations that it stems from.

    `customers` are, of every conversation, the hashes by which the ledger knows who wrote there.
    """

    page: str
    conversations: tuple[int, ...] = ()
    customers: Mapping[int, Sequence[str]] = field(default_factory=dict)


def frozen(order: Order) -> Mapping[str, Any] | None:
    """The figures of the set that this order made before; None if there is none that is whole."""
    try:
        open_dataset(order.dataset)
        found: Mapping[str, Any] = json.loads((order.dataset / FIGURES).read_bytes())
    except (Rejected, OSError, ValueError):
        # A disk that was full, a kill or a power cut: it is made again.
        return None
    return found


def thaw(order: Order) -> None:
    """Take the set away, so that it is made anew."""
    _gone(order.dataset)
    for name in (HELD_OUT, STOOD, SAMPLE, ORIGINS):
        (order.folder / name).unlink(missing_ok=True)


def earlier(folder: Path) -> frozenset[int]:
    """The messages that a night has read."""
    found: set[int] = set()
    with suppress(FileNotFoundError), (folder / ORIGINS).open(encoding="utf-8") as file:
        for line in file:
            found.update(json.loads(line)["messages"])
    return frozenset(found)


def freeze(
    order: Order, shared: Shared, seen: Seen, left_out: Counter[str], told: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Write everything aside, and put the dataset into its place last of all; its figures.

    Origins come first: what is half written can be traced and erased as well.

    Raises:
        OSError: the disk is full; nothing is left of the attempt.
        Rejected: so it was while rows were written.
    """
    aside = order.folder / "data.part"
    try:
        _gone(aside)
        aside.mkdir(parents=True, mode=0o700)
        _replace(order.folder / ORIGINS, _lines(_origins(shared, seen)))
        files = {
            part: write_part(aside, part, (row.example for row in shared.rows[part]))
            for part in Part
        }
        manifest = _manifest(shared, files, left_out, told)
        write_manifest(aside, manifest)
        figures = {**_figures(shared, left_out, told), "data_sha256": sha256(aside / MANIFEST)}
        _replace(aside / FIGURES, json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
        _replace(order.folder / HELD_OUT, _lines(map(_held_out, shared.held_out)))
        _replace(order.folder / STOOD, _lines(map(_stood, shared.stood)))
        _replace(order.folder / SAMPLE, seen.page)
        _gone(order.dataset)
        aside.rename(order.dataset)
    except (OSError, Rejected):
        _gone(aside)
        for name in (ORIGINS, HELD_OUT, STOOD, SAMPLE):
            (order.folder / f"{name}.part").unlink(missing_ok=True)
        raise
    return figures


def show(order: Order, seen: Seen) -> None:
    """Leave the page alone, where there is no set.

    Raises: OSError: the disk is full.
    """
    order.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _replace(order.folder / ORIGINS, _lines(_shown(seen)))
    _replace(order.folder / SAMPLE, seen.page)


def _gone(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _replace(path: Path, text: str) -> None:
    """Write a file under another name first: one that is there is whole."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _origins(shared: Shared, seen: Seen) -> Iterator[dict[str, Any]]:
    for part in Part:
        for number, row in enumerate(shared.rows[part]):
            yield _origin(part, number, row.lesson.exchange, seen)
    for number, lesson in enumerate(shared.held_out):
        yield _origin("held_out", number, lesson.exchange, seen)
    for number, one in enumerate(shared.stood):
        yield _origin("stood", number, one, seen)
    yield from _shown(seen)


def _shown(seen: Seen) -> Iterator[dict[str, Any]]:
    for number, conversation in enumerate(seen.conversations):
        yield {
            "part": "sample",
            "row": number,
            "conversation": conversation,
            "messages": [],
            "customers": list(seen.customers.get(conversation, ())),
        }


def _origin(part: str, number: int, told: Exchange | Stood, seen: Seen) -> dict[str, Any]:
    return {
        "part": str(part),
        "row": number,
        "conversation": told.conversation,
        "messages": list(told.messages),
        "customers": list(seen.customers.get(told.conversation, ())),
    }


def _held_out(lesson: Lesson) -> dict[str, Any]:
    """With the answer where the customer read it in the agent's own words, not a machine's."""
    exchange = lesson.exchange
    own = same_language(exchange.language, exchange.answer_language)
    return {
        "lang": exchange.language,
        "query": lesson.question,
        "document": lesson.document,
        "answer": lesson.shown if own else "",
        "conversation": exchange.conversation,
    }


def _stood(one: Stood) -> dict[str, Any]:
    return {
        "lang": one.language,
        "query": one.question,
        "document": one.document,
        "conversation": one.conversation,
    }


def _manifest(
    shared: Shared, files: Any, left_out: Counter[str], told: Mapping[str, Any]
) -> Manifest:
    everything = [row for part in Part for row in shared.rows[part]]
    origins = Counter(row.example.source for row in everything)
    return Manifest(
        created=datetime.now(UTC).date().isoformat(),
        seed=0,
        code=code_version(),
        recipe={"night": dict(told)},
        files=files,
        origins=tuple(
            Origin(source=source, licence=OWN, rows=rows)
            for source, rows in sorted(origins.items())
        ),
        kinds={part: Counter(row.example.kind for row in shared.rows[part]) for part in Part},
        languages={part: Counter(row.example.lang for row in shared.rows[part]) for part in Part},
        dropped=+left_out,
    )


def _figures(shared: Shared, left_out: Counter[str], told: Mapping[str, Any]) -> dict[str, Any]:
    everything = [row for part in Part for row in shared.rows[part]]
    pairs = [row for row in everything if isinstance(row.example, Question)]
    return {
        **{str(part): len(shared.rows[part]) for part in Part},
        "held_out": len(shared.held_out),
        "stood": len(shared.stood),
        "answers": shared.lessons(),
        "replies": len(everything) - len(pairs),
        "questions": len(pairs),
        "questions_with_article": sum(bool(row.lesson.document) for row in pairs),
        "languages": _languages(everything),
        "left_out": {str(name): count for name, count in sorted((+left_out).items())},
        **told,
    }


def _languages(rows: Iterable[Row]) -> dict[str, int]:
    """How many answers there are in each language of customers."""
    lessons = {id(row.lesson): row.lesson for row in rows}
    return dict(sorted(Counter(one.exchange.language for one in lessons.values()).items()))
