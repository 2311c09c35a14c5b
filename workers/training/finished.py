"""A folder with a finished model, the recipe it was made by and the figures of that."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Rejected
from workers.training.recipe import Block
from workers.training.run import RECIPE, RESULT

Result = Mapping[str, Any]
R = TypeVar("R", bound=Block)


def finished(folder: Path, recipe: R) -> Result | None:
    """The figures, if the folder holds what the recipe asks for.

    Raises: Rejected: it holds the model of another recipe.
    """
    if not (folder / RESULT).exists():
        return None
    if type(recipe).model_validate_json((folder / RECIPE).read_bytes()) != recipe:
        raise Rejected(
            f"{folder} holds the model of another recipe; name another folder, or remove this one"
        )
    result: Result = json.loads((folder / RESULT).read_bytes())
    return result


def unfinished(folder: Path) -> Path:
    """An empty place in `folder` for the model until `finish` is called."""
    place = folder / "model.part"
    shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return place


def finish(folder: Path, recipe: Block, result: Result) -> None:
    """Put the model in its place, and the figures beside it, which say that all is there."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / "model.part").rename(folder / "model")
    (folder / RECIPE).write_text(recipe.model_dump_json(indent=1) + "\n")
    (folder / RESULT).write_text(json.dumps(result, indent=1) + "\n")
