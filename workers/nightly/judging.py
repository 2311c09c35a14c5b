"""What each kind of candidate is asked, and how it is told what came of that."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.adapters.documents import Document
from core.adapters.night_files import HELD_OUT, STOOD
from core.adapters.versions import base_name
from core.errors import Rejected
from core.nights import Order, VersionKind, report_name, version_folder
from core.turn import Answer, Served
from retrieval.knowledge import silent
from retrieval.topics import topic
from workers.evaluation import report, result
from workers.evaluation.answers import ask_all, judge_served
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.product import Product, QueryRow
from workers.evaluation.saved import write_text
from workers.evaluation.scores import Columns, Judged, Measure, Rows
from workers.evaluation.text_metrics import chrf, corpus_score, statistics
from workers.nightly import checks
from workers.nightly.checks import Check
from workers.nightly.encoder import base_folder
from workers.nightly.in_service import in_service
from workers.nightly.verdict import Verdict

_NO_ARTICLE = "(none)"


class HeldOut(Row):
    """A question of a conversation that nothing was learnt from.

    `document` is the id of the article that answers it, empty if a person has to. `answer` is what
    a person wrote to the customer, empty where they wrote it in another language. `conversation` is
    its number, 0 where somebody laid the row down.
    """

    lang: Filled
    query: Filled
    document: str = ""
    answer: str = ""
    conversation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a candidate is held against: the version's name, and where its model is."""

    name: str
    folder: Path


async def held_out(order: Order) -> tuple[HeldOut, ...]:
    """The night's questions that only measure.

    Raises: Rejected: there are too few, or they cannot be read.
    """
    rows = await asyncio.to_thread(read, [order.folder / HELD_OUT], HeldOut)
    if not (check := enough(rows)).passed:
        raise Rejected(check.told)
    return rows


async def stood(order: Order) -> tuple[HeldOut, ...]:
    """Held-out questions that the bot answered, and nobody mended; there may be none.

    Raises: Rejected: they cannot be read.
    """
    path = order.folder / STOOD
    if not path.exists() or not path.stat().st_size:
        return ()
    return await asyncio.to_thread(read, [path], HeldOut)


def enough(rows: Sequence[HeldOut]) -> Check:
    """Whether something can be told from so many questions."""
    return checks.enough(np.array([row.conversation for row in rows]))


async def golden(order: Order) -> tuple[HeldOut, ...]:
    """The conversations that the operator laid down for this workspace; there may be none.

    Raises: Rejected: a file cannot be read.
    """
    folder = order.data_dir / "golden" / order.workspace
    files = await asyncio.to_thread(lambda: sorted(folder.glob("*.jsonl")))
    return await asyncio.to_thread(read, files, HeldOut) if files else ()


def topics_of(documents: Sequence[Document]) -> Mapping[str, str]:
    """What each document is about: an answer may cite an article in any language."""
    return {one.id: topic(one.id, one.language) for one in documents}


def queries(rows: Sequence[HeldOut], topics: Mapping[str, str]) -> list[QueryRow]:
    """The rows as an evaluation asks them."""
    return [
        QueryRow(
            lang=row.lang,
            query=row.query,
            doc_id=topics.get(row.document, row.document) or _NO_ARTICLE,
        )
        for row in rows
    ]


async def judged(
    product: Product, rows: Sequence[HeldOut], topics: Mapping[str, str]
) -> tuple[Judged, Sequence[Served]]:
    """What becomes of each row with a product, and how close its reply is to a person's (chrF).

    An answer is right if it cites the article in any language. Replies are compared where it
    answers, and a person did in the customer's language. `conversation` has the number of each
    row's: those of one are no witnesses independent of each other.
    """
    asked = queries(rows, topics)
    served = await ask_all(asked, product)
    plain = judge_served(served, asked, topics, product.parts)
    answers = [answer_of(one) for one in served]
    pairs = list(zip(answers, rows, strict=True))
    texts = [answer.text if answer else "" for answer in answers]
    columns = {
        **plain.columns,
        "conversation": np.array([row.conversation for row in rows], np.int64),
        "compared": np.array([bool(answer and row.answer) for answer, row in pairs], bool),
        "chrf": statistics(chrf(), texts, [[row.answer] for row in rows]),
    }
    return replace(plain, columns=columns, measure=partial(_measure, plain.measure)), served


def answer_of(served: Served) -> Answer | None:
    """The answer that a turn ended in, if it did."""
    return served.outcome if isinstance(served.outcome, Answer) else None


def _measure(plain: Measure, columns: Columns, chosen: Rows) -> dict[str, float]:
    metrics = plain(columns, chosen)
    compared = chosen[columns["compared"][chosen]]
    if len(compared):
        metrics["chrf"] = corpus_score(chrf(), columns["chrf"][compared])
    return metrics


async def what_serves(order: Order, kind: VersionKind) -> Serving:
    """The version that is in service now.

    Raises:
        Misconfigured: the one of the settings is not to be had.
        Unavailable: the database cannot be reached.
    """
    name = await in_service(order, kind)
    if name is not None:
        return Serving(name=name, folder=version_folder(order.data_dir, order.workspace, name))
    pinned = (
        Path(order.model)
        if kind is VersionKind.DIALOGUE
        else await asyncio.to_thread(base_folder, order)
    )
    return Serving(name=base_name(kind), folder=pinned)


def verdict(
    order: Order,
    kind: VersionKind,
    against: Serving,
    before: Judged,
    after: Judged,
    found: Sequence[Check],
) -> Verdict:
    """Sum it up, and write the report of this kind into the night's folder.

    The figures name under `in_service` what it was held `against`: judging takes hours, and what
    serves by then may be another one.

    Raises: Rejected: a file cannot be written.
    """
    reason = checks.reasons(found)
    figures = {
        "candidate": order.version_name(kind),
        "in_service": against.name,
        **_figures(before, after, found),
    }
    made = datetime.now(UTC)
    notes = (
        f"night {order.slot}, workspace {order.workspace}, {kind}:"
        f" {'refused' if reason else 'passed'}",
        *(f"{'✓' if check.passed else '✗'} {check.name}: {check.told}" for check in found),
    )
    told = result.tell("answers", made, replace(after, notes=notes), silent, before=(made, before))
    command = ["python", "-m", "dragoman.night", "evaluate"]
    report.write(order.folder / report_name(kind), told, command)
    content = {"made": made.isoformat(timespec="seconds"), **figures, "result": told.as_json()}
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_text(order.folder / report_name(kind, "json"), text)
    return Verdict(reason=reason, figures=figures)


def _figures(before: Judged, after: Judged, found: Sequence[Check]) -> dict[str, Any]:
    return {
        "turns": len(after.languages),
        "before": checks.shares(before),
        "after": checks.shares(after),
        "languages": {
            tag: {
                "turns": len(rows),
                "before": checks.shares(before, rows),
                "after": checks.shares(after, rows),
            }
            for tag, rows in after.by_language().items()
        },
        "checks": [asdict(check) for check in found],
    }
