"""How much of the personal data in texts is found."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.language import normalise_tag
from core.redaction import Type, find
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import ratio
from workers.evaluation.scores import Judged, Rows

_STEP = 500


class Span(Row):
    """Personal data at `text[start:end]`."""

    type: Filled
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Marked(Row):
    """A text with everything personal in it."""

    text: str
    spans: tuple[Span, ...]
    lang: Filled = "und"


async def judge(files: Sequence[Path], progress: Progress) -> Judged:
    """Compare spans: one is right if type, start and end are.

    Types that we do not look for count as missed.
    """
    rows = read(files, Marked)
    gold = [{(span.type, span.start, span.end) for span in row.spans} for row in rows]
    ours = []
    for at, row in enumerate(rows):
        if at % _STEP == 0:
            progress("searching", at, len(rows))
        ours.append({(span.type.value, span.start, span.end) for span in find(row.text)})
    progress("searching", len(rows), len(rows))
    types = sorted({kind for spans in (*gold, *ours) for kind, _, _ in spans})
    marked, found = _counts(gold, types), _counts(ours, types)
    right = _counts([one & other for one, other in zip(gold, ours, strict=True)], types)

    def whole(chosen: Rows) -> dict[str, float]:
        hits = right[chosen].sum()
        return {
            "span_recall": ratio(hits, marked[chosen].sum()),
            "span_precision": ratio(hits, found[chosen].sum()),
        }

    def measure(chosen: Rows) -> dict[str, float]:
        sums = [counts[chosen].sum(axis=0).tolist() for counts in (right, marked, found)]
        metrics = whole(chosen)
        for kind, hits, there, said in zip(types, *sums, strict=True):
            if there:
                metrics[f"span_recall_{kind}"] = ratio(hits, there)
            if said:
                metrics[f"span_precision_{kind}"] = ratio(hits, said)
        return metrics

    languages = [normalise_tag(row.lang) for row in rows]
    return Judged(languages=languages, measure=measure, alone=whole, notes=_notes(types))


def _counts(spans: Sequence[set[tuple[str, int, int]]], types: Sequence[str]) -> NDArray[np.int64]:
    """How many spans of each type, one line a row."""
    counts = [Counter(kind for kind, _, _ in row) for row in spans]
    lines = [[row[kind] for kind in types] for row in counts]
    return np.array(lines, np.int64).reshape(len(spans), len(types))


def _notes(types: Sequence[str]) -> tuple[str, ...]:
    strange = [kind for kind in types if kind not in set(Type)]
    return (f"not looked for, so missed: {', '.join(strange)}",) if strange else ()
