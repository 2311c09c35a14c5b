"""Replies written by `generate` in this process, as many at a time as one padded batch has rows."""

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria

from benchmarks.device import Best, Device
from benchmarks.serving_load import prompts
from benchmarks.training_step import multiplied

_NO_ROOM = "memory does not hold it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One call of `generate`; `tokens` of each row, fewer than asked for when time was up."""

    tokens: int
    tokens_per_s: float
    first_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Batches, or why there are none, by their number of rows, and what they were written with.

    `weight_bytes` are read for a token of every row, `cache_bytes` for each row's own, both in the
    mean of the reply.
    """

    batches: Mapping[int, Batch | str]
    weights: int
    weight_bytes: int
    cache_bytes: float
    prompt_tokens: float

    def most_per_s(self, at_once: int, device: Best) -> float:
        """Tokens a second of so many replies that memory lets through at most."""
        read_bytes = self.weight_bytes + at_once * self.cache_bytes
        return at_once * device.bytes_per_s / read_bytes


class Clock(StoppingCriteria):
    """Notes when the first token is there; stops nothing."""

    def __init__(self, device: Device) -> None:
        """Waits for this device once."""
        self._device = device
        self.first: float | None = None

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Called after each token."""
        if self.first is None:
            self._device.wait()
            self.first = time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def write(
    folder: Path, device: Device, sizes: Sequence[int], *, tokens: int, limit_s: float
) -> Written:
    """Batches of these sizes, for as long as time is left; no reply is longer than `tokens`."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    model = model.to(device.where).eval()
    rows = [
        tokenizer.apply_chat_template(one, add_generation_prompt=True, return_dict=False)
        for one in itertools.islice(prompts(), max(sizes))
    ]
    _batch(model, tokenizer, rows[:1], device, 2, limit_s)
    until = time.monotonic() + limit_s
    found: dict[int, Batch | str] = {}
    for size in sizes:
        left_s = until - time.monotonic()
        # Growing, the cache of a layer is there twice.
        room = 2 * size * _token_bytes(model) * (max(map(len, rows[:size])) + tokens)
        if left_s <= 0:
            found[size] = "not reached"
        elif room > device.free_bytes():
            found[size] = _NO_ROOM
        else:
            found[size] = _batch_or_reason(model, tokenizer, rows[:size], device, tokens, left_s)
    prompt_tokens = statistics.mean(map(len, rows))
    return Written(
        batches=found,
        weights=sum(weight.numel() for weight in model.parameters()),
        weight_bytes=multiplied(model) * model.dtype.itemsize,
        cache_bytes=_token_bytes(model) * (prompt_tokens + tokens / 2),
        prompt_tokens=prompt_tokens,
    )


def _batch_or_reason(
    model: Any, tokenizer: Any, rows: Sequence[Any], device: Device, tokens: int, limit_s: float
) -> Batch | str:
    try:
        return _batch(model, tokenizer, rows, device, tokens, limit_s)
    except torch.OutOfMemoryError:
        return _NO_ROOM


def _batch(
    model: Any, tokenizer: Any, rows: Sequence[Any], device: Device, tokens: int, limit_s: float
) -> Batch:
    padded = tokenizer.pad({"input_ids": list(rows)}, padding_side="left", return_tensors="pt")
    clock = Clock(device)
    began = time.perf_counter()
    with torch.inference_mode():
        written = model.generate(
            **padded.to(device.where),
            max_new_tokens=tokens,
            max_time=limit_s,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            stopping_criteria=[clock],
        )
    device.wait()
    took_s = time.perf_counter() - began
    new = written[:, padded["input_ids"].shape[1] :]
    # Rows that have ended are padded.
    count = int((new != tokenizer.pad_token_id).sum())
    return Batch(
        tokens=new.shape[1],
        tokens_per_s=count / took_s,
        first_s=(clock.first or time.perf_counter()) - began,
    )


def _token_bytes(model: Any) -> int:
    """The keys and values of one token."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size: int = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    return size
