"""Drops the tokens that a corpus never needs, with their rows of the embedding.

Text like the corpus is cut into the same tokens as before. Other text still can be read, in
smaller pieces: the characters that a tokenizer falls back on are kept.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from core.errors import Rejected

# They say the same as tokenizer.json, and would now be wrong.
_OTHERS = ("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json", "*.model", "*.bpe")
_BATCH = 1024
Content = dict[str, Any]


def prune(folder: Path, model: PreTrainedModel, texts: Iterable[str]) -> Mapping[int, int]:
    """Rewrite the tokenizer in `folder` and cut the model's embeddings to fit.

    Returns: the new number of each token that is kept.
    Raises: Rejected: a tokenizer or model of this kind cannot be pruned.
    """
    if model.config.is_encoder_decoder:
        raise Rejected(f"corpus: a {model.config.model_type} model cannot be pruned")
    path = folder / "tokenizer.json"
    if not path.exists():
        raise Rejected(f"{folder}: has no tokenizer.json, so its vocabulary cannot be pruned")
    content = json.loads(path.read_text(encoding="utf-8"))
    texts = list(texts)
    before = Tokenizer.from_file(str(path))
    kept = _needed(content, _used(before, texts))
    numbers = {old: new for new, old in enumerate(sorted(kept))}
    _renumber(content, numbers)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    _check(before, Tokenizer.from_file(str(path)), numbers, texts)
    _rewrite_settings(folder, numbers)
    _cut(model, numbers)
    return numbers


def _used(tokenizer: Tokenizer, texts: list[str]) -> set[int]:
    used: set[int] = set()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for at in range(0, len(texts), _BATCH):
        for encoding in tokenizer.encode_batch_fast(texts[at : at + _BATCH]):
            used.update(encoding.ids)
    return used


def _needed(content: Content, used: set[int]) -> set[int]:
    """Also what tokens are merged from, what any text falls back on, and special tokens."""
    model = content["model"]
    vocabulary = _vocabulary(model)
    special = {token["id"] for token in content["added_tokens"]}
    fallback = {number for token, number in vocabulary.items() if _is_fallback(token)}
    needed = used | special | fallback
    if model["type"] == "Unigram":
        needed.add(model["unk_id"] or 0)
    elif model.get("unk_token") in vocabulary:
        needed.add(vocabulary[model["unk_token"]])
    if model["type"] == "BPE":
        needed |= _parts(vocabulary, model["merges"], needed)
    return needed


def _vocabulary(model: Content) -> dict[str, int]:
    match model["type"]:
        case "BPE" | "WordPiece" | "WordLevel":
            vocabulary: dict[str, int] = model["vocab"]
            return vocabulary
        case "Unigram":
            return {token: number for number, (token, _) in enumerate(model["vocab"])}
        case other:
            raise Rejected(f"corpus: a tokenizer of type {other} cannot be pruned")


def _is_fallback(token: str) -> bool:
    """Single characters, those within a word (##x), and bytes (<0x0A>)."""
    return len(token.removeprefix("##")) == 1 or (len(token) == 6 and token.startswith("<0x"))


def _parts(vocabulary: Mapping[str, int], merges: list[Any], needed: set[int]) -> set[int]:
    """All tokens on the way to the needed ones."""
    ways: dict[int, list[tuple[int, int]]] = {}
    for left, right in map(_pair, merges):
        ways.setdefault(vocabulary[left + right], []).append((vocabulary[left], vocabulary[right]))
    found: set[int] = set()
    open_ = list(needed)
    while open_:
        for pair in ways.get(open_.pop(), ()):
            fresh = set(pair) - found
            found |= fresh
            open_.extend(fresh)
    return found


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _renumber(content: Content, numbers: Mapping[int, int]) -> None:
    model = content["model"]
    if model["type"] == "Unigram":
        # Its tokens are numbered by their places; special ones may stand behind them.
        model["vocab"] = [entry for at, entry in enumerate(model["vocab"]) if at in numbers]
        model["unk_id"] = None if model["unk_id"] is None else numbers[model["unk_id"]]
    else:
        vocabulary = model["vocab"]
        kept = {token: numbers[old] for token, old in vocabulary.items() if old in numbers}
        if model["type"] == "BPE":
            model["merges"] = [
                merge
                for merge in model["merges"]
                if all(part in kept for part in (*_pair(merge), "".join(_pair(merge))))
            ]
        model["vocab"] = dict(sorted(kept.items(), key=lambda entry: entry[1]))
    for token in content["added_tokens"]:
        token["id"] = numbers[token["id"]]
    _renumber_marks(content.get("post_processor") or {}, numbers)


def _renumber_marks(processor: Content, numbers: Mapping[int, int]) -> None:
    """The special tokens that a tokenizer puts around a text."""
    for nested in processor.get("processors", ()):
        _renumber_marks(nested, numbers)
    marks = processor.get("special_tokens")
    for mark in marks.values() if isinstance(marks, dict) else ():
        mark["ids"] = [numbers[old] for old in mark["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            token, old = processor[name]
            processor[name] = [token, numbers[old]]


def _check(
    before: Tokenizer, after: Tokenizer, numbers: Mapping[int, int], texts: list[str]
) -> None:
    after.no_truncation()
    after.no_padding()
    for at in range(0, len(texts), _BATCH):
        batch = texts[at : at + _BATCH]
        pairs = zip(before.encode_batch_fast(batch), after.encode_batch_fast(batch), strict=True)
        if any([numbers[old] for old in one.ids] != other.ids for one, other in pairs):
            raise Rejected("corpus: this tokenizer cuts some of it otherwise once it is pruned")


def _rewrite_settings(folder: Path, numbers: Mapping[int, int]) -> None:
    for pattern in _OTHERS:
        for path in folder.glob(pattern):
            path.unlink()
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    added = settings.get("added_tokens_decoder")
    if added:
        settings["added_tokens_decoder"] = {
            str(numbers[int(old)]): token for old, token in added.items() if int(old) in numbers
        }
        path.write_text(json.dumps(settings, ensure_ascii=False, indent=2), encoding="utf-8")


def _cut(model: PreTrainedModel, numbers: Mapping[int, int]) -> None:
    """Keep the rows of the tokens that are left, in and out, and renumber the special ones."""
    embedding: Any = model.get_input_embeddings()
    size = embedding.num_embeddings
    rows = torch.tensor([old for old in sorted(numbers) if old < size])
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            vocabulary = isinstance(module, nn.Embedding) and module is not embedding
            if weight.shape[:1] == (size,) and not vocabulary:
                setattr(module, name, nn.Parameter(weight.detach()[rows]))
        if isinstance(module, nn.Linear) and module.out_features == size:
            module.out_features = len(rows)
    embedding.num_embeddings = len(rows)
    if embedding.padding_idx is not None:
        embedding.padding_idx = numbers[embedding.padding_idx]
    model.tie_weights()
    for config in (model.config.get_text_config(), getattr(model, "generation_config", None)):
        if config is not None:
            _renumber_ids(config, numbers)
    model.config.get_text_config().vocab_size = len(rows)


def _renumber_ids(config: Any, numbers: Mapping[int, int]) -> None:
    for name, old in list(vars(config).items()):
        if name.endswith("_token_id"):
            if isinstance(old, int):
                setattr(config, name, numbers.get(old))
            elif isinstance(old, list):
                setattr(config, name, [numbers[one] for one in old if one in numbers])
