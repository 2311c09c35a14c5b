"""A training run that is killed in the middle of an update."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from transformers import TrainerCallback

from tests.workers.training.small import silent
from workers.training.recipe import read_recipe
from workers.training.run import train
from workers.training.start import AnyRecipe
from workers.training.tasks import chat


class KillAt(TrainerCallback):
    """Kill -9 once so many updates are done."""

    def __init__(self, update: int) -> None:
        self._update = update

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self._update:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    recipe = read_recipe(Path(sys.argv[1]), TypeAdapter(AnyRecipe))
    train(recipe, chat.build, Path(sys.argv[2]), silent, KillAt(int(sys.argv[3])))
