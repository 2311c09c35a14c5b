"""Carries a recipe file out, in this process or over several."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from retrieval.writing import Progress
from workers.training.job import Build
from workers.training.recipe import Recipe, read_recipe
from workers.training.run import train
from workers.training.tasks import chat

AnyRecipe = Annotated[chat.Chat, Field(discriminator="task")]
_BUILDS: Mapping[type[Recipe], Build] = {chat.Chat: chat.build}


def start(path: Path, folder: Path, progress: Progress) -> Mapping[str, Any]:
    """Carry out the recipe in the file `path`, or the share of it that falls to this process.

    Raises: Rejected, Misconfigured, Unavailable: as `workers.training.run.train` does.
    """
    recipe = read_recipe(path, TypeAdapter(AnyRecipe))
    return train(recipe, _BUILDS[type(recipe)], folder, progress)
