"""Makes a smaller model of one that is there, as a recipe says.

    task: compression
    base: var/models/encoder
    corpus: data/help     # drop the tokens that no text of this dataset needs
    dimensions: 128       # keep so many of a sentence encoder's
    weights: int8         # or bfloat16; a quarter or half of float32
    graph: float32        # or int8: a sentence encoder's ONNX graph beside the weights, for CPUs

Every part may be left out. It writes model/ and result.json, like a training run.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import torch
import transformers
from pydantic import Field, TypeAdapter, model_validator
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from core.errors import Misconfigured, Rejected
from retrieval.model_folder import check_safe, model_folder
from retrieval.writing import Progress
from workers.training.compression.graph import write_graph
from workers.training.compression.vectors import truncate
from workers.training.compression.vocabulary import prune
from workers.training.compression.weights import save_int8
from workers.training.dataset.folder import Dataset, Part, open_dataset
from workers.training.finished import Result, finish, finished, unfinished
from workers.training.loading import count_parameters, load_model
from workers.training.recipe import Block
from workers.training.recipe_file import read_settings


class Compression(Block):
    """What to leave out of `base`, a model folder or hub id."""

    task: Literal["compression"]
    base: str
    corpus: Path | None = None
    dimensions: int | None = Field(default=None, ge=8)
    weights: Literal["int8", "bfloat16"] | None = None
    graph: Literal["float32", "int8"] | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.corpus or self.dimensions or self.weights or self.graph):
            raise ValueError("give at least one of corpus, dimensions, weights, graph")
        if self.graph and self.weights == "int8":
            raise ValueError("graph: cannot be made of int8 weights; say graph: int8 alone")
        return self


def compress(path: Path, folder: Path, progress: Progress) -> Result:
    """Carry out the recipe in the file `path`; the smaller model is in `folder`/model.

    Returns: the content of `result.json`.
    Raises: Rejected, Misconfigured: the recipe is wrong, or does not fit the model.
    """
    recipe = _read(path)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no stubs
    base = check_safe(model_folder(recipe.base))
    corpus = None if recipe.corpus is None else open_dataset(recipe.corpus)
    if (result := finished(folder, recipe, corpus)) is not None:
        return result
    place = unfinished(folder)
    shutil.copytree(base, place, ignore=shutil.ignore_patterns(".*", "onnx", "*.md"))
    figures = _shrink(recipe, corpus, place, progress)
    result = {"task": recipe.task, "before": _size(base), "after": _size(place), **figures}
    finish(folder, recipe, result, corpus)
    return result


def _shrink(
    recipe: Compression, corpus: Dataset | None, folder: Path, progress: Progress
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    stages = [recipe.corpus, recipe.dimensions, recipe.weights, recipe.graph]
    total = sum(stage is not None for stage in stages)
    place = _transformer(folder)
    model = _load(place)
    if corpus is not None:
        size = model.config.get_text_config().vocab_size
        kept = prune(place, model, _texts(corpus))
        figures["tokens"] = {"before": size, "after": len(kept)}
        progress("compressing", 1, total)
    if recipe.dimensions is not None:
        figures["dimensions"] = truncate(folder, recipe.dimensions)
    for old in place.glob("*.safetensors*"):
        old.unlink()
    figures["parameters"] = count_parameters(model)[1]
    if recipe.weights == "int8":
        save_int8(model, place)
    else:
        if recipe.weights == "bfloat16":
            model.bfloat16()
        model.save_pretrained(place)
    if recipe.graph is not None:
        progress("compressing", total - 1, total)
        write_graph(folder, recipe.graph)
    progress("compressing", total, total)
    return figures


def _read(path: Path) -> Compression:
    recipe = read_settings(path, TypeAdapter(Compression))
    moved: dict[str, object] = {}
    if recipe.corpus is not None:
        moved["corpus"] = path.parent / recipe.corpus
    if (path.parent / recipe.base).is_dir():
        moved["base"] = str(path.parent / recipe.base)
    return recipe.model_copy(update=moved)


def _transformer(folder: Path) -> Path:
    """Where the weights of a transformer are: in a sentence encoder's folder, or one in it."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    for place in places:
        if (place / "config.json").exists() and list(place.glob("*.safetensors")):
            return place
    raise Misconfigured(f"{folder}: holds no transformer to compress")


def _load(place: Path) -> PreTrainedModel:
    config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        raise Rejected("base: its weights are compressed already; start from the one before")
    names = config.architectures or []
    form = getattr(transformers, names[0], None) if names else None
    if form is None:
        raise Misconfigured(f"{place}: transformers knows no architecture {', '.join(names)}")
    model: Any = load_model(form, str(place))
    # Compressed or not, it computes in the precision of its base.
    loaded: PreTrainedModel = model.to(config.dtype or torch.float32)
    return loaded


def _texts(corpus: Dataset) -> Iterator[str]:
    """Every text of all parts of a dataset."""
    for part in Part:
        for row in corpus.stream(part):
            yield from _strings(row.model_dump(exclude={"source", "licence", "group", "kind"}))


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _strings(inner)
        case list() | tuple():
            for inner in value:
                yield from _strings(inner)


def _size(folder: Path) -> dict[str, float]:
    weights = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"weights_mb": round(weights / 1e6, 2), "folder_mb": round(whole / 1e6, 2)}
