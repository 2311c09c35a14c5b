"""`dragoman train`: what a recipe asks for, from a fine-tuned model to a smaller one."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.errors import DragomanError
from dragoman.console import FAILED, AsJson, err, out, print_json, progress_bar

Result = Mapping[str, Any]


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where the run is kept; runs/NAME-OF-THE-RECIPE if you name none.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1, help="Processes of this machine: they train as one, or share out a search."
        ),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Train, search, compress or widen. Started again after a stop, it goes on where it was."""
    from workers.training.recipe_file import task_of

    folder = folder or Path("runs") / recipe.stem
    match task_of(recipe):
        case "search":
            from workers.training.search.trial import search

            with progress_bar() as progress:
                result = search(recipe, folder, progress, workers=processes)
            show = _show_search
        case "compression":
            from workers.training.compression.compress import compress

            with progress_bar() as progress:
                result = compress(recipe, folder, progress)
            show = _show_smaller
        case "widening":
            from workers.training.widening.widen import widen

            with progress_bar() as progress:
                result = widen(recipe, folder, progress)
            show = _show_wider
        case "head":
            from workers.training.head import fit_head

            with progress_bar() as progress:
                result = fit_head(recipe, folder, progress)
            show = _show_head
        case _:
            trained = _train(recipe, folder, processes, as_json=as_json)
            if trained is None:
                return
            result, show = trained, _show_trained
    if as_json:
        print_json({"folder": str(folder), **result})
    else:
        show(result, folder)


def _train(recipe: Path, folder: Path, processes: int, *, as_json: bool) -> Result | None:
    """The figures of a run; None where another process shows them."""
    from workers.training import start

    if processes > 1 and "RANK" not in os.environ:
        flags = ["--json"] if as_json else []
        command = ["-m", "dragoman", "train", str(recipe), str(folder), *flags]
        if not start.over(processes, [sys.executable, *command]):
            raise typer.Exit(FAILED)
        return None
    first = os.environ.get("RANK", "0") == "0"
    try:
        with progress_bar() as progress:
            result = start.start(recipe, folder, progress)
    except DragomanError:
        if first:
            raise
        raise typer.Exit(FAILED) from None
    return result if first else None


def _show_trained(result: Result, folder: Path) -> None:
    """A row a score, a column a language: a task may have more scores than a line has room for."""
    languages: Mapping[str, Mapping[str, float]] = result["languages"]
    table = Table("Dev", "all", *languages, box=None, pad_edge=False)
    for name, value in result["dev"].items():
        cells = (_number(scores.get(name)) for scores in languages.values())
        table.add_row(name, _number(value), *cells)
    table.add_row("rows", "", *(str(scores["rows"]) for scores in languages.values()))
    out.print(table)
    trained, parameters = result["trained_parameters"], result["parameters"]
    err.print(
        f"{result['updates']} updates over {result['rows']} rows in {result['took_s']:.0f} s;"
        f" {trained:,} of {parameters:,} weights trained; {result['peak_memory_mb']} MB.",
        style="dim",
    )
    err.print(f"The model is in {folder / 'model'}, its curves in {folder / 'curves.png'}.")


def _show_search(result: Result, folder: Path) -> None:
    if not result:
        err.print("Other processes are still at their trials; they write the result.")
        return
    table = Table("Trial", result["score"], "settings", box=None, pad_edge=False)
    for trial in result["trials"]:
        settings = ", ".join(f"{name} {value}" for name, value in trial["settings"].items())
        table.add_row(trial["run"], _number(trial["value"]) or trial["state"], settings)
    out.print(table)
    err.print(
        f"The best recipe is in {folder / 'best.yaml'}, a picture in {folder / 'search.png'}."
    )


def _show_smaller(result: Result, folder: Path) -> None:
    table = Table("", "weights, MB", "folder, MB", box=None, pad_edge=False)
    for name in ("before", "after"):
        table.add_row(name, *(f"{size:.1f}" for size in result[name].values()))
    out.print(table)
    err.print(f"The model is in {folder / 'model'}.")


def _show_wider(result: Result, folder: Path) -> None:
    table = Table("Language", "rows", "recall@1", box=None, pad_edge=False)
    for tag, scores in result["languages"].items():
        table.add_row(tag, str(scores["rows"]), _number(scores["recall@1"]))
    out.print(table)
    tokens = result["tokens"]
    err.print(
        f"{tokens['after']:,} pieces, {tokens['known']:,} of them known before, from"
        f" {result['rows']:,} translations in {result['took_s']:.0f} s.",
        style="dim",
    )
    err.print(f"The model is in {folder / 'model'}.")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _show_head(result: Result, folder: Path) -> None:
    table = Table("Language", "rows", "macro-F1", "accuracy", "learnt", box=None, pad_edge=False)
    for tag, scores in result["languages"].items():
        cells = (_number(scores["macro_f1"]), _number(scores["accuracy"]))
        table.add_row(tag, str(scores["rows"]), *cells, "yes" if scores["learnt"] else "")
    table.add_row("all", "", *(_number(value) for value in result["test"].values()))
    out.print(table)
    err.print(
        f"{', '.join(result['labels'])} from {result['rows']:,} rows in {result['took_s']:.0f} s.",
        style="dim",
    )
    err.print(f"The head is in {folder / 'model'}.")
