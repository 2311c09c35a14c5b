"""A folder with a finished model, what it was made by and the figures of that."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.training.dataset.folder import Dataset
from workers.training.kept import check_kept, keep_to, write_json
from workers.training.recipe import Block

RESULT = "result.json"

Result = Mapping[str, Any]


def finished(folder: Path, recipe: Block, dataset: Dataset | None = None) -> Result | None:
    """The figures, if the folder holds what the recipe asks for.

    Raises: Rejected: it holds the model of another recipe, or of other rows.
    """
    if not (folder / RESULT).exists():
        return None
    check_kept(folder, recipe, dataset)
    result: Result = json.loads((folder / RESULT).read_bytes())
    return result


def unfinished(folder: Path) -> Path:
    """An empty place in `folder` for the model until `finish` is called."""
    place = folder / "model.part"
    shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return place


def finish(folder: Path, recipe: Block, result: Result, dataset: Dataset | None = None) -> None:
    """Put the model in its place, and the figures beside it, which say that all is there."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / "model.part").rename(folder / "model")
    keep_to(folder, recipe, dataset)
    write_json(folder / RESULT, result)
