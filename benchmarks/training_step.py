"""One update of all weights, and one of a low-rank adapter, as a training run here makes them.

The weights are float32, as a recipe loads them, and multiplied in the smaller type of the device.
"""

import gc
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import AutoModelForCausalLM

from benchmarks.device import Device
from workers.training.loading import count_parameters, load_model, with_adapter
from workers.training.recipe import Adapter

LORA = Adapter(method="lora", rank=16)
# Of each weight and token, in matrices: forward 2, backward 2 to go on to the layer below, and 2
# for a weight that is trained.
FULL_FLOPS, LORA_FLOPS = 6, 4
# Weights, gradients and the two means of AdamW.
_BYTES_A_WEIGHT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of update; a `batch` of 0 says that memory holds not even one row."""

    name: str
    trained: int
    batch: int
    tokens_per_s: float
    flops_per_s: float


def multiplied(model: Any) -> int:
    """The weights that each token is multiplied by: all but an input embedding of its own."""
    total = count_parameters(model)[1]
    tied = model.config.tie_word_embeddings
    return total if tied else total - model.get_input_embeddings().weight.numel()


def steps(
    folder: Path, device: Device, *, tokens: int, batches: Sequence[int], for_s: float
) -> list[Step]:
    """Full, then LoRA, each with the first of `batches` rows of `tokens` that memory holds."""
    model: Any = load_model(AutoModelForCausalLM, str(folder))
    weights, total = multiplied(model), count_parameters(model)[1]
    # What does not fit into main memory is killed, not refused.
    fits = total * _BYTES_A_WEIGHT < device.free_bytes()
    found = []
    for name, adapter, flops in (
        ("all weights", None, FULL_FLOPS),
        (f"LoRA, rank {LORA.rank}", LORA, LORA_FLOPS),
    ):
        model = with_adapter(model, adapter, peft.TaskType.CAUSAL_LM)
        tried = batches if adapter or fits else ()
        batch, took_s = _first_that_fits(model, device, tokens, tried, for_s)
        speed = batch * tokens / took_s
        found.append(
            Step(
                name=name,
                trained=count_parameters(model)[0],
                batch=batch,
                tokens_per_s=speed,
                flops_per_s=speed * flops * weights,
            )
        )
    return found


def _first_that_fits(
    model: Any, device: Device, tokens: int, batches: Sequence[int], for_s: float
) -> tuple[int, float]:
    """The batch, and the median time of a step; 0 if memory holds none."""
    for batch in batches:
        try:
            return batch, _step_s(model, device, tokens, batch, for_s)
        except torch.OutOfMemoryError:
            model.zero_grad()
        # Only here the traceback no longer holds what the step had made.
        gc.collect()
        device.free_bytes()
    return 0, 1.0


def _step_s(model: Any, device: Device, tokens: int, batch: int, for_s: float) -> float:
    model.to(device.where).train()
    rows = torch.randint(model.config.vocab_size, (batch, tokens), device=device.where)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    smaller = device.dtype is not torch.float32

    def step() -> None:
        with torch.autocast(device.where.type, device.dtype, enabled=smaller):
            loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return statistics.median(device.times_s(step, for_s=for_s))
