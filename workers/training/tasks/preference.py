"""Teaches a dialogue model which replies people preferred."""

import random
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from datasets import Dataset as Columns
from peft import TaskType
from pydantic import model_validator
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from core.errors import Rejected
from workers.training.dataset.examples import Reply
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import (
    adapter_config,
    check_length,
    load_model,
    load_tokenizer,
    save_model,
)
from workers.training.recipe import Positive, Recipe
from workers.training.tasks.chat import asked, tokenize

# trl's losses pass these over.
_UNHEARD = ("new", "adversary", "dropout", "label_smoothing")
_UNSAID = ("logits/", "logps/", "entropy", "mean_token_accuracy")
_WANTED = {"dpo": "beside a rejected one", "kto": "with a rating"}


class Preference(Recipe):
    """Learn from replies beside `rejected` ones (dpo), or from each reply's `rating` (kto).

    `beta` ties the model to its base: the higher, the less it may move away. An adapter is tied to
    the base under it; without one a second copy of the base stays in memory.
    Sources: DPO, arXiv 2305.18290; KTO, arXiv 2402.01306.
    """

    task: Literal["preference"]
    method: Literal["dpo", "kto"] = "dpo"
    beta: Positive = 0.1
    learning_rate: Positive = 1e-6

    @model_validator(mode="after")
    def _is_heard(self) -> Self:
        for name in _UNHEARD:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: learning from preferences knows no such setting")
        if self.method == "kto" and min(self.batch, self.device_batch) < 2:
            raise ValueError("device_batch: kto compares the rows of a batch, at least 2")
        return self


def build(recipe: Preference, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer that scores by how far apart it rewards good and bad replies.

    Raises: Rejected: the base cannot chat, or too few rows have what the method learns from.
    """
    tokenizer = load_tokenizer(recipe.base)
    train, _ = _columns(dataset, Part.TRAIN, tokenizer, recipe)
    dev, languages = _columns(dataset, Part.DEV, tokenizer, recipe)
    if len(train) < recipe.batch:
        raise Rejected(
            f"{dataset.folder}: its train part has {len(train)} replies"
            f" {_WANTED[recipe.method]}, fewer than the {recipe.batch} of a batch;"
            " collect more, or lower batch"
        )
    model = load_model(AutoModelForCausalLM, recipe.base)
    check_length(model.config, recipe.max_tokens, recipe.adapter)
    form, settings = _form(recipe, train, checkpoints)
    # trl and peft ask transformers at each step for a property by its old name.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    trainer = form(
        model=model,
        ref_model=None if recipe.adapter else load_model(AutoModelForCausalLM, recipe.base),
        args=settings,
        train_dataset=train,
        eval_dataset=dev,
        processing_class=tokenizer,
        callbacks=patience(recipe),
        # trl would tie a model that has an adapter already to a copy of the adapter.
        peft_config=recipe.adapter and adapter_config(model, recipe.adapter, TaskType.CAUSAL_LM),
    )
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev, languages),
    )


class _Brief(Trainer):
    """Logs the loss, the rewards and their distance from the base; trl would log twice as much."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Drop the rest in place, for `evaluate` returns the same figures."""
        for name in [name for name in logs if any(part in name for part in _UNSAID)]:
            del logs[name]
        super().log(logs, start_time)


class _Dpo(DPOTrainer, _Brief):
    pass


class _Kto(KTOTrainer, _Brief):
    pass


def _form(recipe: Preference, train: Columns, checkpoints: Path) -> tuple[Any, Any]:
    """A trainer's class and what it is to be told."""
    # Rows that are too long were left out: a reply without its end teaches not to end.
    shared: dict[str, Any] = {"beta": recipe.beta, "max_length": None}
    if recipe.method == "dpo":
        return _Dpo, arguments(recipe, len(train), checkpoints, of=DPOConfig, **shared)
    # All of one rating weigh as much as all of the other (equation 8 of the paper).
    up = sum(train["label"])
    down = len(train) - up
    shared |= {
        "desirable_weight": max(1.0, down / up),
        "undesirable_weight": max(1.0, up / down),
    }
    settings = arguments(recipe, len(train), checkpoints, of=KTOConfig, **shared)
    if settings.per_device_train_batch_size < 2:
        raise Rejected("batch: kto compares the rows of a batch; give each process at least 2")
    return _Kto, settings


def _columns(
    dataset: Dataset, part: Part, tokenizer: PreTrainedTokenizerBase, recipe: Preference
) -> tuple[Columns, list[str]]:
    """The rows that fit, as conversations in trl's form, and their languages."""
    where, wanted = f"{dataset.folder}: its {part} part has", _WANTED[recipe.method]
    found = [row for row in dataset.rows(part, Reply) if _teaches(row, recipe)]
    if not found:
        raise Rejected(f"{where} no reply {wanted}")
    rows = [row for row in found if _length(row, tokenizer, recipe) <= recipe.max_tokens]
    if not rows:
        raise Rejected(
            f"{where} no reply {wanted} of at most {recipe.max_tokens} tokens with its conversation"
        )
    if recipe.method == "kto" and len({row.rating for row in rows}) == 1:
        raise Rejected(
            f'{where} replies rated "{rows[0].rating}" alone; kto needs some of both ratings'
        )
    # trl takes the rows of kto in the order that they come in.
    random.Random(recipe.seed).shuffle(rows)
    return Columns.from_list([_column(row, recipe) for row in rows]), [row.lang for row in rows]


def _teaches(row: Reply, recipe: Preference) -> bool:
    return bool(row.rejected) if recipe.method == "dpo" else row.rating is not None


def _replies(row: Reply, recipe: Preference) -> Mapping[str, str]:
    if recipe.method == "dpo":
        return {"chosen": row.reply, "rejected": row.rejected}
    return {"completion": row.reply}


def _length(row: Reply, tokenizer: PreTrainedTokenizerBase, recipe: Preference) -> int:
    """How many tokens the conversation has with its longest reply."""
    question = asked(row) or ()
    texts = _replies(row, recipe).values()
    return max(len(tokenize(tokenizer, question, text)[0]) for text in texts)


def _column(row: Reply, recipe: Preference) -> dict[str, Any]:
    column: dict[str, Any] = {"prompt": [asdict(said) for said in asked(row) or ()]}
    for name, text in _replies(row, recipe).items():
        column[name] = [{"role": "assistant", "content": text}]
    if recipe.method == "kto":
        column["label"] = row.rating == "up"
    return column
