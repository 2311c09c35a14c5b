"""Models that people know, of a few thousand random weights: their own classes and templates."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import (
    Cohere2Config,
    Cohere2ForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    CohereTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

_SIZES: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4_096,
}
# Each byte is a token, so that any text can be read.
_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
_COHERE: tuple[str, ...] = (
    "<BOS_TOKEN>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
)


def build_qwen3(folder: Path) -> Path:
    """Write a Qwen3, whose template lets it think before it answers."""
    special = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
    tokenizer = Qwen2Tokenizer(
        vocab=_numbered("<|endoftext|>", *special, *_BYTES),
        merges=[],
        eos_token="<|im_end|>",
        extra_special_tokens=list(special),
    )
    config = Qwen3Config(**_SIZES, **_special(tokenizer), head_dim=8, tie_word_embeddings=True)
    return _write(folder, tokenizer, Qwen3ForCausalLM(config), "qwen3")


def build_gemma3(folder: Path) -> Path:
    """Write a Gemma 3 for text, whose template puts the system's words before the customer's."""
    special = ("<start_of_turn>", "<end_of_turn>")
    signs = [f"<0x{number:02X}>" for number in range(256)]
    tokenizer = GemmaTokenizer(
        vocab=_numbered("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *special, "▁", *signs),
        merges=[],
        extra_special_tokens=list(special),
    )
    config = Gemma3TextConfig(**_SIZES, **_special(tokenizer), head_dim=8, sliding_window=64)
    return _write(folder, tokenizer, Gemma3ForCausalLM(config), "gemma3")


def build_aya(folder: Path) -> Path:
    """Write a Cohere, which Aya Expanse is."""
    config = CohereConfig(**_SIZES, **_special(tokenizer := _cohere_tokenizer()))
    return _write(folder, tokenizer, CohereForCausalLM(config), "cohere")


def build_cohere2(folder: Path) -> Path:
    """Write a Cohere 2, which the younger models named Aya are."""
    config = Cohere2Config(**_SIZES, **_special(tokenizer := _cohere_tokenizer()))
    return _write(folder, tokenizer, Cohere2ForCausalLM(config), "cohere2")


def build_e5(folder: Path) -> Path:
    """Write a multilingual-e5 as it comes: mean pooling, and no word of its prompts."""
    return _write_encoder(folder, {"pooling_mode_mean_tokens": True})


def build_bge_m3(folder: Path) -> Path:
    """Write a bge-m3, whose vector is that of the first token."""
    return _write_encoder(folder, {"pooling_mode_cls_token": True})


def _cohere_tokenizer() -> Any:
    return CohereTokenizer(
        vocab=_numbered("<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>", *_COHERE, *_BYTES),
        merges=[],
        extra_special_tokens=list(_COHERE),
    )


def _numbered(*tokens: str) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def _special(tokenizer: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {"vocab_size": len(tokenizer)} | {name: getattr(tokenizer, name) for name in names}


def _write(folder: Path, tokenizer: Any, model: Any, template: str) -> Path:
    tokenizer.chat_template = (files("trl") / "chat_templates" / f"{template}.jinja").read_text()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def _write_encoder(folder: Path, pooling: Mapping[str, bool]) -> Path:
    """The files of a sentence-transformers folder as they lie on the hub."""
    letters = "abcdefghijklmnopqrstuvwxyz:?'"
    pieces: Sequence[str] = ("<s>", "<pad>", "</s>", "<unk>", "▁", *letters, "<mask>")
    tokenizer = XLMRobertaTokenizer(vocab=[(piece, 0.0) for piece in pieces])
    tokenizer.model_max_length = 62
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {**_SIZES, "max_position_embeddings": 64, "type_vocab_size": 1}
    del sizes["num_key_value_heads"]
    config = XLMRobertaConfig(**sizes, vocab_size=len(tokenizer), pad_token_id=1)
    XLMRobertaModel(config).save_pretrained(folder)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    _json(
        folder / "modules.json",
        [
            {
                "idx": at,
                "name": str(at),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for at, (path, kind) in enumerate(modules)
        ],
    )
    _json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32, **pooling})
    _json(folder / "sentence_bert_config.json", {"max_seq_length": 62, "do_lower_case": False})
    _json(folder / "config_sentence_transformers.json", {"__version__": {"pytorch": "1"}})
    (folder / "2_Normalize").mkdir()
    return folder


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
