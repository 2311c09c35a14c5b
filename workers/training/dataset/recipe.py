"""What a dataset is to be made of, as a YAML file says it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from workers.training.dataset.augmentation import Augment
from workers.training.dataset.cleaning import Cleaning
from workers.training.dataset.examples import Kind, Tag
from workers.training.dataset.gathering import SourceRecipe
from workers.training.dataset.rewriting import Model
from workers.training.dataset.splitting import Split
from workers.training.recipe_file import read_settings


class NearDuplicates(BaseModel):
    """What to do with rows whose questions share `likeness` of their shingles.

    They are never parted over train, dev and test; with `drop`, one that also teaches the same as
    an earlier one is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    likeness: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    drop: bool = True


class Sample(BaseModel):
    """Which rows of train are written how often.

    `labels` makes all labels as frequent as the most frequent (over) or the rarest (under);
    `rows` is how many are drawn then, with languages as `temperature` says (`balancing.py`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Literal["as_is", "over", "under"] = "as_is"
    rows: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0


class Recipe(BaseModel):
    """How a dataset is made. `kinds` and `languages` keep only these; empty keeps all.

    `augment` makes more rows of a kind; rows that are made stand in train alone. `model` is asked
    for back-translations and paraphrases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Annotated[tuple[SourceRecipe, ...], Field(min_length=1)]
    kinds: frozenset[Kind] = frozenset()
    languages: frozenset[Tag] = frozenset()
    permissive: bool = True
    cleaning: Cleaning = Cleaning()
    near_duplicates: NearDuplicates = NearDuplicates()
    split: Split = Split()
    sample: Sample = Sample()
    augment: Mapping[Kind, Augment] = Field(default_factory=dict)
    model: Model | None = None
    seed: Annotated[int, Field(ge=0)] = 0


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file; relative paths in it start at its folder.

    Raises: Rejected: the file cannot be read, or says what no recipe can.
    """
    recipe = read_settings(path, TypeAdapter(Recipe))
    sources = tuple(_anchored(source, path.parent) for source in recipe.sources)
    return recipe.model_copy(update={"sources": sources})


def _anchored(source: SourceRecipe, folder: Path) -> SourceRecipe:
    paths = {"knowledge": source.knowledge, "rows": source.rows, "public": source.public}
    moved = {name: folder / path for name, path in paths.items() if path is not None}
    return source.model_copy(update=moved)
