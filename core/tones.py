"""Recognises customers who are insulting, angry or in great need, by what they say.

A calm customer who is taken for an angry one waits for a person without need; an angry one who is
not recognised is answered by a bot that may have the answer. So the phrases are few, and plain.
"""

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from core.words import normal

_PHRASES = Path(__file__).with_name("tones.toml")


class Tone(StrEnum):
    """How a message sounds, the strongest first."""

    INSULT = "insult"
    URGENT = "urgent"
    NEGATIVE = "negative"
    CALM = "calm"


# Longer ones are stories: an angry word in them may be anybody's.
_LONGEST = 1_500
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"\S+")
# Of an alphabet; 急急急 is a word.
_DRAWN_OUT = re.compile(r"([^\W\d_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])\1{2,}")
# Vowel signs and the lengthener of Arabic, which are written or not; its letters in their forms.
_LOOSE_MARKS = re.compile(r"[\u0640\u064b-\u065f\u0670]")
_LOOSE_LETTERS = str.maketrans("أإآى", "اااي")
_SHOUTED_LETTERS = 12
_SHOUTED_WORDS = 3
_SHOUT = re.compile(r"[!！][!！?？]")
# A thumb beside words may be what they are about.
_ANGRY = re.compile(r"[😠😡🤬😤👿🖕]|\A\W*👎\W*\Z")


def tone(text: str) -> Tone:
    """How a message sounds by its words and faces, in any language that we know phrases of."""
    said = _said(text[:_LONGEST])
    said = _without_calm(said)
    for kind in (Tone.INSULT, Tone.URGENT, Tone.NEGATIVE):
        if _phrases(kind).first(said):
            return kind
    no_help = said and _phrases("no_help").first(said) == (0, len(said))
    return Tone.NEGATIVE if no_help or _shouts(text) or _ANGRY.search(text) else Tone.CALM


def _without_calm(said: str) -> str:
    """The words without what only looks like a tone: "not urgent"."""
    while found := _phrases("calm").first(said):
        said = f"{said[: found[0]]} {said[found[1] :]}"
    return said


def _said(text: str) -> str:
    """Letters, marks and digits in single-spaced words; "sooooo" is "so"."""
    folded = _LOOSE_MARKS.sub("", normal(text)).translate(_LOOSE_LETTERS)
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in folded)
    return " ".join(_DRAWN_OUT.sub(r"\1", kept).split())


def _shouts(text: str) -> bool:
    """Whether a whole sentence is in capitals and ends in more than one exclamation mark."""
    letters = [char for char in text if char.isupper() or char.islower()]
    return (
        len(letters) >= _SHOUTED_LETTERS
        and len(text.split()) >= _SHOUTED_WORDS
        and all(char.isupper() for char in letters)
        and bool(_SHOUT.search(text))
    )


@cache
def _languages() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(_PHRASES.read_text(encoding="utf-8"))
    return found


class _Phrases:
    """Finds any of many phrases, of which few begin with a word of the text."""

    def __init__(self, phrases: Sequence[str]) -> None:
        spaced = [phrase for phrase in phrases if not _UNSPACED.search(phrase)]
        unspaced = [phrase for phrase in phrases if _UNSPACED.search(phrase)]
        self._anywhere = _either(unspaced)
        by_word: defaultdict[str, list[str]] = defaultdict(list)
        for phrase in spaced:
            by_word[phrase.split()[0]].append(phrase)
        self._open = _either([p for word, some in by_word.items() if "*" in word for p in some])
        self._by_word = {word: _either(some) for word, some in by_word.items() if "*" not in word}

    def first(self, said: str) -> tuple[int, int] | None:
        """Where one of them stands; None if none does."""
        if _UNSPACED.search(said) and (found := self._anywhere.search(said)):
            return found.span()
        for word in _WORD.finditer(said):
            for pattern in (self._by_word.get(word[0]), self._open):
                if pattern is not None and (found := pattern.match(said, word.start())):
                    return found.span()
        return None


@cache
def _phrases(kind: str) -> _Phrases:
    """What finds the phrases of a kind, of every language."""
    written = ",".join(language.get(kind, "") for language in _languages().values())
    said = [(phrase.strip(), _said(phrase)) for phrase in written.split(",")]
    return _Phrases([words + "*" * raw.endswith("*") for raw, words in said if words])


def _either(phrases: Sequence[str]) -> re.Pattern[str]:
    """A pattern for any of the phrases up to the end of a word, the longest first."""
    longest_first = sorted(set(phrases), key=len, reverse=True)
    patterns = (re.escape(phrase).replace(r"\*", r"\S*") for phrase in longest_first)
    ended = (p if _UNSPACED.search(p) else rf"{p}(?!\S)" for p in patterns)
    return re.compile("|".join(ended) or r"(?!)")
