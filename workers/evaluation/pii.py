"""How much of the personal data in texts is found."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from core.language import normalise_tag
from core.redaction import Type, find
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import ratio
from workers.evaluation.scores import Columns, Judged, Rows
from workers.evaluation.spans import count_spans, sum_spans

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
    right = [one & other for one, other in zip(gold, ours, strict=True)]
    return Judged(
        languages=[normalise_tag(row.lang) for row in rows],
        columns=count_spans(right=right, there=gold, said=ours),
        measure=_measure,
        alone=_whole,
        notes=_notes(types),
    )


def _whole(columns: Columns, chosen: Rows) -> dict[str, float]:
    right, there, said = sum_spans(columns, chosen)[""]
    return {"span_recall": ratio(right, there), "span_precision": ratio(right, said)}


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    metrics = _whole(columns, chosen)
    for kind, (right, there, said) in sum_spans(columns, chosen).items():
        if kind and there:
            metrics[f"span_recall_{kind}"] = ratio(right, there)
        if kind and said:
            metrics[f"span_precision_{kind}"] = ratio(right, said)
    return metrics


def _notes(types: Sequence[str]) -> tuple[str, ...]:
    strange = [kind for kind in types if kind not in set(Type)]
    return (f"not looked for, so missed: {', '.join(strange)}",) if strange else ()
