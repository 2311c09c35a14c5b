"""The Trainer of a dialogue model: its loss counts the tokens of the reply alone."""

import inspect
from collections.abc import Collection
from typing import Any

import torch
from peft import PeftModel
from transformers.trainer_utils import EvalLoopOutput

from workers.training.adversarial import AdversarialTrainer
from workers.training.pointing import Pointing, Read
from workers.training.sequences import IGNORED

TEXTS = "texts"
"""The name of what a batch holds beside its tokens: what a teacher of pointing reads."""


class ReplyTrainer(AdversarialTrainer):
    """Works out what comes next only where it is to be learnt, at the end of each row.

    A vocabulary is so large that what comes next costs as much as all layers of a small model.
    """

    pointing: Pointing | None = None
    sure: float | None = None
    # What it said of the rows of the evaluation that goes on.
    _read: list[Read]

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As the Trainer's; what has learnt then declines where it is not sure enough."""
        output = super().train(*args, **kwargs)
        if self.pointing is not None and self.sure is not None:
            dev = self.get_eval_dataloader()
            self.evaluation_loop(dev, "sure", prediction_loss_only=True, metric_key_prefix="eval")
            self.pointing.be_sure(self.model, self._all_read(), self.sure)
        return output

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if TEXTS not in columns:
            columns.append(TEXTS)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As the Trainer's, with how well it points."""
        self._read = []
        output = super().evaluation_loop(*args, **kwargs)
        if self.pointing is not None and output.metrics is not None:
            prefix = kwargs["metric_key_prefix"]
            scores = self._all_read().scores()
            output.metrics.update({f"{prefix}_{name}": v for name, v in scores.items()})
        return output

    def _all_read(self) -> Read:
        """Of the last evaluation, batches put together."""
        return Read(*map(torch.cat, zip(*self._read, strict=True)))

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """As the Trainer's; the rows of `inputs` end together, padded in front."""
        inputs = dict(inputs)
        tokens, labels, mask = (inputs[n] for n in ("input_ids", "labels", "attention_mask"))
        first = int((labels != IGNORED).any(dim=0).nonzero()[0])
        # What comes next is told by the place before it.
        kept = labels.shape[1] - first + 1
        takes = _takes(self.accelerator.unwrap_model(model))
        if "logits_to_keep" in takes:
            inputs |= {"labels": labels[:, -kept:], "logits_to_keep": kept}
        if "position_ids" in takes:
            # As where nothing is padded; positions that are learnt would begin anywhere.
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        texts = inputs.pop(TEXTS, ())
        if not getattr(self.accelerator.unwrap_model(model).config, "is_causal", True):
            inputs["attention_mask"] = prefix_mask(mask, labels)
        if self.pointing is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        inputs["output_hidden_states"] = True
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        hidden = outputs.hidden_states[self.pointing.layer]
        rows = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
        bare = self.accelerator.unwrap_model(model)
        with self.compute_loss_context_manager():
            if model.training:
                pointing = self.pointing.loss(bare, hidden, rows, texts)
                loss = loss + pointing / self.current_gradient_accumulation_steps
            else:
                read = self.pointing.read(bare, hidden, outputs.logits, rows)
                # Every process has rows of its own, and has to come to the same bias.
                self._read.append(Read(*self.accelerator.gather_for_metrics(tuple(read))))
        return (loss, outputs) if return_outputs else loss


def _takes(model: Any) -> Collection[str]:
    """What a model can be told; low-rank weights hand on whatever they are given."""
    if isinstance(model, PeftModel) and not model.active_peft_config.is_prompt_learning:
        model = model.get_base_model()
    return inspect.signature(model.forward).parameters


def prefix_mask(mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Which place sees which where a prompt is read from both sides, and its reply forwards.

    So transformers runs a model whose configuration says `is_causal: false`: all of the prompt at
    once, then token after token. `mask` and `labels` are (rows, length), the result is added to
    what attention makes of them, (rows, 1, length, length). Source: prefix language models,
    Raffel et al., arXiv 1910.10683.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    forwards = places[:, None] >= places
    prompt = labels == IGNORED
    seen = mask[:, None].bool() & (forwards | prompt[:, None])
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None]
