"""What classifying texts has in common with classifying their words."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from peft import TaskType
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from workers.training.loading import (
    dropped_out,
    load_model,
    new_model,
    positions,
    with_adapter,
)
from workers.training.recipe import Recipe

# What the loss passes over.
IGNORED = -100


def load_classifier(
    form: Any,
    recipe: Recipe,
    names: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    task: TaskType,
) -> Any:
    """The base, or a new model, with a head for the classes `names` and the recipe's adapter.

    A head that the base brings is kept if it has as many classes, else it begins at random.

    Raises: Rejected, Misconfigured: as `workers.training.loading` does.
    """
    head = {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: at for at, name in enumerate(names)},
        **dropped_out(recipe),
    }
    if recipe.new is not None:
        return new_model(form, recipe.new, tokenizer, **head)
    model = load_model(
        form,
        recipe.base,
        pad_token_id=tokenizer.pad_token_id,
        ignore_mismatched_sizes=True,
        **head,
    )
    return with_adapter(model, recipe.adapter, task)


def longest(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """How many tokens of a text are read: no more than the model has positions for."""
    limits = (
        recipe.max_tokens,
        tokenizer.model_max_length,
        positions(model.config, recipe.adapter),
    )
    return int(min(limit for limit in limits if limit is not None))


def weighted_loss(smoothing: float, weights: Sequence[float] | None = None) -> Any:
    """Cross-entropy for a Trainer's `compute_loss_func`; `weights` has one number a class."""
    return partial(
        _loss, smoothing=smoothing, weights=None if weights is None else torch.tensor(weights)
    )


def likeliest(logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """The class with the highest score, so that an evaluation need not keep all scores."""
    return logits.argmax(dim=-1)


def _loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: Any = None,
    *,
    smoothing: float,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    """The mean over what counts, in this batch or in all that one update is made of."""
    total = torch.nn.functional.cross_entropy(
        outputs.logits.flatten(end_dim=-2).float(),
        labels.flatten(),
        weight=None if weights is None else weights.to(labels.device),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    counted = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
    return total / counted
