"""Hands out AdaLoRA's budget of ranks as a run goes."""

from typing import Any

from peft import AdaLoraConfig, PeftModel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# All ranks stay for this share of the run, so that each can show what it is worth.
_WARMUP = 0.1
# So often in a run the least useful ranks are masked.
_ALLOCATIONS = 100


class RankBudget(TrainerCallback):
    """Masks the least important singular values until the target rank is left (arXiv 2303.10512).

    They stay in place as zeros: peft's own shrunken form cannot be resumed from.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Fit the schedule to the updates that there will be."""
        config = _config(kwargs["model"])
        config.total_step = state.max_steps
        config.tinit = int(_WARMUP * state.max_steps)
        config.deltaT = max(1, state.max_steps // _ALLOCATIONS)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Weigh and mask, while the gradients are still there."""
        kwargs["model"].base_model.update_and_allocate(state.global_step + 1)
        _config(kwargs["model"]).rank_pattern = None

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """From here on the loss is the model's own, without the penalty that peft adds to it."""
        _config(kwargs["model"]).orth_reg_weight = 0.0


def gives_out_ranks(model: object) -> bool:
    """Whether the adapter of a model is AdaLoRA's."""
    return isinstance(model, PeftModel) and isinstance(model.active_peft_config, AdaLoraConfig)


def _config(model: Any) -> Any:
    return model.active_peft_config
