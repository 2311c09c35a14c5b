"""Builds a dataset: `python -m workers.training.dataset RECIPE FOLDER`.

A recipe is YAML (`recipe.py` has every key):

    sources:
      - database: $DRAGOMAN_DATABASE_URL     # conversations with their ratings
      - knowledge: examples/demo/knowledge   # articles and FAQ
        licence: Apache-2.0
      - public: ../shared/data               # sets of `public.py`
        sets: [parallel, tldr]
        share: 0.1
      - rows: more.jsonl                     # the form of `examples.py`
    languages: [de, fr, ja]
    sample: {rows: 100000, temperature: 3}
    augment:
      question: {noise: 0.2, paraphrase: 0.1}
    model: {url: "http://127.0.0.1:8000"}     # what writes the paraphrases

The folder then holds what `dragoman train` learns from.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from core.errors import DragomanError
from workers.training.dataset.augmentation import Rewrite
from workers.training.dataset.building import Progress, build
from workers.training.dataset.folder import Part
from workers.training.dataset.recipe import Recipe, read_recipe
from workers.training.dataset.rewriting import open_rewriter

_err = Console(stderr=True)


def main(arguments: list[str]) -> int:
    """Build one dataset; 2 is the wrong use, 1 a failure."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        _err.print("usage: python -m workers.training.dataset RECIPE FOLDER", markup=False)
        return 2
    try:
        recipe = read_recipe(Path(arguments[0]))
        with _bars() as progress, _rewriter(recipe) as rewrite:
            dataset = build(recipe, Path(arguments[1]), progress, rewrite)
    except DragomanError as error:
        _err.print(f"dragoman: {error}", markup=False, soft_wrap=True)
        return 1
    for part in Part:
        print(f"{part}: {dataset.manifest.files[part].rows} rows")  # noqa: T201 - the result
    for reason, count in dataset.manifest.dropped.items():
        print(f"left out, {reason}: {count}")  # noqa: T201
    return 0


def _rewriter(recipe: Recipe) -> AbstractContextManager[Rewrite | None]:
    return open_rewriter(recipe.model) if recipe.model else nullcontext()


@contextmanager
def _bars() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
