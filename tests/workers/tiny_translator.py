"""Translators of the architectures that people use, with a few thousand weights, for tests."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import sentencepiece
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
    NllbTokenizer,
)

from tests.workers.made_once import made_once


class Pair(NamedTuple):
    """A sentence and its translation, with ISO 639-1 codes."""

    source: str
    target: str
    text: str
    translated: str


PAIRS = (
    Pair("en", "de", "good morning", "guten morgen"),
    Pair("en", "fr", "good morning", "bonjour"),
    Pair("de", "en", "guten morgen", "good morning"),
)
_SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 66,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "decoder_start_token_id": 2,
    "num_beams": 1,
}


@made_once
def build_m2m100(folder: Path) -> Path:
    """Write an M2M100 that knows PAIRS by heart."""
    spm = folder / "sentencepiece.bpe.model"
    texts = [text for pair in PAIRS for text in (pair.text, pair.translated)]
    with spm.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=file, vocab_size=20, minloglevel=2
        )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    known = [pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())]
    vocab = folder / "vocab.json"
    words = ["<s>", "<pad>", "</s>", "<unk>", *known]
    vocab.write_text(json.dumps({word: at for at, word in enumerate(words)}))
    tokenizer = M2M100Tokenizer(str(vocab), str(spm))
    model = M2M100ForConditionalGeneration(M2M100Config(**_config(tokenizer)))
    return _save(folder, tokenizer, model, {"en": "en", "de": "de", "fr": "fr"})


@made_once
def build_nllb(folder: Path) -> Path:
    """Write an NLLB, which is an M2M100 with another tokenizer, that knows PAIRS by heart."""
    tokenizer = NllbTokenizer(vocab={word: at for at, word in enumerate(_letters())}, merges=[])
    model = M2M100ForConditionalGeneration(M2M100Config(**_config(tokenizer)))
    return _save(folder, tokenizer, model, {"en": "eng_Latn", "de": "deu_Latn", "fr": "fra_Latn"})


@made_once
def build_mbart50(folder: Path) -> Path:
    """Write an mBART-50 that knows PAIRS by heart."""
    # As sentencepiece writes it: <unk>, <s> and </s> come first, the tokenizer puts in the rest.
    pieces = ["<unk>", "<s>", "</s>", *_letters()[4:]]
    tokenizer = MBart50Tokenizer(vocab=[(piece, -1.0) for piece in pieces])
    model = MBartForConditionalGeneration(MBartConfig(**_config(tokenizer)))
    return _save(folder, tokenizer, model, {"en": "en_XX", "de": "de_DE", "fr": "fr_XX"})


@made_once
def build_mbart25(folder: Path) -> Path:
    """Write the first mBART, whose decoder starts with the language, that knows PAIRS by heart."""
    codes = {"en": "en_XX", "de": "de_DE", "fr": "fr_XX"}
    pieces = [*_letters(), *codes.values(), "<mask>"]
    tokenizer = MBartTokenizer(vocab=[(piece, -1.0) for piece in pieces])
    model = MBartForConditionalGeneration(MBartConfig(**_config(tokenizer)))
    return _save(folder, tokenizer, model, codes)


def _letters() -> list[str]:
    letters = {letter for pair in PAIRS for letter in pair.text + pair.translated} - {" "}
    return ["<s>", "<pad>", "</s>", "<unk>", "▁", *sorted(letters)]


def _config(tokenizer: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    # M2M100 does not count its languages as tokens.
    languages = getattr(tokenizer, "lang_code_to_id", {"": 0})
    size = max(len(tokenizer), *(number + 1 for number in languages.values()))
    return {**_SIZES, "vocab_size": size, "pad_token_id": tokenizer.pad_token_id}


def _save(folder: Path, tokenizer: Any, model: Any, codes: dict[str, str]) -> Path:
    _learn(model, tokenizer, codes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _learn(model: Any, tokenizer: Any, codes: dict[str, str]) -> None:
    batches = []
    for pair in PAIRS:
        tokenizer.src_lang, tokenizer.tgt_lang = codes[pair.source], codes[pair.target]
        batches.append(tokenizer(pair.text, text_target=pair.translated, return_tensors="pt"))
    steps = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        steps.zero_grad()
        losses = [model(**batch).loss for batch in batches]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]  # no stubs
        steps.step()
