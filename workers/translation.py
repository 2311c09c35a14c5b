"""Translates by a sequence-to-sequence model: M2M100, NLLB, mBART, or T5 with a prefix."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from babel import Locale

from core.errors import Misconfigured, Rejected, Unavailable
from core.language import normalise_tag, same_language
from core.sentences import split
from workers.loading import LazyModel, max_tokens

_CODE = re.compile(r"__([a-z]{2,3})__|([a-z]{2,3}_[A-Z][A-Za-z]+)")
# Of the codes of one of our languages the one to take, if no other was asked for: standard
# Arabic, the Persian of Iran; else the Latin script.
_FIRST = ("arb_Arab", "pes_Arab")
# Codes of a model's own making.
_MEANT = {"ns": "nso"}
_UNSPACED = ("zh", "zh-Hant", "ja")
_MAX_NEW_TOKENS = 256
# Architectures whose languages are words before the text.
_PREFIXED = ("t5", "mt5", "umt5")


class SequenceTranslator:
    """A model that was trained on sentences, so that texts are translated one by one."""

    def __init__(self, model: str | Path) -> None:
        """Take a folder or hub id.

        Raises: Misconfigured: there is no such model, or it is not safe to load.
        """
        self._model = LazyModel(model, "AutoModelForSeq2SeqLM")

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    async def warm(self) -> None:
        """Load the model before anybody waits for it.

        Raises: Misconfigured: it cannot be loaded.
        """
        await self._model.run(lambda model, tokenizer, batch: batch, [""], len)

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
        """The texts in another language; what stands between their sentences is kept.

        Raises:
            Misconfigured: the model cannot be loaded, or knows no languages.
            Rejected: it does not know one of these two.
            Unavailable: there is no memory left for it.
        """
        pieces = [split(text) for text in texts]
        sentences = [piece.strip() for text in pieces for piece in text]
        work = partial(translate_sentences, source=source, target=target)
        try:
            written = iter(await self._model.run(work, sentences, len))
        except RuntimeError as error:
            raise Unavailable("translator", str(error).partition("\n")[0][:200]) from error
        return [
            "".join(next(written) + _gap(piece, target) for piece in text).strip()
            for text in pieces
        ]


def _gap(sentence: str, target: str) -> str:
    """What follows on a sentence: its line breaks, or what separates sentences in a language."""
    gap = sentence[len(sentence.rstrip()) :]
    if "\n" in gap:
        return gap
    return "" if any(same_language(target, tag) for tag in _UNSPACED) else " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How a model is told what to translate into: by words before the text, or when it writes."""

    prefix: str = ""
    start: Mapping[str, int] = field(default_factory=dict)


def direct(model: Any, tokenizer: Any, *, source: str, target: str) -> Direction:
    """Set the tokenizer to two languages, for texts and for `text_target`.

    Raises:
        Rejected: the model does not know one of them.
        Misconfigured: it is no translator of many languages.
    """
    if model.config.model_type in _PREFIXED:
        return Direction(prefix=f"translate {_name(source)} to {_name(target)}: ")
    codes = language_codes(tokenizer)
    tokenizer.src_lang = code_of(source, codes)
    tokenizer.tgt_lang = code_of(target, codes)
    # mBART-25 wrote the language first of all, all others after a mark of their own.
    start = "decoder_start_token_id" if _is_mbart25(tokenizer) else "forced_bos_token_id"
    return Direction(start={start: codes[tokenizer.tgt_lang]})


def translate_sentences(
    model: Any, tokenizer: Any, sentences: list[str], *, source: str, target: str
) -> list[str]:
    """One batch.

    Raises: Rejected, Misconfigured: as `direct` does.
    """
    direction = direct(model, tokenizer, source=source, target=target)
    limit = max_tokens(model, tokenizer)
    inputs = tokenizer(
        [direction.prefix + sentence for sentence in sentences],
        padding=True,
        truncation=True,
        max_length=limit,
        return_tensors="pt",
    ).to(model.device)
    # Else transformers warns that this length and ours are both set.
    model.generation_config.max_length = None
    written = model.generate(
        **inputs, **direction.start, max_new_tokens=min(_MAX_NEW_TOKENS, limit)
    )
    # Not every tokenizer counts its languages among the special tokens.
    languages = frozenset(direction.start.values())
    kept = [[token for token in row if token not in languages] for row in written.tolist()]
    return [text.strip() for text in tokenizer.batch_decode(kept, skip_special_tokens=True)]


def language_codes(tokenizer: Any) -> dict[str, int]:
    """The number of each language code, as the tokenizer wants to be told its source language.

    Raises: Misconfigured: it knows none.
    """
    known: dict[str, int] = dict(getattr(tokenizer, "lang_code_to_id", {}))
    for token, number in tokenizer.get_added_vocab().items():
        if found := _CODE.fullmatch(token):
            known.setdefault(found[1] or found[2], number)
    if not known or not hasattr(tokenizer, "src_lang"):
        raise Misconfigured(
            f"{tokenizer.name_or_path}: its tokenizer names no languages; a translator must be"
            " M2M100, NLLB, mBART or T5"
        )
    return known


def code_of(language: str, codes: Sequence[str] | dict[str, int]) -> str:
    """A model's code for an ISO 639-1, 639-3 or BCP 47 one.

    Regions are left out where the model does not know them.
    Raises: Rejected: it does not know the language.
    """
    ranked = sorted(codes, key=_preference)
    for code in ranked:
        if language == code or code.startswith(f"{language}_"):
            return code
    by_tag: dict[str, str] = {}
    for code in ranked:
        tag = normalise_tag(_MEANT.get(code, code))
        by_tag.setdefault(tag, code)
        by_tag.setdefault(tag.partition("-")[0], code)
    wanted = normalise_tag(language)
    for tag in (wanted, wanted.partition("-")[0]):
        if tag in by_tag:
            return by_tag[tag]
    raise Rejected(f"the translator does not know the language {language}")


def _name(language: str) -> str:
    """In English, as in T5's own training texts; the code of a language without a name."""
    first = normalise_tag(language).partition("-")[0]
    return str(Locale("en").languages.get(first, language))


def _is_mbart25(tokenizer: Any) -> bool:
    return type(tokenizer).__name__ == "MBartTokenizer"


def _preference(code: str) -> tuple[bool, bool, bool, str]:
    traditional = normalise_tag(code) == "zh-Hant"
    return traditional, code not in _FIRST, not code.endswith("_Latn"), code
