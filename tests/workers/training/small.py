"""Datasets of a few rows and encoders of a few thousand random weights, for training tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from workers.training.dataset.examples import Example
from workers.training.dataset.folder import (
    Dataset,
    Manifest,
    Part,
    open_dataset,
    write_manifest,
    write_part,
)

ABOUT: Mapping[str, Any] = {"group": "g", "source": "ours", "licence": "CC0-1.0"}
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NORMALIZER = normalizers.BertNormalizer()
_PRE_TOKENIZER = pre_tokenizers.BertPreTokenizer()
# Longer words are two pieces.
_PIECE_CHARS = 4


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def write_dataset(folder: Path, train: Iterable[Example], dev: Iterable[Example]) -> Dataset:
    """A dataset whose test part is its dev part."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {Part.TRAIN: list(train), Part.DEV: list(dev)}
    rows[Part.TEST] = rows[Part.DEV]
    files = {part: write_part(folder, part, rows[part]) for part in Part}
    write_manifest(folder, Manifest(created="2026-01-31", seed=1, files=files))
    return open_dataset(folder)


def _pieces(texts: Iterable[str]) -> dict[str, int]:
    """A vocabulary for these texts; the library's own trainer breaks ties by chance."""
    words = {
        word
        for text in texts
        for word, _ in _PRE_TOKENIZER.pre_tokenize_str(_NORMALIZER.normalize_str(text))
    }
    letters = {letter for word in words for letter in word}
    pieces = letters | {f"##{letter}" for letter in letters}
    pieces |= {word[:_PIECE_CHARS] for word in words}
    pieces |= {f"##{word[_PIECE_CHARS:]}" for word in words if len(word) > _PIECE_CHARS}
    return {piece: number for number, piece in enumerate([*_SPECIAL, *sorted(pieces)])}


def build_encoder(
    folder: Path, texts: Iterable[str], architecture: str = "bert", **sizes: object
) -> Path:
    """Write a transformer encoder of random weights with a WordPiece tokenizer of `texts`."""
    tokenizer = Tokenizer(models.WordPiece(_pieces(texts), unk_token="[UNK]"))
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = _PRE_TOKENIZER
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # no stubs
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture,
        **{
            "vocab_size": len(wrapped),
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 40,
            "pad_token_id": wrapped.pad_token_id,
            # Far from nothing, so that few steps tell texts apart.
            "initializer_range": 0.3,
            **sizes,
        },
    )
    model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]  # no stubs
    model.save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder
