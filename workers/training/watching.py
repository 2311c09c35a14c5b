"""Follows a run: its log, its curves, its progress, and the end of one whose loss is lost."""

import json
import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import Rejected
from retrieval.writing import Progress
from workers.training.curves import draw_curves

LOG, CURVES = "log.jsonl", "curves.png"


class Watcher(TrainerCallback):
    """Writes what a run logs as it goes; `log.jsonl` grows at least ten times an evaluation."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        """Write into `folder`."""
        self._folder = folder
        self._progress = progress

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """No checkpoint without a look at the loss before it."""
        if control.should_save or control.should_evaluate:
            control.should_log = True
        if state.is_world_process_zero:
            self._progress("training", state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the entry.

        Raises: Rejected: the loss is not a number any more.
        """
        entry = {"step": state.global_step, **(logs or {})}
        for name in ("loss", "grad_norm", "eval_loss"):
            if name in entry and not math.isfinite(entry[name]):
                raise Rejected(
                    f"the {name.replace('_', ' ')} at update {state.global_step} is not a number:"
                    " lower learning_rate, or use precision: float32"
                )
        if state.is_world_process_zero:
            with (self._folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw anew."""
        if state.is_world_process_zero:
            draw_curves(state.log_history, self._folder / CURVES)
