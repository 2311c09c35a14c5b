"""Classifiers of a few thousand weights that have learnt a handful of words, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
)

from tests.workers.made_once import made_once

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@made_once
def build_sentiment(
    folder: Path, labels: Sequence[str] = ("negative", "neutral", "positive")
) -> Path:
    """Write a model that knows by one word each which label a text has."""
    words = {"awful": 0, "table": 1 % len(labels), "great": len(labels) - 1}
    return _build(folder, BertForSequenceClassification, labels, words)


@made_once
def build_entities(folder: Path, labels: Sequence[str] = ("O", "B-PER", "I-PER", "B-LOC")) -> Path:
    """Write a model that tags `ada` B-PER, `lovelace` I-PER, `london` B-LOC and the rest O."""
    words = {"is": 0, "ada": 1, "lovelace": 2, "london": 3}
    return _build(folder, BertForTokenClassification, labels, words)


def _build(folder: Path, form: Any, labels: Sequence[str], words: dict[str, int]) -> Path:
    tokenizer = _tokenizer(list(words))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = form(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            id2label=dict(enumerate(labels)),
            label2id={label: at for at, label in enumerate(labels)},
        )
    )
    _learn(model, tokenizer, words, by_token=form is BertForTokenClassification)
    model.save_pretrained(folder)
    return folder


def _tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    numbers = {word: at for at, word in enumerate([*_SPECIAL, *words])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="[UNK]"))
    model.normalizer = tokenizers.normalizers.Lowercase()
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # no stubs
        tokenizer_object=model,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=64,
    )


def _learn(model: Any, tokenizer: Any, words: dict[str, int], *, by_token: bool) -> None:
    # Where a word stands tells nothing.
    model.bert.embeddings.position_embeddings.weight.requires_grad_(False).zero_()
    known = {**words, "thing": 0}
    seconds = known if by_token else ["thing"]
    texts = [(one, other) for one in (known if by_token else words) for other in seconds]
    inputs = tokenizer([" ".join(text) for text in texts], return_tensors="pt")
    if by_token:
        # [CLS] and [SEP] stand around the two.
        rows = [[0, known[one], known[other], 0] for one, other in texts]
        labels = torch.tensor(rows)
    else:
        labels = torch.tensor([known[one] for one, _ in texts])
    steps = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        steps.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        steps.step()
