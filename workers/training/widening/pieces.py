"""A vocabulary of word pieces that reads more languages, and the old one as before."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from core.errors import Rejected
from workers.training.tokenizer import balanced, bert_like

Counts = NDArray[np.int64]

_BATCH = 10_000
# A language without spaces has no short words.
_MAX_WORD = 200
# A piece that the old language has use for must be far more frequent elsewhere: the longest piece
# that fits is taken, so that each new one may cut old words otherwise.
_FAR_MORE = 50
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Characters a vocabulary begins with; Chinese and Japanese alone need thousands.
_ALPHABET = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A tokenizer; the first `known` of its pieces are the base's, with their numbers there."""

    tokenizer: Tokenizer
    known: tuple[int, ...]

    def __len__(self) -> int:
        """How many pieces there are."""
        return self.tokenizer.get_vocab_size()


def widened(
    base: Tokenizer,
    english: Sequence[str],
    foreign: Mapping[str, Sequence[str]],
    *,
    size: int,
    temperature: float,
) -> Pieces:
    """The base's pieces that `english` needs, with those of other languages up to `size`.

    Raises: Rejected: the base has another kind of tokenizer, or there is too little text.
    """
    if json.loads(base.to_str())["model"]["type"] != "WordPiece":
        raise Rejected("base: only an encoder with a WordPiece tokenizer can be widened")
    base.no_truncation()
    base.no_padding()
    needed = counts(base, english)
    trained = _trained(foreign, size, temperature)
    fresh = set(trained)
    known = [
        (number, piece)
        for piece, number in sorted(base.get_vocab().items(), key=lambda entry: entry[1])
        if needed[number] or piece in _SPECIAL or piece in fresh or _is_latin(piece)
    ]
    names = [piece for _, piece in known]
    have = set(names)
    vocabulary = [*names, *(piece for piece in trained if piece not in have)]
    texts = [text for found in foreign.values() for text in found]
    tokenizer = _pruned(base, vocabulary, len(names), english, texts, size)
    return Pieces(tokenizer=tokenizer, known=tuple(number for number, _ in known))


def counts(tokenizer: Tokenizer, texts: Sequence[str]) -> Counts:
    """How often each piece stands in the texts, by number."""
    total = np.zeros(max(tokenizer.get_vocab().values()) + 1, np.int64)
    for ids in encoded(tokenizer, texts):
        total += np.bincount(ids, minlength=len(total))
    return total


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[NDArray[np.int64]]:
    """The numbers of the pieces of each text, without marks; several texts at a time."""
    for at in range(0, len(texts), _BATCH):
        found = tokenizer.encode_batch_fast(list(texts[at : at + _BATCH]), add_special_tokens=False)
        for encoding in found:
            yield np.asarray(encoding.ids, np.int64)


def _trained(foreign: Mapping[str, Sequence[str]], size: int, temperature: float) -> Sequence[str]:
    """Pieces of the other languages, the most frequent first; more than there is place for."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=3,
        special_tokens=list(_SPECIAL),
        limit_alphabet=_ALPHABET,
        show_progress=False,
    )
    tokenizer.train_from_iterator(balanced(foreign, temperature), trainer)
    return [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda it: it[1])]


def _normalizer() -> normalizers.Normalizer:
    """Accents stay: in Hindi and Thai they are vowels, in Vietnamese they tell words apart."""
    bert = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True
    )
    return normalizers.Sequence([normalizers.NFKC(), bert])


def _pruned(
    base: Tokenizer,
    vocabulary: list[str],
    known: int,
    english: Sequence[str],
    foreign: Sequence[str],
    size: int,
) -> Tokenizer:
    """The tokenizer of so many pieces, without new ones that English texts have use for."""
    tokenizer = _with(base, vocabulary)
    here, there = counts(tokenizer, english), counts(tokenizer, foreign)
    short = [at for at in range(known, len(vocabulary)) if _characters(vocabulary[at]) == 1]
    long = (at for at in range(known, len(vocabulary)) if _characters(vocabulary[at]) > 1)
    useful = sorted(
        (at for at in long if there[at] > _FAR_MORE * here[at]), key=lambda at: (-there[at], at)
    )
    room = size - known - len(short)
    if room < 0 or len(useful) < room:
        raise Rejected(
            f"vocabulary: the texts yield between {known + len(short)} and"
            f" {known + len(short) + len(useful)} pieces, not {size}"
        )
    kept = sorted([*short, *useful[:room]])
    return _with(base, [*vocabulary[:known], *(vocabulary[at] for at in kept)])


def _with(base: Tokenizer, vocabulary: Sequence[str]) -> Tokenizer:
    """The base's tokenizer with other pieces, and with accents kept."""
    content: dict[str, Any] = json.loads(base.to_str())
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    content["model"]["vocab"] = numbers
    content["model"]["max_input_chars_per_word"] = _MAX_WORD
    for token in content["added_tokens"]:
        token["id"] = numbers[token["content"]]
    # Made anew: it holds numbers of marks.
    content["truncation"] = content["padding"] = content["post_processor"] = None
    changed = Tokenizer.from_str(json.dumps(content))
    changed.normalizer = _normalizer()
    changed.post_processor = bert_like(changed)
    return changed


def _is_latin(piece: str) -> bool:
    return piece.isascii() and piece.isprintable() and not piece.startswith("[unused")


def _characters(piece: str) -> int:
    return len(piece.removeprefix("##"))
