"""Keeps to the letter what a translation must not change, and judges what came back.

What has to survive (links, codes, amounts, names of the glossary, …) is taken out of a text before
it is translated; a mark such as ⟦1⟧ stands in its place, which models copy. Afterwards each mark
must be there once, and is replaced by what it stood for.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core import facts, redaction
from core.language import count_letters, same_language
from core.sentences import split
from core.words import normal


class Fault(StrEnum):
    """Why a text goes out as it was written."""

    # There is nothing that translates.
    NO_TRANSLATOR = "no_translator"
    # It does not know one of the two languages.
    PAIR = "pair"
    UNAVAILABLE = "unavailable"
    # A number, link, code or term did not survive.
    CHANGED = "changed"
    # It came back in another language than the one asked for.
    LANGUAGE = "language"
    REFUSED = "refused"
    ECHO = "echo"
    LENGTH = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A text in the language that was asked for."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Untranslated:
    """The reader gets the original, and is told."""

    fault: Fault


Translation = Translated | Untranslated


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word with a fixed translation by language; without any it stays as it is."""

    term: str
    translations: Mapping[str, str] = field(default_factory=dict)


class Guard(StrEnum):
    """How much of a text is hidden behind marks."""

    # Whole numbers stay: "2 ⟦1⟧" lets a model choose the plural. They are compared afterwards.
    MOST = "most"
    ALL = "all"
    # Nothing but fixed terms, for models that lose marks; everything is compared afterwards.
    LEAST = "least"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """A text with marks; the mark of number n stands for `kept[n - 1]`.

    `bare` is what must be in the translation as often as in the text, without a mark.
    """

    text: str
    kept: tuple[str, ...]
    brackets: str
    bare: Counter[str] = field(default_factory=Counter)


BRACKETS = "⟦⟧"
# What sentence models have in their vocabulary.
PLAIN_BRACKETS = "[]"
MAX_CHARS = 800
"""Of a piece that is translated in one go; small models lose the thread in longer ones."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_MARKUP = re.compile(
    r"<[@#!][^<>\s][^<>\n]*>"  # Slack's way to name people, channels and groups
    r"|<(?:https?|mailto|tel):[^<>\n]+>"
    r"|⟦[^⟦⟧\n]{1,64}⟧"  # a mark of `core.redaction`
    r"|\{\{[^{}\n]{1,64}\}\}|\{[A-Za-z_][A-Za-z0-9_.]{0,63}\}|%\([a-z_]+\)[sd]|%[sd](?![A-Za-z])"
    r"|:[a-z0-9_+-]*[a-z][a-z0-9_+-]*:(?!\d)"  # an emoji by name
)
_EMOJI = re.compile(
    "(?:[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
    "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*\u200d?)+"
)
_DIGITS = re.compile(r"\d+")
# Words for numbers and months that another language writes in digits: 三月, March, 3月.
_SMALL = 12
_CHATTER = re.compile(
    r"\A(?:sure\W+|certainly\W+|of course\W+)?"
    r"(?:here(?:['’]s| is) (?:the|your|a) translat[^:\n]{0,60}"
    r"|(?:the )?translation(?: (?:in|to|into) [^:\n]{1,30})?):\s*",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial|language model)\b|\blanguage model\b"
    r"|\b(?:cannot|can['’]?t|can not|unable to|not able to) (?:assist|translate|fulfil|comply)"
    r"|\Ano answer\W*\Z",
    re.IGNORECASE,
)
_QUOTES = {"“": "”", "„": "“", "«": "»", "「": "」", '"': '"', "'": "'"}
_ENOUGH_LETTERS = 25
_SURE_OF_ANOTHER = 0.7
_ECHO_LETTERS = 12
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


# Before


def protect(
    text: str,
    *,
    source: str,
    target: str,
    terms: Sequence[Term] = (),
    guard: Guard = Guard.MOST,
    brackets: str = BRACKETS,
) -> Protected:
    """Put marks in the place of what must survive."""
    spans = _fixed(text, source, target, terms)
    free = [True] * len(text)
    for start, end in spans:
        free[start:end] = [False] * (end - start)
    bare: Counter[str] = Counter()
    for found in _literal(text, brackets, guard):
        for start, end in _free(text, found, free):
            if guard is Guard.LEAST and not _mark(brackets).fullmatch(text, start, end):
                bare[text[start:end]] += 1
            else:
                spans[start, end] = text[start:end]
    parts, kept, at = [], [], 0
    for (start, end), value in sorted(spans.items()):
        kept.append(value)
        parts += [text[at:start], f"{brackets[0]}{len(kept)}{brackets[1]}"]
        at = end
    masked = "".join([*parts, text[at:]])
    if guard is Guard.MOST:
        bare += Counter(_DIGITS.findall(_mark(brackets).sub(" ", masked)))
    return Protected(text=masked, kept=tuple(kept), brackets=brackets, bare=bare)


def pieces(text: str, limit: int = MAX_CHARS) -> list[tuple[str, str]]:
    """The text in whole sentences of at most about `limit` characters, with the gap behind each.

    Joined they are the text; a piece may be empty where a text begins with white space.
    """
    found = [("", text[: len(text) - len(text.lstrip())])] if text[:1].isspace() else []
    piece = ""
    for sentence in split(text.lstrip()):
        if piece and len(piece) + len(sentence) > limit:
            found.append(_cut(piece))
            piece = ""
        piece += sentence
    return [*found, _cut(piece)] if piece else found


def _cut(piece: str) -> tuple[str, str]:
    bare = piece.rstrip()
    return bare, piece[len(bare) :]


def speaks(text: str, protected: Protected) -> bool:
    """Whether there is anything to translate in a piece: not in a link, an emoji or a number."""
    return any(char.isalpha() for char in unmarked(text, protected))


def unmarked(text: str, protected: Protected) -> str:
    """The text without its marks."""
    return _mark(protected.brackets).sub(" ", text)


def _literal(text: str, brackets: str, guard: Guard) -> Iterator[tuple[int, int]]:
    """What must survive as it is, the weightier first."""
    yield from (found.span() for found in _CODE.finditer(text))
    # What looks like a mark of ours and is none.
    yield from (found.span() for found in _mark(brackets).finditer(text))
    yield from (found.span() for found in _MARKUP.finditer(text))
    yield from ((span.start, span.end) for span in redaction.find(text))
    yield from facts.literals(text, plain_numbers=guard is not Guard.MOST)
    yield from (found.span() for found in _EMOJI.finditer(text))


def _free(text: str, span: tuple[int, int], free: list[bool]) -> list[tuple[int, int]]:
    """The parts of a span that nothing else has taken, which are taken now."""
    found, start = [], span[0]
    for at in range(span[0], span[1] + 1):
        if at < span[1] and free[at]:
            free[at] = False
            continue
        part = text[start:at]
        left, right = len(part) - len(part.lstrip()), len(part.rstrip())
        if right > left:
            found.append((start + left, start + right))
        start = at + 1
    return found


def _fixed(
    text: str, source: str, target: str, terms: Sequence[Term]
) -> dict[tuple[int, int], str]:
    """Where terms of the glossary stand, longer ones first, and what is to stand there."""
    found: dict[tuple[int, int], str] = {}
    wanted = [(_form(term, source) or term.term, term) for term in terms]
    for form, term in sorted(wanted, key=lambda pair: -len(pair[0])):
        fixed = _form(term, target)
        if not form.strip() or (term.translations and fixed is None):
            continue
        for match in _word(form).finditer(text):
            start, end = match.span()
            if not any(start < other_end and other < end for other, other_end in found):
                found[start, end] = match[0] if fixed is None else fixed
    return found


def _form(term: Term, language: str) -> str | None:
    """How a term is said in a language, if the glossary tells."""
    exact = term.translations.get(language)
    return exact or next(
        (text for tag, text in term.translations.items() if same_language(tag, language)), None
    )


def _word(form: str) -> re.Pattern[str]:
    """A whole word in any case; in scripts without spaces a word stands anywhere."""
    escaped = re.escape(form)
    if _UNSPACED.search(form):
        return re.compile(escaped)
    return re.compile(rf"(?<!\w){escaped}(?!\w)", re.IGNORECASE)


def _mark(brackets: str) -> re.Pattern[str]:
    start, end = map(re.escape, brackets)
    return re.compile(rf"{start}\s*(\d{{1,6}})\s*{end}")


# After


def restore(text: str, protected: Protected) -> str | None:
    """The text with what its marks stand for; None unless each mark is there exactly once."""
    mark = _mark(protected.brackets)
    numbers = [int(found[1]) for found in mark.finditer(text)]
    if sorted(numbers) != list(range(1, len(protected.kept) + 1)):
        return None
    return mark.sub(lambda found: protected.kept[int(found[1]) - 1], text)


def tidy(written: str, original: str) -> str:
    """What a model wrote, without an introduction of its own and quotation marks around all."""
    if not _CHATTER.match(original):
        written = _CHATTER.sub("", written.strip())
    written = written.strip()
    closing = _QUOTES.get(written[:1])
    if closing and len(written) > 1 and written.endswith(closing) and written[0] != original[:1]:
        inner = written[1:-1]
        written = inner.strip() if closing not in inner and written[0] not in inner else written
    return written


def fault_of(
    written: str,
    protected: Protected,
    original: str,
    guesses: Sequence[tuple[str, float]],
    *,
    target: str,
) -> Fault | None:
    """What is wrong with a translation that still has its marks; None if it may go out.

    `guesses` are the languages that it may be in, with their probabilities.
    """
    restored = restore(written, protected)
    if restored is None or not _bare_kept(written, protected):
        return Fault.CHANGED
    if facts.links(restored) - facts.links(original) - facts.links("\n".join(protected.kept)):
        return Fault.CHANGED
    if facts.addresses(restored) - facts.addresses(original):
        return Fault.CHANGED
    if _REFUSAL.search(restored) and not _REFUSAL.search(original):
        return Fault.REFUSED
    if not _sane_length(written, protected.text):
        return Fault.LENGTH
    if normal(written) == normal(protected.text) and _is_sentence(protected):
        return Fault.ECHO
    return None if _in_language(restored, guesses, target) else Fault.LANGUAGE


def _bare_kept(written: str, protected: Protected) -> bool:
    """Whether what stood without a mark is there, and no number of the model's own."""
    text = unmarked(written, protected)
    if any(text.count(value) < count for value, count in protected.bare.items()):
        return False
    known = Counter(_DIGITS.findall(" ".join(protected.bare.elements())))
    new = Counter(_DIGITS.findall(text)) - known
    return all(int(number) <= _SMALL for number in new)


def _sane_length(written: str, text: str) -> bool:
    """Whether two languages may differ that much; wide signs say as much as two letters."""
    one, other = _width(written), _width(text)
    empty = bool(text.strip()) and not written.strip()
    return not empty and one <= 4 * other + 40 and other <= 4 * one + 40


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _is_sentence(protected: Protected) -> bool:
    """Whether a text is no mere name or "OK", which may be the same in both languages."""
    text = unmarked(protected.text, protected)
    return count_letters(text) >= _ECHO_LETTERS and (len(text.split()) > 2 or not text.isascii())


def _in_language(text: str, guesses: Sequence[tuple[str, float]], target: str) -> bool:
    """Whether a text long enough to tell is not surely in another language."""
    if count_letters(text) < _ENOUGH_LETTERS or not guesses:
        return True
    tag, chance = guesses[0]
    return chance < _SURE_OF_ANOTHER or same_language(tag, target)
