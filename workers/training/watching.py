"""Follows a run: its log, its curves, its progress, and the end of one whose loss is lost."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import Rejected
from retrieval.writing import Progress

LOG, CURVES = "log.jsonl", "curves.png"
# What a log entry says of the clock rather than of the model.
SPEED = (
    "runtime",
    "_per_second",
    "epoch",
    "total_flos",
    "num_tokens",
    "num_input_tokens_seen",
    "model_preparation_time",
)


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


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """A picture of all that was logged over the updates: one panel a quantity, train beside dev."""
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for entry in history:
        for name, value in entry.items():
            if name == "step" or name.endswith(SPEED) or not isinstance(value, int | float):
                continue
            split = "dev" if name.startswith("eval_") else "train"
            panels[name.removeprefix("eval_")][split].append((entry["step"], value))
    figure = Figure(figsize=(9, 3 * -(-len(panels) // 2)), layout="constrained")
    for at, (name, lines) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(-(-len(panels) // 2), 2, at)
        for split, points in lines.items():
            axes.plot(*zip(*points, strict=True), label=split, marker="." if split == "dev" else "")
        axes.set(title=name.replace("_", " "), xlabel="update")
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend()
    unfinished = path.with_suffix(".part.png")
    figure.savefig(unfinished, dpi=110)
    unfinished.rename(path)
