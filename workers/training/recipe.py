"""What a training run is to do, as a YAML file says it."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from workers.training.dataset.augmentation import TYPOS
from workers.training.recipe_file import read_settings

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Block(BaseModel):
    """A part of a recipe; an unknown key is an error, since it is most likely a misspelt one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class New(Block):
    """A model of random weights, with a tokenizer trained on the same data.

    `config` is that of any architecture of transformers, `model_type` among it; the sizes of its
    vocabulary and the numbers of its special tokens are filled in. `vocabulary` counts tokens;
    the higher `temperature`, the more alike the shares of the languages in it (1: as in the data).
    `words` is a sentence encoder whose vectors of words those of the new tokens begin with. With
    `layers` a dialogue model begins as that encoder: its layers, which `config` must be like, and
    its tokenizer, with the marks of a chat and of quotes; `vocabulary` counts for nothing then.
    That model can point, and write what the tokenizer can, which may be without capitals. The
    template may tell it the `first_line` alone of what the system says: that names the task, and
    the rest is for models that can read instructions.
    """

    config: dict[str, Any]
    vocabulary: Annotated[int, Field(ge=300)] = 16_000
    temperature: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0
    words: str = ""
    layers: bool = False
    system: Literal["whole", "first_line"] = "whole"

    @model_validator(mode="after")
    def _has_a_type(self) -> Self:
        if not self.config.get("model_type"):
            raise ValueError("config: needs a model_type, such as llama or bert")
        if self.layers and not self.words:
            raise ValueError("layers: needs the encoder to take them from, under words")
        return self


class Adapter(Block):
    """Few new weights beside the frozen ones of the base (peft).

    `rank` is that of LoRA's and AdaLoRA's matrices, and the number of virtual tokens of a prefix.
    Sources: LoRA, arXiv 2106.09685; AdaLoRA, arXiv 2303.10512; prefix tuning, arXiv 2101.00190;
    IA3, arXiv 2205.05638.
    """

    method: Literal["lora", "adalora", "prefix", "ia3"] = "lora"
    rank: Count = 16
    alpha: Positive = 32.0
    dropout: Share = 0.0


class EmbeddingAdversary(Block):
    """Steps against the worst small change of the input embeddings, beside the clean ones.

    `epsilon` is the length of the change as a share of the length of the embeddings it is added
    to; `steps` 1 is the fast gradient method (Miyato et al., arXiv 1605.07725), more is projected
    gradient descent (Madry et al., arXiv 1706.06083).
    """

    against: Literal["embeddings"] = "embeddings"
    epsilon: Positive = 0.1
    steps: Count = 1


class TypoAdversary(Block):
    """Steps against the worst of some versions of each text with typing errors, beside the clean.

    `tries` versions are drawn anew each time, with errors in about the share `typos` of the words;
    the one of the highest loss is learnt. Sources: worst-of-k, Engstrom et al., arXiv 1712.02779;
    Ebrahimi et al., arXiv 1712.06751, learn errors of characters too, found by slopes instead.
    """

    against: Literal["typos"]
    tries: Count = 4
    typos: Annotated[float, Field(gt=0, le=1)] = TYPOS


def _told_apart(block: object) -> object:
    """What it is against need not be said of embeddings."""
    return {"against": "embeddings", **block} if isinstance(block, dict) else block


Adversary = Annotated[
    EmbeddingAdversary | TypoAdversary,
    Field(discriminator="against"),
    BeforeValidator(_told_apart),
]


class Recipe(Block):
    """What is common to all tasks.

    `base` is a model folder or hub id, `new` a model from scratch instead. `batch` counts the rows
    of one update over all processes, `device_batch` those that one process takes at once: what is
    left is accumulated. `warmup` is a share of all updates; `max_steps` counts them in place of
    `epochs`. `evaluate_every` counts updates, None is once an epoch. `patience` stops after so many
    evaluations without a better one. `checkpointing` computes activations anew instead of keeping
    them; `sharded` shares weights and optimiser out over the processes (FSDP) instead of copying
    them to each (DDP).
    """

    # Whether each row is one text and its label, which errors of typing leave as it is.
    takes_typos: ClassVar[bool] = False

    dataset: Path
    base: str = ""
    new: New | None = None
    adapter: Adapter | None = None

    epochs: Positive = 3.0
    max_steps: Count | None = None
    batch: Count = 32
    device_batch: Count = 8
    max_tokens: Annotated[int, Field(ge=8)] = 512
    learning_rate: Positive = 5e-5
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Share = 0.06
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Share | None = None
    label_smoothing: Share = 0.0
    adversary: Adversary | None = None

    evaluate_every: Count | None = None
    patience: Count | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    checkpointing: bool = False
    sharded: bool = False
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _starts_from_one_model(self) -> Self:
        if bool(self.base) == (self.new is not None):
            raise ValueError("name either a base model or a new one")
        if self.sharded and self.adapter is not None:
            raise ValueError("sharded: an adapter is small enough to be copied; leave one out")
        if self.new is not None and self.adapter is not None:
            raise ValueError("an adapter needs a base that has learnt something; leave it out")
        return self

    @model_validator(mode="after")
    def _can_be_mistyped(self) -> Self:
        if isinstance(self.adversary, TypoAdversary) and not self.takes_typos:
            raise ValueError(
                "adversary: only the task labels learns against typos: each of its rows is one text"
                " and its label; leave it out"
            )
        return self


def read_recipe(path: Path, kinds: TypeAdapter[Any]) -> Any:
    """The recipe in a YAML file, of one of `kinds`; relative paths in it start at its folder.

    Raises: Rejected: the file cannot be read, or names what does not exist.
    """
    # The first place is the task that the union was told apart by.
    recipe = read_settings(path, kinds, skip=1)
    return recipe.model_copy(update=_anchored(recipe, path.parent))


def _anchored(recipe: Recipe, folder: Path) -> dict[str, object]:
    moved: dict[str, object] = {}
    if not recipe.dataset.is_absolute():
        moved["dataset"] = folder / recipe.dataset
    for name in ("base", "teacher"):
        model = getattr(recipe, name, "")
        if model and (folder / model).is_dir():
            moved[name] = str(folder / model)
    if recipe.new is not None and recipe.new.words and (folder / recipe.new.words).is_dir():
        moved["new"] = recipe.new.model_copy(update={"words": str(folder / recipe.new.words)})
    return moved
