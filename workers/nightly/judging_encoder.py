"""Judges the night's encoder: the same questions to the product with it and with what serves.

No model writes here: what an encoder is worth shows in the articles that are found with it.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.adapters.documents import Document
from core.nights import Order, VersionKind, version_folder
from workers.evaluation.answers import ask
from workers.evaluation.product import Product
from workers.evaluation.scores import Judged
from workers.nightly import checks
from workers.nightly.checks import Check
from workers.nightly.judging import (
    HeldOut,
    Serving,
    enough,
    golden,
    held_out,
    judged,
    stood,
    topics_of,
    verdict,
    what_serves,
)
from workers.nightly.pairing import Passages, questions
from workers.nightly.safety import SHIPPED, Risk, risks, slips
from workers.nightly.trial import knowledge, open_trial
from workers.nightly.triggers import Probe, pulls, suspects
from workers.nightly.verdict import Verdict
from workers.training.dataset.folder import Part, open_dataset

KIND = VersionKind.ENCODER

_TIMED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """What serves, and what would; `writes` is whether a model puts passages into own words."""

    against: Serving
    before: Product
    after: Product
    writes: bool

    async def judge(
        self, rows: Sequence[HeldOut], topics: Mapping[str, str]
    ) -> tuple[Judged, Judged]:
        before, _ = await judged(self.before, rows, topics)
        after, _ = await judged(self.after, rows, topics)
        return self._read(before), self._read(after)

    def _read(self, found: Judged) -> Judged:
        """By day a model writes in the customer's language, from whichever a passage is in."""
        if not self.writes:
            return found
        everybody = np.ones_like(found.columns["right_language"])
        return replace(found, columns={**found.columns, "readable": everybody})

    async def took_ms(self, texts: Sequence[str]) -> tuple[float, float]:
        """The median time of a turn; by turns, since other programs share the machine."""
        times: tuple[list[float], list[float]] = ([], [])
        for text in texts:
            for product, taken in zip((self.before, self.after), times, strict=True):
                started = time.perf_counter()
                await ask(product, text)
                taken.append((time.perf_counter() - started) * 1_000)
        return statistics.median(times[0]), statistics.median(times[1])


async def judge_encoder(order: Order, safety: Path | None = None) -> Verdict:
    """Judge the candidate encoder with its calibration; None is the safety set that ships.

    Raises: DragomanError: it cannot be judged; the message says why.
    """
    candidate = version_folder(order.data_dir, order.workspace, order.version_name(KIND))
    rows = await held_out(order)
    documents = await knowledge(order)
    async with AsyncExitStack() as stack:
        against = await what_serves(order, KIND)
        before = await stack.enter_async_context(open_trial(order, against.folder, documents))
        after = await stack.enter_async_context(open_trial(order, candidate, documents))
        pair = _Pair(
            against=against,
            before=before.product,
            after=after.product,
            writes=bool(order.model or order.model_url),
        )
        return await _compared(order, pair, rows, documents, risks(safety or SHIPPED))


async def _compared(
    order: Order,
    pair: _Pair,
    rows: Sequence[HeldOut],
    documents: Sequence[Document],
    risky: Sequence[Risk],
) -> Verdict:
    topics = topics_of(documents)
    before, after = await pair.judge(rows, topics)
    found = [
        enough(rows),
        checks.whole(before, after),
        checks.better(before, after),
        checks.languages(before, after),
        *await _settled(order, pair, topics, (before, after)),
        checks.precision(before, after, order.precision),
        *await _golden(order, pair, topics),
        await _safety(pair, risky, documents),
        await _traps(order, pair, rows, documents, topics),
        checks.speed(*await pair.took_ms([row.query for row in rows[:_TIMED]])),
    ]
    return await asyncio.to_thread(verdict, order, KIND, pair.against, before, after, found)


async def _settled(
    order: Order, pair: _Pair, topics: Mapping[str, str], people: tuple[Judged, Judged]
) -> list[Check]:
    rows = await stood(order)
    return [checks.settled(people, await pair.judge(rows, topics))] if rows else []


async def _golden(order: Order, pair: _Pair, topics: Mapping[str, str]) -> list[Check]:
    rows = await golden(order)
    return [checks.golden(*await pair.judge(rows, topics))] if rows else []


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
