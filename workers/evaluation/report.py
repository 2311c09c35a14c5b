"""Writes one evaluation as a page that needs nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from core.adapters.generator import tagged_name
from workers.evaluation.paired import Difference
from workers.evaluation.result import ENOUGH_ROWS, LESS_IS_BETTER, SIGNIFICANT, Result, number
from workers.evaluation.saved import write_text
from workers.evaluation.scores import Interval

_PERCENT = frozenset({"bleu", "chrf", "ter"})
_UNBOUNDED = frozenset({"us_per_row"})


class _Bar(NamedTuple):
    """A value as text, and as per cent of the bar's length together with its interval's ends.

    `between` is empty where there are too few rows for an interval.
    """

    label: str
    rows: int
    value: str
    between: str
    length: float
    low: float
    high: float


def write(path: Path, result: Result, command: Sequence[str]) -> None:
    """Write the page; `command` made it, in words that a shell reads.

    Raises: Rejected: the file cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "language": _language, "verdict": verdict}
    rows = int(sum(metrics["rows"] for metrics in result.languages.values()))
    page = environment.get_template("report.html").render(
        result=result,
        command=command,
        bars=[_bar(name, name, rows, result.overall, result.intervals) for name in result.overall],
        main=_main(result),
        language_bars=_language_bars(result),
        names=_names(result.languages.values()),
        changed=_names(result.against.languages.values()) if result.against else [],
        significant=SIGNIFICANT,
        rows=rows,
        enough_rows=ENOUGH_ROWS,
    )
    write_text(path, page)


def verdict(difference: Difference | None, name: str) -> str:
    """Whether a change is for the better, as far as chance lets one say."""
    if difference is None:
        return ""
    if difference.p >= SIGNIFICANT:
        return "not clear"
    return "better" if (difference.change > 0) != (name in LESS_IS_BETTER) else "worse"


def _main(result: Result) -> str:
    """The metric that languages are drawn by: one that each of them has."""
    texts = all("chrf" in metrics for metrics in (result.overall, *result.languages.values()))
    return "chrf" if texts else next(iter(result.overall))


def _language_bars(result: Result) -> list[_Bar]:
    if set(result.languages) == {"und"}:
        return []
    name = _main(result)
    return [
        _bar(_language(tag), name, int(metrics["rows"]), metrics, result.intervals_by_language[tag])
        for tag, metrics in result.languages.items()
        if name in metrics
    ]


def _bar(
    label: str,
    name: str,
    rows: int,
    metrics: Mapping[str, float],
    intervals: Mapping[str, Interval],
) -> _Bar:
    low, high = intervals.get(name, (metrics[name], metrics[name]))
    between = f"{number(low)} – {number(high)}" if rows >= ENOUGH_ROWS else ""
    scale = 100 if name in _PERCENT else 1
    ends = [0.0] * 3
    if name not in _UNBOUNDED:
        ends = [100 * min(1.0, max(0.0, value / scale)) for value in (metrics[name], low, high)]
    return _Bar(label, rows, number(metrics[name]), between, *(round(end, 1) for end in ends))


def _names(rows: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name != "rows"))


def _language(tag: str) -> str:
    return "not told" if tag == "und" else tagged_name(tag)
