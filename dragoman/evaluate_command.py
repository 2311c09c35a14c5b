"""`dragoman evaluate`: how well the product does on files with the right answers."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dragoman.console import AsJson, err, out, print_json, progress_bar, run_async
from dragoman.settings import Settings

if TYPE_CHECKING:
    from retrieval.writing import Progress
    from workers.evaluation.product import Product
    from workers.evaluation.scores import Judged


class Task(StrEnum):
    """What is evaluated."""

    LANGUAGE = "language"
    RETRIEVAL = "retrieval"
    ANSWERS = "answers"
    ESCALATION = "escalation"
    PII = "pii"


# What these know comes in the first file, what is asked of them in the second.
_WITH_KNOWLEDGE = (Task.RETRIEVAL, Task.ANSWERS, Task.ESCALATION)


def evaluate(
    task: Annotated[Task, typer.Argument(help="What to evaluate.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSON Lines, .gz or not; for retrieval, answers and escalation: knowledge first,"
            " then questions.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Score what the product would do; nothing of your own is read or changed."""
    if task in _WITH_KNOWLEDGE and len(files) != 2:
        raise typer.BadParameter(f"{task} takes two files: knowledge, then questions")

    async def work(settings: Settings) -> "Judged":
        with progress_bar() as progress:
            return await _judge(task, files, settings, progress)

    judged = run_async(work)
    from workers.evaluation import scores

    for note in judged.notes:
        err.print(note, style="dim", markup=False)
    overall, languages = scores.overall(judged), scores.by_language(judged)
    if as_json:
        print_json({"task": task.value, "overall": overall, "languages": languages})
    else:
        _show(overall, scores.intervals(judged), languages)


async def _judge(
    task: Task, files: list[Path], settings: Settings, progress: "Progress"
) -> "Judged":
    if task is Task.LANGUAGE:
        from workers.evaluation import language

        return await language.judge(files, progress)
    if task is Task.PII:
        from workers.evaluation import pii

        return await pii.judge(files, progress)
    from workers.evaluation import answers, escalation, retrieval

    judges = {
        Task.RETRIEVAL: retrieval.judge,
        Task.ANSWERS: answers.judge,
        Task.ESCALATION: escalation.judge,
    }
    async with _open_product(settings, progress, model=task is Task.ANSWERS) as product:
        return await judges[task](files, product)


@asynccontextmanager
async def _open_product(
    settings: Settings, progress: "Progress", *, model: bool
) -> AsyncIterator["Product"]:
    """The product as it is set, with a calibration of the operator's, but without knowledge."""
    from dragoman.composition import open_core
    from workers.evaluation.product import Product

    with tempfile.TemporaryDirectory(prefix="dragoman-evaluate-") as folder:
        own = settings.data_dir / "calibrations"
        if own.is_dir():
            shutil.copytree(own, Path(folder) / own.name)
        aside = {"data_dir": Path(folder), "database_url": "", "demo": False}
        async with open_core(settings.model_copy(update=aside), model=model) as core:
            yield Product(
                pipeline=core.pipeline,
                retrieval=core.retrieval,
                workspace=core.workspace,
                default_language=settings.default_language,
                precision=settings.precision,
                progress=progress,
            )


def _show(
    overall: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    languages: Mapping[str, Mapping[str, float]],
) -> None:
    """Two tables: all rows with the width of chance, then each language."""
    table = Table("Overall", box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value in overall.items():
        low, high = intervals[name]
        table.add_row(name, _number(value), f"{_number(low)} – {_number(high)}")
    out.print(table)
    if set(languages) == {"und"}:
        return
    names = list(dict.fromkeys(name for metrics in languages.values() for name in metrics))
    names.remove("rows")
    table = Table("Language", box=None, pad_edge=False)
    for name in ("rows", *names):
        table.add_column(name, justify="right")
    for tag, metrics in languages.items():
        cells = (_number(metrics[name]) if name in metrics else "" for name in names)
        table.add_row(tag, str(metrics["rows"]), *cells)
    out.print()
    out.print(table)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.0f}"
