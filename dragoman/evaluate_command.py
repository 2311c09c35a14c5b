"""`dragoman evaluate`: how well the product does on files with the right answers."""

import importlib.util
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import Misconfigured, Rejected
from dragoman.console import AsJson, err, print_json, progress_bar, run_async
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
    SENTIMENT = "sentiment"
    ENTITIES = "entities"
    PII = "pii"
    TRANSLATION = "translation"
    SUMMARY = "summary"


# What these know comes in the first file, what is asked of them in the second.
_WITH_KNOWLEDGE = (Task.RETRIEVAL, Task.ANSWERS, Task.ESCALATION)
# These come with what trains models; nothing is asked of a model whose texts nobody can score.
_SCORERS = {Task.TRANSLATION: "sacrebleu", Task.SUMMARY: "rouge_score"}


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
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT.json",
            help="Keep what became of each row, without its text, for --against.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT.json",
            help="Compare with what --save kept of the same rows, by a paired bootstrap.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="REPORT.html", help="Write a page with plots as well.", show_default=False
        ),
    ] = None,
) -> None:
    """Score what the product would do; nothing of your own is read or changed."""
    if task in _WITH_KNOWLEDGE and len(files) != 2:
        raise typer.BadParameter(f"{task} takes two files: knowledge, then questions")
    for path in filter(None, (save, report)):
        if not path.absolute().parent.is_dir():
            raise Rejected(f"{path}: there is no folder {path.absolute().parent}")
        if path.is_dir():
            raise Rejected(f"{path}: is a folder; name a file")
    scorer = _SCORERS.get(task)
    if scorer and importlib.util.find_spec(scorer) is None:
        raise Misconfigured(
            f"{scorer} is not installed, which scores this task: pip install 'dragoman[train]'"
        )
    _evaluate(task, files, as_json=as_json, save=save, against=against, report=report)


def _evaluate(
    task: Task,
    files: list[Path],
    *,
    as_json: bool,
    save: Path | None,
    against: Path | None,
    report: Path | None,
) -> None:
    from dragoman.evaluate_tables import show
    from workers.evaluation import report as page
    from workers.evaluation import result, saved

    made = datetime.now(UTC)
    rows = saved.fingerprint(files) if save or against else ""
    old = saved.load(against, task, rows) if against else None

    async def work(settings: Settings) -> "Judged":
        return await _judge(task, files, settings, progress)

    with progress_bar() as progress:
        judged = run_async(work)
        before = (old.made, old.judged(judged)) if old else None
        told = result.tell(task, made, judged, progress, before=before)
    for note in judged.notes:
        err.print(note, style="dim")
    # Neither a file that cannot be written nor a reader that is gone may lose the hours of work.
    try:
        if save:
            saved.save(save, task, rows, made, judged)
        if report:
            page.write(report, told, ["dragoman", *map(shlex.quote, sys.argv[1:])])
    finally:
        if as_json:
            print_json(told.as_json())
        else:
            show(told)


async def _judge(
    task: Task, files: list[Path], settings: Settings, progress: "Progress"
) -> "Judged":
    match task:
        case Task.LANGUAGE:
            from workers.evaluation import language

            return await language.judge(files, progress)
        case Task.PII:
            from workers.evaluation import pii

            return await pii.judge(files, progress)
        case Task.RETRIEVAL | Task.ANSWERS | Task.ESCALATION:
            return await _judge_product(task, files, settings, progress)
        case _:
            return await _judge_model(task, files, settings, progress)


async def _judge_product(
    task: Task, files: list[Path], settings: Settings, progress: "Progress"
) -> "Judged":
    from workers.evaluation import answers, escalation, retrieval

    judges = {
        Task.RETRIEVAL: retrieval.judge,
        Task.ANSWERS: answers.judge,
        Task.ESCALATION: escalation.judge,
    }
    async with _open_product(settings, progress, model=task is Task.ANSWERS) as product:
        return await judges[task](files, product)


async def _judge_model(
    task: Task, files: list[Path], settings: Settings, progress: "Progress"
) -> "Judged":
    from dragoman import task_models
    from workers.evaluation import entities, sentiment, summary, translation

    match task:
        case Task.SENTIMENT:
            classifier = task_models.sentiment_classifier(settings)
            return await sentiment.judge(files, classifier, progress)
        case Task.ENTITIES:
            return await entities.judge(files, task_models.entity_tagger(settings), progress)
        case Task.TRANSLATION:
            async with task_models.open_translator(settings) as translator:
                return await translation.judge(files, translator, progress)
        case _:
            async with task_models.open_summariser(settings) as summariser:
                return await summary.judge(files, summariser, progress)


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
        # Nobody takes over here, so that nothing is translated.
        aside = {"data_dir": Path(folder), "database_url": "", "demo": False, "translator": ""}
        async with open_core(settings.model_copy(update=aside), model=model) as core:
            yield Product(
                pipeline=core.pipeline,
                retrieval=core.retrieval,
                workspace=core.workspace,
                default_language=settings.default_language,
                precision=settings.precision,
                model=core.generator.model if core.generator else "",
                reranker=Path(settings.reranker).name,
                progress=progress,
            )
