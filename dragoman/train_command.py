"""`dragoman train`: a model trained as a recipe says."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.errors import DragomanError
from dragoman.console import FAILED, AsJson, err, out, print_json, progress_bar


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where the run is kept; runs/NAME-OF-THE-RECIPE if you name none."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes of this machine that train as one.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model. Started again after a stop, it goes on from its last checkpoint."""
    from workers.training import start

    folder = folder or Path("runs") / recipe.stem
    if processes > 1 and "RANK" not in os.environ:
        flags = ["--json"] if as_json else []
        command = ["-m", "dragoman", "train", str(recipe), str(folder), *flags]
        if not start.over(processes, [sys.executable, *command]):
            raise typer.Exit(FAILED)
        return
    first = os.environ.get("RANK", "0") == "0"
    try:
        with progress_bar() as progress:
            result = start.start(recipe, folder, progress)
    except DragomanError:
        if first:
            raise
        raise typer.Exit(FAILED) from None
    if first:
        _show(result, folder, as_json=as_json)


def _show(result: Mapping[str, Any], folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **result})
        return
    names = [name for name, value in result["dev"].items() if isinstance(value, int | float)]
    table = Table("Dev", "rows", *names, box=None, pad_edge=False)
    table.add_row("all", "", *(f"{result['dev'][name]:.4f}" for name in names))
    for tag, scores in result["languages"].items():
        cells = (f"{scores[name]:.4f}" if name in scores else "" for name in names)
        table.add_row(tag, str(scores["rows"]), *cells)
    out.print(table)
    trained, parameters = result["trained_parameters"], result["parameters"]
    err.print(
        f"{result['updates']} updates over {result['rows']} rows in {result['took_s']:.0f} s;"
        f" {trained:,} of {parameters:,} weights trained; {result['peak_memory_mb']} MB.",
        style="dim",
    )
    err.print(f"The model is in {folder / 'model'}, its curves in {folder / 'curves.png'}.")
