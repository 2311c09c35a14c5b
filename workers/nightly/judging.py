"""Puts the same questions to the product as it serves and as the night would have it."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.adapters.documents import Document
from core.errors import Rejected
from core.nights import Ended, Order, StepResult, VersionKind, version_folder
from retrieval.knowledge import silent
from retrieval.topics import topic
from workers.evaluation import report, result
from workers.evaluation.answers import ask, judge_queries
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.product import Product, QueryRow
from workers.evaluation.saved import write_text
from workers.evaluation.scores import Judged
from workers.nightly import checks
from workers.nightly.checks import Check
from workers.nightly.encoder import base_folder
from workers.nightly.in_service import in_service
from workers.nightly.pairing import Passages, questions
from workers.nightly.safety import SHIPPED, Risk, risks, slips
from workers.nightly.trial import knowledge, open_trial
from workers.nightly.triggers import Probe, pulls, suspects
from workers.training.dataset.folder import Part, open_dataset

HELD_OUT = "held_out.jsonl"
REPORT_PAGE, REPORT = "report.html", "report.json"
KIND = VersionKind.ENCODER

_NO_ARTICLE = "(none)"
_TIMED = 30


class HeldOut(Row):
    """A question of a conversation that nothing was learnt from.

    `document` is the id of the article that answers it, empty if a person has to.
    """

    lang: Filled
    query: Filled
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """What serves, and what would."""

    before: Product
    after: Product

    async def judge(
        self, rows: Sequence[HeldOut], topics: Mapping[str, str]
    ) -> tuple[Judged, Judged]:
        """What becomes of each row; an answer is right if it cites the article in any language."""
        queries = [
            QueryRow(
                lang=row.lang,
                query=row.query,
                doc_id=topics.get(row.document, row.document) or _NO_ARTICLE,
            )
            for row in rows
        ]
        return (
            await judge_queries(queries, topics, self.before),
            await judge_queries(queries, topics, self.after),
        )

    async def took_ms(self, texts: Sequence[str]) -> tuple[float, float]:
        """The median time of a turn; by turns, since other programs share the machine."""
        times: tuple[list[float], list[float]] = ([], [])
        for text in texts:
            for product, taken in zip((self.before, self.after), times, strict=True):
                started = time.perf_counter()
                await ask(product, text)
                taken.append((time.perf_counter() - started) * 1_000)
        return statistics.median(times[0]), statistics.median(times[1])


async def judge(order: Order, safety: Path | None = None) -> StepResult:
    """Judge the candidate encoder with its calibration; None is the safety set that ships.

    Raises: DragomanError: it cannot be judged; the message says why.
    """
    candidate = version_folder(order.data_dir, order.workspace, order.version_name(KIND))
    rows = await asyncio.to_thread(read, [order.folder / HELD_OUT], HeldOut)
    if not (check := checks.enough(len(rows))).passed:
        raise Rejected(check.told)
    documents = await knowledge(order)
    async with AsyncExitStack() as stack:
        before = await stack.enter_async_context(
            open_trial(order, await _serving(order), documents)
        )
        after = await stack.enter_async_context(open_trial(order, candidate, documents))
        pair = _Pair(before=before.product, after=after.product)
        return await _compared(order, pair, rows, documents, risks(safety or SHIPPED))


async def _serving(order: Order) -> Path:
    name = await in_service(order, KIND)
    if name is None:
        return await asyncio.to_thread(base_folder, order)
    return version_folder(order.data_dir, order.workspace, name)


async def _compared(
    order: Order,
    pair: _Pair,
    rows: Sequence[HeldOut],
    documents: Sequence[Document],
    risky: Sequence[Risk],
) -> StepResult:
    topics = {one.id: topic(one.id, one.language) for one in documents}
    before, after = await pair.judge(rows, topics)
    found = [
        checks.enough(len(rows)),
        checks.whole(before, after),
        checks.better(before, after),
        checks.languages(before, after),
        checks.precision(before, after, order.precision),
        *await _golden(order, pair, topics),
        await _safety(pair, risky, documents),
        await _traps(order, pair, rows, documents, topics),
        checks.speed(*await pair.took_ms([row.query for row in rows[:_TIMED]])),
    ]
    figures = _figures(order, before, after, found)
    await asyncio.to_thread(_report, order, before, after, found, figures)
    reason = checks.reasons(found)
    return StepResult(ended=Ended.REFUSED if reason else Ended.DONE, reason=reason, figures=figures)


async def _golden(order: Order, pair: _Pair, topics: Mapping[str, str]) -> list[Check]:
    """The conversations that the operator laid down for this workspace, if there are any."""
    folder = order.data_dir / "golden" / order.workspace
    files = await asyncio.to_thread(lambda: sorted(folder.glob("*.jsonl")))
    if not files:
        return []
    rows = await asyncio.to_thread(read, files, HeldOut)
    return [checks.golden(*await pair.judge(rows, topics))]


async def _safety(pair: _Pair, rows: Sequence[Risk], documents: Sequence[Document]) -> Check:
    return checks.safety(
        await slips(pair.before, rows, documents),
        await slips(pair.after, rows, documents),
        len(rows),
    )


async def _traps(
    order: Order,
    pair: _Pair,
    rows: Sequence[HeldOut],
    documents: Sequence[Document],
    topics: Mapping[str, str],
) -> Check:
    curated = await asyncio.to_thread(open_dataset, order.dataset)
    learnt = await asyncio.to_thread(questions, curated, Part.TRAIN)
    probes = [
        Probe(text=row.query, language=row.lang, topic=topics.get(row.document, "")) for row in rows
    ]
    found = suspects(learnt, Passages(documents))
    return checks.traps(await pulls(pair.before, pair.after, found, probes))


def _figures(order: Order, before: Judged, after: Judged, found: Sequence[Check]) -> dict[str, Any]:
    refused = bool(checks.reasons(found))
    return {
        "kinds": [] if refused else [str(KIND)],
        "candidate": order.version_name(KIND),
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
        "report": REPORT_PAGE,
    }


def _report(
    order: Order,
    before: Judged,
    after: Judged,
    found: Sequence[Check],
    figures: Mapping[str, Any],
) -> None:
    """The evaluation as `dragoman evaluate --report` writes it, with the verdict as its notes."""
    made = datetime.now(UTC)
    notes = (
        f"night {order.slot}, workspace {order.workspace}:"
        f" {'refused' if checks.reasons(found) else 'passed'}",
        *(f"{'✓' if check.passed else '✗'} {check.name}: {check.told}" for check in found),
    )
    told = result.tell("answers", made, replace(after, notes=notes), silent, before=(made, before))
    report.write(order.folder / REPORT_PAGE, told, ["python", "-m", "dragoman.night", "evaluate"])
    content = {"made": made.isoformat(timespec="seconds"), **figures, "result": told.as_json()}
    write_text(order.folder / REPORT, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
