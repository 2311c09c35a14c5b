"""How many of the names in texts are found."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import model_validator

from core.language import normalise_tag
from retrieval.writing import Progress
from workers.classification import EntityTagger
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import f1_of_counts, ratio, spans
from workers.evaluation.scores import Columns, Judged, Rows
from workers.evaluation.spans import Span, count_spans, sum_spans

_STEP = 64
# What models call the types that evaluation sets abbreviate.
_TYPES = {"PERSON": "PER", "LOCATION": "LOC", "ORGANIZATION": "ORG", "ORGANISATION": "ORG"}


class Tagged(Row):
    """A text in tokens, with a tag for each."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    lang: Filled

    @model_validator(mode="after")
    def _pairs(self) -> "Tagged":
        if len(self.tokens) != len(self.tags):
            raise ValueError(f"{len(self.tokens)} tokens, but {len(self.tags)} tags")
        return self


async def judge(files: Sequence[Path], tagger: EntityTagger, progress: Progress) -> Judged:
    """Compare entities: one is right if its type and both its ends are.

    Tags are read as `metrics.spans` tells, the rows' and the model's alike. Each type has a
    `span_f1` of its own.
    """
    rows = read(files, Tagged)
    said: list[frozenset[Span]] = []
    for at in range(0, len(rows), _STEP):
        progress("tagging", at, len(rows))
        tags = await tagger.tag([row.tokens for row in rows[at : at + _STEP]])
        said += map(_entities, tags)
    progress("tagging", len(rows), len(rows))
    gold = [_entities(row.tags) for row in rows]
    right = [one & other for one, other in zip(gold, said, strict=True)]
    return Judged(
        languages=[normalise_tag(row.lang) for row in rows],
        columns=count_spans(right=right, there=gold, said=said),
        measure=_measure,
        alone=_whole,
        parts={"entities": tagger.name},
    )


def _entities(tags: Sequence[str]) -> frozenset[Span]:
    return frozenset(
        (_TYPES.get(kind.upper(), kind.upper()), start, end) for kind, start, end in spans(tags)
    )


def _whole(columns: Columns, chosen: Rows) -> dict[str, float]:
    right, there, said = sum_spans(columns, chosen)[""]
    return {
        "span_f1": f1_of_counts(right, there, said),
        "span_precision": ratio(right, said),
        "span_recall": ratio(right, there),
    }


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    by_type = {
        f"span_f1_{kind}": f1_of_counts(*counts)
        for kind, counts in sum_spans(columns, chosen).items()
        if kind and counts[1]
    }
    return _whole(columns, chosen) | by_type
