"""All that is told of one evaluation, in numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from retrieval.writing import Progress
from workers.evaluation import scores
from workers.evaluation.metrics import Bin, reliability
from workers.evaluation.paired import Difference, differences
from workers.evaluation.scores import Interval, Judged, Measure, Rows

Metrics = Mapping[str, float]

SIGNIFICANT = 0.05
"""A difference that chance makes less often than this is taken for one."""
ENOUGH_ROWS = 10
"""What fewer rows of a language show is not compared: too few to draw from."""
LESS_IS_BETTER = frozenset(
    {"wrong", "handed_over", "verbatim", "calibration_error", "ter", "us_per_row"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the metrics differ from those of an earlier evaluation of the same rows."""

    made: datetime
    parts: Mapping[str, str]
    overall: Mapping[str, Difference]
    languages: Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Metrics by name, overall and by language, with the intervals that chance leaves them.

    `reliability` holds bins of stated probability, where a task has one.
    """

    task: str
    made: datetime
    parts: Mapping[str, str]
    notes: tuple[str, ...]
    overall: Metrics
    languages: Mapping[str, Metrics]
    intervals: Mapping[str, Interval]
    intervals_by_language: Mapping[str, Mapping[str, Interval]]
    reliability: tuple[Bin, ...]
    against: Comparison | None

    def as_json(self) -> dict[str, Any]:
        """With the keys that `dragoman evaluate --json` keeps stable."""
        told: dict[str, Any] = {
            "task": self.task,
            "overall": dict(self.overall),
            "languages": self.languages,
            "intervals": {"overall": self.intervals, "languages": self.intervals_by_language},
        }
        if self.against:
            told["against"] = {
                "overall": _as_json(self.against.overall),
                "languages": {tag: _as_json(one) for tag, one in self.against.languages.items()},
            }
        return told


def tell(
    task: str,
    made: datetime,
    judged: Judged,
    progress: Progress,
    *,
    before: tuple[datetime, Judged] | None = None,
) -> Result:
    """Measure what was judged, and compare it with what was judged before."""
    known = reliability(*judged.stated(judged.columns)) if judged.stated else ()
    return Result(
        task=task,
        made=made,
        parts=judged.parts,
        notes=judged.notes,
        overall=scores.overall(judged),
        languages=scores.by_language(judged),
        intervals=scores.intervals(judged),
        intervals_by_language=scores.intervals_by_language(judged, progress),
        reliability=known,
        against=_compare(*before, judged, progress) if before else None,
    )


def _compare(made: datetime, before: Judged, after: Judged, progress: Progress) -> Comparison:
    languages = {}
    groups = after.by_language()
    for at, (tag, rows) in enumerate(groups.items()):
        progress("comparing", at, len(groups))
        if len(rows) >= ENOUGH_ROWS:
            languages[tag] = _differences(after.of_language(), before, after, rows)
    return Comparison(
        made=made,
        parts=before.parts,
        overall=_differences(after.measure, before, after, after.rows()),
        languages=languages,
    )


def _differences(
    measure: Measure, before: Judged, after: Judged, rows: Rows
) -> Mapping[str, Difference]:
    return differences(partial(measure, before.columns), partial(measure, after.columns), rows)


def _as_json(found: Mapping[str, Difference]) -> dict[str, dict[str, float]]:
    return {
        name: {key: round(value, 4) for key, value in asdict(one).items()}
        for name, one in found.items()
    }


def number(value: float, sign: str = "") -> str:
    """With three decimals, from 10 on with one; `+` as a sign shows that of gains too."""
    value = round(value, 4)  # what JSON tells, so that both round alike
    return f"{value:{sign}.3f}" if abs(value) < 10 else f"{value:{sign}.1f}"
