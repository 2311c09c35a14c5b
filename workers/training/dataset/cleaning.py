"""Cleans rows, masks personal data in them, and says why a row is not worth keeping."""

import html
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.adapters.detector import CombinedDetector
from core.language import count_letters, same_language
from core.redaction import mask, restore
from retrieval.hygiene import tidy
from retrieval.passages import size
from workers.training.dataset.examples import Example, Parallel, Question, Reply, Tokens
from workers.training.dataset.texts import asked, changed, is_whole, learnt, plain, spoken

_ELEMENT = re.compile(
    r"</?(?:a|abbr|b|big|br|center|code|div|em|font|h[1-6]|hr|i|img|kbd|li|ol|p|pre|s|small|span"
    r"|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|var)(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
# Square brackets are those of source marks.
_MARKUP = re.compile(r"[<>{}|\\~^`_=#*]")
# A translation has to keep what stands for a name or a number.
_PLACEHOLDER = re.compile(r"%?\{[\w.]{0,40}\}s?")
# A shorter text says too little about its language.
_LETTERS_TO_TELL = 30
_SURE = 0.9
_UNLIKELY = 0.05
# Lengths of short texts differ by chance.
_SLACK_WORDS = 4


class Reason(StrEnum):
    """Why a row was left out."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    MARKUP = "markup"
    LENGTH_RATIO = "length_ratio"
    UNTRANSLATED = "untranslated"
    WRONG_LANGUAGE = "wrong_language"
    LICENCE = "licence"
    LANGUAGE = "language_not_wanted"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    UNSAMPLED = "not_sampled"


class Cleaning(BaseModel):
    """How strict to be.

    `max_ratio` is how many times longer, in words, one side of a translation may be; `markup` the
    share of a text's characters that may be signs such as < or {.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_chars: Annotated[int, Field(ge=1)] = 8_000
    max_ratio: Annotated[float, Field(ge=1)] = 3.0
    markup: Annotated[float, Field(ge=0, le=1)] = 0.15
    languages: bool = True
    redact: bool = True


class Cleaner:
    """Cleans one row after the other."""

    def __init__(self, how: Cleaning) -> None:
        """Models of the language detector are loaded with the first row."""
        self._how = how
        self._detector = CombinedDetector()

    def clean(self, row: Example) -> Example | Reason:
        """The row as it is to be kept, or why it is not."""
        row = changed(row, _tidy)
        if not is_whole(row):
            return Reason.EMPTY
        fault = self._fault(row)
        if fault is not None:
            return fault
        return redacted(row) if self._how.redact else row

    def _fault(self, row: Example) -> Reason | None:
        texts = (asked(row), learnt(row))
        if sum(map(len, texts)) > self._how.max_chars:
            return Reason.TOO_LONG
        if any(_markup(text) > self._how.markup for text in texts):
            return Reason.MARKUP
        if isinstance(row, Parallel):
            fault = self._translation_fault(row)
            if fault is not None:
                return fault
        if self._how.languages and any(self._is_foreign(*one) for one in spoken(row)):
            return Reason.WRONG_LANGUAGE
        return None

    def _translation_fault(self, row: Parallel) -> Reason | None:
        short, long = sorted((size(row.text), size(row.target)))
        if long > self._how.max_ratio * (short + _SLACK_WORDS):
            return Reason.LENGTH_RATIO
        # A name or a word may be the same in both languages; a sentence hardly is.
        if short > 2 and plain(row.text) == plain(row.target):
            return Reason.UNTRANSLATED
        return None

    def _is_foreign(self, text: str, lang: str) -> bool:
        if count_letters(text) < _LETTERS_TO_TELL:
            return False
        guesses = self._detector.guess(text)
        own = sum(p for tag, p in guesses if same_language(tag, lang))
        return bool(guesses) and guesses[0][1] >= _SURE and own < _UNLIKELY


def redacted(row: Example) -> Example:
    """The row with personal data masked as the product masks it; one value has one mark.

    What stands in the passages is the company's own and stays, in the reply too. So does what is
    tagged word by word: it may be there to teach what personal data look like.
    """
    if isinstance(row, Tokens):
        return row
    if isinstance(row, Question):
        return row.model_copy(update={"query": mask(row.query).text})
    known: Mapping[str, str] = {}
    ours = "\n".join(one.text for one in row.passages) if isinstance(row, Reply) else ""

    def change(text: str) -> str:
        nonlocal known
        masked = mask(text, known)
        known = masked.replacements
        return restore(masked.text, {name: value for name, value in known.items() if value in ours})

    masked = changed(row, change)
    if isinstance(row, Reply):
        return masked.model_copy(update={"passages": row.passages})
    return masked


def _tidy(text: str) -> str:
    plain_text = html.unescape(text) if "&" in text else text
    if "<" in plain_text:
        plain_text = _ELEMENT.sub(" ", plain_text)
    return tidy(plain_text)


def _markup(text: str) -> float:
    return len(_MARKUP.findall(_PLACEHOLDER.sub("", text))) / max(1, len(text))
