"""Pre-trains an encoder to fill in what is masked in texts, or in texts beside translations."""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from datasets import Dataset as Columns
from peft import TaskType
from pydantic import Field, model_validator
from torch.nn import functional
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)
from transformers.trainer_utils import EvalPrediction

from core.errors import Rejected
from workers.training.adversarial import AdversarialTrainer
from workers.training.dataset.examples import Parallel, Text
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import (
    check_length,
    dropped_out,
    load_model,
    new_model,
    save_model,
    with_adapter,
)
from workers.training.recipe import Recipe
from workers.training.sequences import IGNORED, Drawn, Objective, neighbours, texts, translations
from workers.training.tokenizer import tokenizer_for

_NEEDS: Mapping[Objective, str] = {
    "mlm": "rows of kind text",
    "nsp": "two documents of one language, rows of kind text, one of them of several paragraphs",
    "tlm": "rows of kind parallel in two languages",
}


class Masked(Recipe):
    """Fill in `mask` of the tokens. Any of the objectives may be mixed.

    `mlm` learns from rows of kind text. `nsp` also tells, of two parts of such a row, whether the
    second follows the first (Devlin et al., arXiv 1810.04805). `tlm` learns from rows of kind
    parallel, a text and its translation in one sequence (Lample and Conneau, arXiv 1901.07291).
    """

    task: Literal["masked"]
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = ("mlm",)
    mask: Annotated[float, Field(gt=0, lt=1)] = 0.15

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "nsp" in self.objectives and "mlm" not in self.objectives:
            raise ValueError("objectives: nsp is learnt beside mlm; name both")
        if "nsp" in self.objectives and self.adapter is not None:
            raise ValueError("adapter: nsp trains a head of the base; leave one of them out")
        if self.adapter is not None and self.adapter.method == "prefix":
            raise ValueError("adapter: an encoder takes no prefix; choose lora, adalora or ia3")
        return self


class Masking:
    """Pads rows to one length, and masks tokens of those that are not masked yet."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, recipe: Masked) -> None:
        """Mask with the marks of this tokenizer."""
        self._pad = DataCollatorForTokenClassification(tokenizer, label_pad_token_id=IGNORED)
        self._mask = DataCollatorForLanguageModeling(tokenizer, mlm_probability=recipe.mask)
        self._mask_alike = DataCollatorForLanguageModeling(
            tokenizer, mlm_probability=recipe.mask, seed=recipe.seed
        )

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """Training rows are masked anew each time."""
        return self._pad(rows) if "labels" in rows[0] else self._mask(rows)

    def once(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row masked for good, so that evaluations compare; at least one token is."""
        while True:
            masked = self._mask_alike([dict(row)])
            if (masked["labels"] != IGNORED).any():
                return {
                    name: masked[name][0].tolist() for name in masked if name != "attention_mask"
                }


class MaskedTrainer(AdversarialTrainer):
    """Adds up the losses of masked tokens and of next sentences, where a batch has any."""

    # Means over the batch at hand. Those of the models of transformers are left undivided when
    # batches are accumulated, and are no number when a batch has no pair.
    loss_is_scaled_for_ga = False

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Labels are smoothed in training only, so that losses on dev rows compare."""
        given = dict(inputs)
        labels, pairs = given.pop("labels"), given.pop("next_sentence_label", None)
        outputs = model(**given)
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        if pairs is None:
            loss = _mean_loss(outputs.logits, labels, smoothing)
        else:
            loss = _mean_loss(outputs.prediction_logits, labels, smoothing)
            loss = loss + _mean_loss(outputs.seq_relationship_logits, pairs)
        return (loss, outputs) if return_outputs else loss


def build(recipe: Masked, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer of an encoder that goes on from a base, or begins at random.

    Raises: Rejected: the rows or the model do not suit the objectives.
    """
    tokenizer = tokenizer_for(recipe, dataset, "encoder")
    if tokenizer.mask_token is None:
        raise Rejected("the base has no mask token, so it is no encoder that fills in masks")
    model = _encoder(recipe, tokenizer)
    masking = Masking(tokenizer, recipe)
    train, _ = _rows(dataset, Part.TRAIN, tokenizer, recipe)
    dev, languages = _rows(dataset, Part.DEV, tokenizer, recipe)
    nsp = "nsp" in recipe.objectives
    trainer = MaskedTrainer(
        model=with_adapter(model, recipe.adapter, TaskType.FEATURE_EXTRACTION),
        args=arguments(
            recipe, len(train), checkpoints, of=TrainingArguments, remove_unused_columns=False
        ),
        train_dataset=train,
        eval_dataset=Columns.from_list([masking.once(row) for row in dev]),
        data_collator=masking,
        callbacks=patience(recipe),
        compute_metrics=_right_pairs if nsp else None,
        preprocess_logits_for_metrics=_chosen if nsp else None,
    )
    trainer.adversary = recipe.adversary
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(trainer.eval_dataset, languages),
    )


def _encoder(recipe: Masked, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    nsp = "nsp" in recipe.objectives
    form = AutoModelForPreTraining if nsp else AutoModelForMaskedLM
    changes = dropped_out(recipe)
    if recipe.new is not None:
        model = new_model(form, recipe.new, tokenizer, **changes)
    else:
        model = load_model(form, recipe.base, **changes)
    check_length(model.config, recipe.max_tokens)
    if nsp and "next_sentence_label" not in inspect.signature(model.forward).parameters:
        raise Rejected(
            f"objectives: {model.config.model_type} has no head for nsp; leave it out, or take an"
            " architecture such as bert"
        )
    return model


def _rows(
    dataset: Dataset, part: Part, tokenizer: PreTrainedTokenizerBase, recipe: Masked
) -> tuple[Columns, list[str]]:
    """Tokens of what the objectives learn from, and its languages."""
    rows = [row for row in dataset.stream(part) if isinstance(row, Text | Parallel)]
    found: dict[Objective, list[Drawn]] = {}
    if "nsp" in recipe.objectives:
        size = recipe.max_tokens - tokenizer.num_special_tokens_to_add(pair=True)
        drawn = list(neighbours(rows, partial(_measure, tokenizer), size, recipe.seed))
        found["nsp"] = drawn if any(one.label != IGNORED for one in drawn) else []
    elif "mlm" in recipe.objectives:
        found["mlm"] = list(texts(rows))
    if "tlm" in recipe.objectives:
        found["tlm"] = list(translations(rows))
    for objective, drawn in found.items():
        # Dev rows measure what there is.
        if part is Part.TRAIN and not drawn:
            raise Rejected(
                f"{dataset.folder}: its {part} part has nothing for {objective} to learn from:"
                f" that needs {_NEEDS[objective]}"
            )
    columns, languages = _encode([*chain.from_iterable(found.values())], tokenizer, recipe)
    if not languages:
        raise Rejected(f"{dataset.folder}: its {part} part has no text for these objectives")
    return columns, languages


def _measure(tokenizer: PreTrainedTokenizerBase, paragraphs: Sequence[str]) -> list[int]:
    found = tokenizer(list(paragraphs), add_special_tokens=False, split_special_tokens=True)
    return [len(tokens) for tokens in found["input_ids"]]


def _encode(
    drawn: Sequence[Drawn], tokenizer: PreTrainedTokenizerBase, recipe: Masked
) -> tuple[Columns, list[str]]:
    """Single texts in as many sequences as they need; a pair in one, its longer text cut."""
    rows: list[dict[str, Any]] = []
    languages = []
    alone = [one for one in drawn if not one.second]
    paired = [one for one in drawn if one.second]
    for group in filter(None, (alone, paired)):
        seconds = [one.second for one in group] if group is paired else None
        found: Any = tokenizer(
            [one.first for one in group],
            seconds,
            truncation="longest_first",
            max_length=recipe.max_tokens,
            return_overflowing_tokens=group is alone,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            # What looks like a mark in a text is text.
            split_special_tokens=True,
        )
        owners = found.pop("overflow_to_sample_mapping", range(len(group)))
        for at, owner in enumerate(owners):
            row = {name: values[at] for name, values in found.items()}
            if "nsp" in recipe.objectives:
                row["next_sentence_label"] = group[owner].label
            if not all(row["special_tokens_mask"]):
                rows.append(row)
                languages.append(group[owner].language)
    return Columns.from_list(rows), languages


def _right_pairs(found: EvalPrediction) -> dict[str, float]:
    chosen: Any = found.predictions
    labels: Any = found.label_ids
    known = labels[1] != IGNORED
    return {"nsp_accuracy": float((chosen == labels[1])[known].mean())} if known.any() else {}


def _chosen(logits: Any, labels: Any) -> torch.Tensor:
    """Which of the two each pair is; the logits of all tokens would fill the memory."""
    chosen: torch.Tensor = logits[1].argmax(dim=-1)
    return chosen


def _mean_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """0 of no labels, with slopes of 0: under DDP every weight needs one in every step."""
    total = functional.cross_entropy(
        logits.flatten(0, -2).float(),
        labels.flatten(),
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=smoothing,
    )
    return total / (labels != IGNORED).sum().clamp_min(1)
