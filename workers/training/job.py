"""What a task makes of a recipe and a dataset: a trainer that is ready to go."""

import importlib.util
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
import torch
from datasets import Dataset as Columns
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments

from core.errors import Rejected
from retrieval.processor import bfloat16_is_fast
from workers.training.dataset.folder import Dataset
from workers.training.recipe import Recipe

log = structlog.get_logger()

A = TypeVar("A", bound=TrainingArguments)

# So many entries a log has at least between two evaluations.
_LOGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A trainer, the dev rows of each language, and how to write what was learnt to a folder.

    `save` takes the folder and, where the processes hold parts of them, the gathered weights.
    """

    trainer: Any
    save: Callable[..., None]
    languages: Mapping[str, Any] = field(default_factory=dict)


class Build(Protocol):
    """Makes a job; `checkpoints` is where its trainer keeps them."""

    def __call__(self, recipe: Any, dataset: Dataset, checkpoints: Path) -> Job:
        """Raises: Rejected, Misconfigured: the recipe does not fit the data or the model."""
        ...


def halved(recipe: Recipe) -> bool:
    """Whether to compute in bfloat16: it is asked for, and this machine does it fast."""
    return recipe.precision == "bfloat16" and bfloat16_is_fast()


def arguments(
    recipe: Recipe,
    rows: int,
    checkpoints: Path,
    *,
    of: type[A],
    best: str = "loss",
    **own: Any,
) -> A:
    """The recipe in transformers' words, for a training set of so many `rows`.

    `best` is the score that chooses the checkpoint to keep; a loss is better when lower.

    Raises: Rejected: the batch cannot be divided, or this machine lacks the precision.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    device_batch = min(recipe.device_batch, max(1, recipe.batch // processes))
    if recipe.batch % (device_batch * processes):
        raise Rejected(
            f"batch: {recipe.batch} rows cannot be shared out to {processes} processes,"
            f" {device_batch} at a time"
        )
    on_gpu = torch.cuda.is_available()
    if recipe.sharded and not (on_gpu and processes > 1):
        raise Rejected("sharded: needs several processes with a GPU each; leave it out")
    if recipe.precision == "float16" and not on_gpu:
        raise Rejected("precision: float16 needs a GPU; use float32 on a CPU")
    if recipe.precision == "bfloat16" and not halved(recipe):
        log.warning("trains_in_float32", reason="this processor multiplies bfloat16 very slowly")
    per_epoch = -(-rows // recipe.batch)
    every = recipe.evaluate_every or per_epoch
    updates = recipe.max_steps or int(per_epoch * recipe.epochs) or 1
    every = min(every, updates)
    # The accelerator gets its directory by the environment only.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(checkpoints.parent / "tensorboard")
    return of(
        output_dir=str(checkpoints),
        run_name=checkpoints.parent.name,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=device_batch,
        per_device_eval_batch_size=recipe.device_batch,
        gradient_accumulation_steps=recipe.batch // (device_batch * processes),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=_schedule(recipe),
        warmup_steps=round(recipe.warmup * updates),
        weight_decay=recipe.weight_decay,
        label_smoothing_factor=recipe.label_smoothing,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=best,
        greater_is_better=not best.endswith("loss"),
        logging_steps=max(1, every // _LOGS),
        logging_nan_inf_filter=False,
        bf16=halved(recipe),
        fp16=recipe.precision == "float16",
        use_cpu=not on_gpu,
        # A string by its type, which parses command lines; a boolean by its documentation.
        fsdp=True if recipe.sharded else None,  # type: ignore[arg-type]
        fsdp_config={"activation_checkpointing": recipe.checkpointing} if recipe.sharded else None,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if processes > 1 and not on_gpu else None,
        activation_checkpointing=recipe.checkpointing and not recipe.sharded,
        dataloader_pin_memory=on_gpu,
        seed=recipe.seed,
        report_to=_trackers(),
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        **own,
    )


def patience(recipe: Recipe) -> list[TrainerCallback]:
    """What stops a run that no longer gets better."""
    if recipe.patience is None:
        return []
    return [EarlyStoppingCallback(early_stopping_patience=recipe.patience)]


def by_language(rows: Columns, tags: Sequence[str]) -> Mapping[str, Columns]:
    """The rows of each language; `tags` are their languages, row by row."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, tag in enumerate(tags):
        places[tag].append(at)
    return {tag: rows.select(places[tag]) for tag in sorted(places)}


def _schedule(recipe: Recipe) -> str:
    return "constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule


def _trackers() -> list[str]:
    """TensorBoard always; Weights & Biases where it is installed and has a key."""
    keyed = "WANDB_API_KEY" in os.environ and importlib.util.find_spec("wandb") is not None
    # It takes the name by the environment only.
    os.environ.setdefault("WANDB_PROJECT", "dragoman")
    return ["tensorboard", "wandb"] if keyed else ["tensorboard"]
