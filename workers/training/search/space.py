"""What a search is to try, as a YAML file says it.

task: search
recipe: reply.yaml
trials: 20
space:
  learning_rate: {log: [1e-5, 1e-3]}
  dropout: {range: [0, 0.3]}
  adapter.rank: {choices: [4, 8, 16]}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast

from optuna.trial import Trial
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from core.errors import Rejected
from workers.training.recipe import Block, Count, Recipe, read_recipe
from workers.training.recipe_file import faults, read_settings
from workers.training.start import AnyRecipe

_RECIPES: TypeAdapter[Any] = TypeAdapter(AnyRecipe)
Bounds = tuple[int, int] | tuple[float, float]
Setting = bool | int | float | str


class Span(Block):
    """What one setting may be: between two bounds (whole numbers if both are), or one of a list.

    `log` draws evenly over the logarithm, for what is a matter of magnitude.
    """

    log: Bounds | None = None
    range: Bounds | None = None
    choices: tuple[Setting, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        if sum(map(bool, (self.log, self.range, self.choices))) != 1:
            raise ValueError("give one of log: [low, high], range: [low, high], choices: [...]")
        low, high = self.bounds
        if low > high or (self.log and low <= 0):
            raise ValueError("give the lower bound first; under log it is above 0")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number; 0 and 0 of choices."""
        return self.log or self.range or (0, 0)

    @property
    def first(self) -> Setting:
        """One of the possible values."""
        return self.choices[0] if self.choices else self.bounds[0]

    def suggest(self, trial: Trial, name: str) -> Setting:
        """What `trial` is to use."""
        if self.choices:
            choice: Any = trial.suggest_categorical(name, self.choices)
            return cast(Setting, choice)
        low, high = self.bounds
        if isinstance(low, int) and isinstance(high, int):
            return int(trial.suggest_int(name, low, high, log=bool(self.log)))
        return float(trial.suggest_float(name, low, high, log=bool(self.log)))


class Search(Block):
    """Trials of a recipe with other settings; a name with a dot reaches into a block.

    `score` is one of the figures of the dev rows; of losses and perplexities the lowest is best.
    `pruner` ends trials that fall behind: "median" those worse than half of the others at that
    point, "hyperband" more and earlier (Li et al., JMLR 2018); both see as much as the recipe's
    `evaluate_every` shows them.
    """

    task: Literal["search"]
    recipe: Path
    space: Mapping[str, Span] = Field(min_length=1)
    trials: Count = 20
    score: str = "loss"
    pruner: Literal["median", "hyperband", "none"] = "median"
    seed: int = Field(default=0, ge=0)


def read_search(path: Path) -> tuple[Search, Recipe]:
    """The search in a YAML file and the recipe it names, which can take what is to be tried.

    Raises: Rejected: one of the two files is wrong, or they do not fit.
    """
    search = read_settings(path, TypeAdapter(Search))
    # An absolute path stays what it is.
    recipe: Recipe = read_recipe(path.parent / search.recipe, _RECIPES)
    try:
        changed(recipe, {name: span.first for name, span in search.space.items()})
    except Rejected as error:
        raise Rejected(f"{path}: space: {error}") from error
    return search, recipe


def parse_recipe(content: Mapping[str, Any]) -> Recipe:
    """The recipe of settings that a recipe wrote."""
    recipe: Recipe = _RECIPES.validate_python(content)
    return recipe


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Those that were set, in a form for JSON or YAML."""
    return recipe.model_dump(mode="json", exclude_unset=True)


def changed(recipe: Recipe, settings: Mapping[str, Setting]) -> Recipe:
    """The recipe with other settings.

    Raises: Rejected: it has no such setting, or they do not go together.
    """
    content = settings_of(recipe)
    for name, value in settings.items():
        *blocks, last = name.split(".")
        place = content
        for block in blocks:
            place[block] = place.get(block) or {}
            place = place[block]
        place[last] = value
    try:
        return parse_recipe(content)
    except ValidationError as error:
        raise Rejected(faults(error, skip=1)) from error
