"""The tables that `dragoman evaluate` prints for a person."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from dragoman.console import out
from workers.evaluation.paired import Difference
from workers.evaluation.result import ENOUGH_ROWS, SIGNIFICANT, Comparison, Result, number

_COLUMNS = 5


def show(result: Result) -> None:
    """All rows with the width of chance, each language, and the same against another version."""
    _overall(result)
    if _has_languages(result):
        _languages(result)
    if result.against:
        _against(result.against)
        if _has_languages(result) and result.against.languages:
            _against_by_language(result.against)


def _has_languages(result: Result) -> bool:
    return set(result.languages) != {"und"}


def _overall(result: Result) -> None:
    table = _table("Overall", "", "95 % interval")
    for name, value in result.overall.items():
        low, high = result.intervals[name]
        table.add_row(name, number(value), f"{number(low)} – {number(high)}")
    out.print(table)


def _languages(result: Result) -> None:
    names = _names(result.languages.values())
    table = _table("Language", "rows", *names)
    for tag, metrics in result.languages.items():
        cells = (number(metrics[name]) if name in metrics else "" for name in names)
        table.add_row(tag, str(metrics["rows"]), *cells)
    out.print()
    out.print(table)


def _against(comparison: Comparison) -> None:
    was = f"Against {comparison.made:%Y-%m-%d %H:%M}"
    table = _table(was, "before", "after", "change", "95 % interval", "p")
    for name, one in comparison.overall.items():
        between = f"{number(one.low, '+')} – {number(one.high, '+')}"
        ends = (number(one.before), number(one.after), number(one.change, "+"))
        table.add_row(name, *ends, between, f"{one.p:.3f}")
    out.print()
    out.print(table)


def _against_by_language(comparison: Comparison) -> None:
    names = _names(comparison.languages.values())
    table = _table("Change", *names)
    for tag, metrics in comparison.languages.items():
        table.add_row(tag, *(_change(metrics.get(name)) for name in names))
    out.print()
    out.print(table)
    out.print(f"* p < {SIGNIFICANT}; languages of fewer than {ENOUGH_ROWS} rows are left out")


def _change(difference: Difference | None) -> str:
    if difference is None:
        return ""
    star = "*" if difference.p < SIGNIFICANT else " "
    return number(difference.change, "+") + star


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _names(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """The first metrics, as many as fit beside each other; the report has all."""
    names = dict.fromkeys(name for row in rows for name in row if name != "rows")
    return list(names)[:_COLUMNS]
