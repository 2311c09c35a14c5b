"""Judges the night's dialogue model: what it writes where the search answers, beside what serves.

Both write from what the search in service finds, each behind a server of its own as by day. One
runs at a time: the desk's own is running as well, and memory holds few models.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from core.adapters.detector import CombinedDetector
from core.adapters.documents import Document
from core.adapters.generator import HttpGenerator
from core.errors import Rejected
from core.language import same_language
from core.nights import Order, VersionKind, version_folder
from core.turn import Answer, Served
from workers.evaluation.answers import judge_queries
from workers.evaluation.metrics import share
from workers.evaluation.product import Product
from workers.evaluation.scores import Columns, Judged, Measure, Rows
from workers.model_server import serve_model
from workers.nightly import checks, reply_checks
from workers.nightly.checks import Check, Slip
from workers.nightly.judging import (
    HeldOut,
    answer_of,
    golden,
    held_out,
    judged,
    queries,
    topics_of,
    verdict,
    what_serves,
)
from workers.nightly.safety import SHIPPED, Risk, risks, written
from workers.nightly.trial import WRITING, knowledge, open_trial
from workers.nightly.verdict import Verdict

KIND = VersionKind.DIALOGUE
MOST_TURNS = 200
"""Of more held-out turns so many are drawn: a reply takes seconds where there is no GPU."""
PATIENCE_S = 2 * 3600.0
"""Both models together; half of what a step of the night may take."""

_SURE_OF_ANOTHER = 0.7


class Server(Protocol):
    """Where a model is served, and the name that a request must ask for."""

    @property
    def url(self) -> str:
        """Its address, with or without `/v1`."""
        ...

    @property
    def model(self) -> str:
        """The name."""
        ...


Serve = Callable[[Path, Path], AbstractAsyncContextManager[Server]]
"""Serves a model's folder; its log goes into the second one. Raises: Misconfigured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What both models are asked; `encoder` is the folder of the one that searches for both."""

    encoder: Path
    rows: Sequence[HeldOut]
    golden: Sequence[HeldOut]
    risks: Sequence[Risk]
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What came of it with one of them; `golden` has no rows where nobody laid any down."""

    turns: Judged
    golden: Judged
    written: Sequence[Slip]


async def judge_dialogue(
    order: Order, safety: Path | None = None, serve: Serve | None = None
) -> Verdict:
    """Judge the candidate, on the main thread.

    None is the safety set that ships, and a model server of our own.

    Raises: DragomanError: it cannot be judged; the message says why.
    """
    candidate = version_folder(order.data_dir, order.workspace, order.version_name(KIND))
    asked = _Asked(
        encoder=(await what_serves(order, VersionKind.ENCODER)).folder,
        rows=_drawn(await held_out(order)),
        golden=await golden(order),
        risks=risks(safety or SHIPPED),
        documents=await knowledge(order),
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            # First the one that may be unfit to be served.
            after = await _heard(order, candidate, asked, serve or serve_model)
            against = await what_serves(order, KIND)
            before = await _heard(order, against.folder, asked, serve or serve_model)
    except TimeoutError as error:
        raise Rejected(f"judging it took longer than {PATIENCE_S / 60:.0f} minutes") from error
    found = _checks(order, asked, before, after)
    return await asyncio.to_thread(verdict, order, KIND, against, before.turns, after.turns, found)


def _checks(order: Order, asked: _Asked, before: _Heard, after: _Heard) -> Sequence[Check]:
    was, now = before.turns, after.turns
    return [
        reply_checks.enough(was, now),
        checks.whole(was, now),
        reply_checks.better(was, now),
        reply_checks.languages(was, now),
        reply_checks.settled(was, now),
        checks.precision(was, now, order.precision),
        reply_checks.spoken(was, now),
        reply_checks.verbatim(was, now),
        *([checks.golden(before.golden, after.golden)] if asked.golden else []),
        reply_checks.safety(before.written, after.written, len(asked.risks)),
        reply_checks.speed(was, now),
    ]


def _drawn(rows: Sequence[HeldOut]) -> Sequence[HeldOut]:
    return rows if len(rows) <= MOST_TURNS else random.Random(0).sample(rows, MOST_TURNS)


async def _heard(order: Order, folder: Path, asked: _Asked, serve: Serve) -> _Heard:
    """Ask the product everything with the model in a folder."""
    topics = topics_of(asked.documents)
    async with (
        serve(folder, order.folder) as server,
        HttpGenerator(server.url, model=server.model, limits=WRITING) as writer,
        open_trial(order, asked.encoder, asked.documents, writer) as trial,
    ):
        return _Heard(
            turns=await _judged(trial.product, asked.rows, topics),
            golden=await judge_queries(queries(asked.golden, topics), topics, trial.product),
            written=await written(trial.product, writer, asked.risks, asked.documents),
        )


async def _judged(product: Product, rows: Sequence[HeldOut], topics: Mapping[str, str]) -> Judged:
    """What becomes of each row, and how its reply was written."""
    plain, served = await judged(product, rows, topics)
    columns = {**plain.columns, **_columns(served, rows)}
    columns["right_language"] = plain.columns["right_language"] & ~columns["foreign"]
    return replace(plain, columns=columns, measure=partial(_measure, plain.measure))


def _columns(served: Sequence[Served], rows: Sequence[HeldOut]) -> Columns:
    detector = CombinedDetector()
    pairs = list(zip((answer_of(one) for one in served), rows, strict=True))
    return {
        "verbatim": np.array([bool(answer and answer.verbatim) for answer, _ in pairs], bool),
        "foreign": np.array([_is_foreign(*pair, detector) for pair in pairs], bool),
        "write_ms": np.array([one.timings_ms.get("write", 0.0) for one in served]),
    }


def _is_foreign(answer: Answer | None, row: HeldOut, detector: CombinedDetector) -> bool:
    """Whether what a model wrote is surely in another language than the customer's.

    The pipeline lets short ones pass: it could not take them back.
    """
    if answer is None or answer.verbatim:
        return False
    guesses = detector.guess(answer.text)
    return bool(
        guesses and guesses[0][1] >= _SURE_OF_ANOTHER and not same_language(guesses[0][0], row.lang)
    )


def _measure(plain: Measure, columns: Columns, chosen: Rows) -> dict[str, float]:
    """As answers are measured, with how replies were written."""
    said = chosen[columns["answered"][chosen]]
    return plain(columns, chosen) | {"verbatim": share(columns["verbatim"][said])}
