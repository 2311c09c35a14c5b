"""Carries a recipe file out, in this process or over several."""

import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from transformers import TrainerCallback

from core.errors import Unavailable
from retrieval.writing import Progress
from workers.training.job import Build
from workers.training.recipe import Recipe, read_recipe
from workers.training.run import train
from workers.training.tasks import (
    causal,
    chat,
    distillation,
    encoder,
    labels,
    masked,
    preference,
    tokens,
    translation,
)

AnyRecipe = Annotated[
    causal.Causal
    | chat.Chat
    | distillation.Distillation
    | encoder.Encoder
    | labels.Labels
    | masked.Masked
    | preference.Preference
    | tokens.TokenLabels
    | translation.Translation,
    Field(discriminator="task"),
]
_BUILDS: Mapping[type[Recipe], Build] = {
    causal.Causal: causal.build,
    chat.Chat: chat.build,
    distillation.Distillation: distillation.build,
    encoder.Encoder: encoder.build,
    labels.Labels: labels.build,
    masked.Masked: masked.build,
    preference.Preference: preference.build,
    tokens.TokenLabels: tokens.build,
    translation.Translation: translation.build,
}


def start(path: Path, folder: Path, progress: Progress) -> Mapping[str, Any]:
    """Carry out the recipe in the file `path`, or the share of it that falls to this process.

    Raises: Rejected, Misconfigured, Unavailable: as `workers.training.run.train` does.
    """
    return train_recipe(read_recipe(path, TypeAdapter(AnyRecipe)), folder, progress)


def train_recipe(
    recipe: Recipe, folder: Path, progress: Progress, *callbacks: TrainerCallback
) -> Mapping[str, Any]:
    """Carry out a recipe of any task; the rest is as `workers.training.run.train` says."""
    return train(recipe, _BUILDS[type(recipe)], folder, progress, *callbacks)


def over(processes: int, command: Sequence[str]) -> bool:
    """Run `command` in so many processes of this machine that train as one.

    Over several machines, `torchrun` or `accelerate launch` does the same with `-m dragoman train`.

    Returns: False if the first one failed, which has said why.
    Raises: Unavailable: another one was killed.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=uuid.uuid4().hex,
        max_restarts=0,
        monitor_interval=0.1,
    )
    # Its account of a failure is longer than ours, and less clear.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    program, *arguments = command
    try:
        elastic_launch(config, program)(*arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            raise Unavailable(
                "training", f"process {rank} was ended by {failure.signal_name()}; start it again"
            ) from error
        return False
    return True
