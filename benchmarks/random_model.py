"""A dialogue model of random weights in a given shape, whose replies never end by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.device import Device
from workers.training.loading import new_config
from workers.training.recipe import New
from workers.training.tokenizer import train_tokenizer

VOCABULARY = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An architecture as transformers configures it; without a `vocab_size` the tokenizer's."""

    name: str
    config: Mapping[str, Any] = field(repr=False)
    vocabulary: int = VOCABULARY


def _qwen3(name: str, **sizes: int) -> Shape:
    # Source: config.json of the model of this name at huggingface.co/Qwen.
    shared = {
        "model_type": "qwen3",
        "vocab_size": 151_936,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40_960,
        "tie_word_embeddings": True,
    }
    return Shape(name=name, config=shared | sizes)


QWEN3_600M = _qwen3(
    "Qwen3-0.6B",
    hidden_size=1_024,
    intermediate_size=3_072,
    num_hidden_layers=28,
    num_attention_heads=16,
)
QWEN3_4B = _qwen3(
    "Qwen3-4B",
    hidden_size=2_560,
    intermediate_size=9_728,
    num_hidden_layers=36,
    num_attention_heads=32,
)
SMALL = Shape(
    name="Qwen3, small",
    config={
        "model_type": "qwen3",
        "hidden_size": 384,
        "intermediate_size": 1_152,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 8_192,
        "tie_word_embeddings": True,
    },
)


@torch.no_grad()
def build(shape: Shape, folder: Path, device: Device, texts: Mapping[str, Sequence[str]]) -> Path:
    """Write the model to `folder`, with a tokenizer that is trained on `texts` by language."""
    new = New(config=dict(shape.config), vocabulary=shape.vocabulary)
    tokenizer: Any = train_tokenizer(texts, new, "decoder")
    special = {name: getattr(tokenizer, name) for name in ("eos_token_id", "pad_token_id")}
    config = new_config(new, **{"vocab_size": len(tokenizer)} | new.config | special)
    torch.manual_seed(0)
    form: Any = AutoModelForCausalLM
    with device.where:
        model = form.from_config(config, dtype=device.dtype)
    _mute(model.get_output_embeddings().weight, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _mute(head: torch.Tensor, tokenizer: Any) -> None:
    """Let only words win: an end, half a character or no token would break off or hide a reply.

    The others have a logit of 0, and among thousands of random ones the largest is above that.
    """
    texts = [tokenizer.decode([at], skip_special_tokens=True) for at in range(len(tokenizer))]
    words = [at for at, text in enumerate(texts) if text.strip().isalpha()]
    muted = torch.ones(len(head), dtype=torch.bool)
    muted[words] = False
    head[muted.to(head.device)] = 0
