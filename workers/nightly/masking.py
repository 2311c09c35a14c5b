"""Puts marks in the place of who is meant: names, order numbers, and what `core.redaction` finds.

Names have no shape. They are taken where people say them: in a greeting, at the end of a message,
after "my name is", before what shows respect, and wherever an agent's own name stands.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import regex

from core import facts, redaction
from core.adapters.documents import Document

_PHRASES = Path(__file__).with_name("names.toml")
_NAME, _ORDER = "NAME", "ORDER"
_MARK = regex.compile(r"⟦([A-Z]+)_[0-9]+⟧")
_NAME_MARK = regex.compile(rf"⟦{_NAME}_[0-9]+⟧")
_ORDER_DIGITS = regex.compile(r"(?<![\w.,+-])\d{5,20}(?![\w-]|[.,:/]\d)")
# Scripts with capitals write names with them; in the others a sign or a space ends one.
_WORD = r"(?:\p{Lu}[\p{L}\p{M}'’-]+|\p{Lo}[\p{L}\p{M}]+)"
_WHOLE = rf"(?P<name>{_WORD}(?:[ ](?:{_WORD}|\p{{Lu}}\.)){{0,2}})"
_ENDS = r"(?=[ ]?(?:[,;!.:،！，。–—-]|$|\n))"
# Of a script without spaces a longer run is a clause.
_CHINESE, _JAPANESE, _KOREAN = (
    r"\p{Han}{1,3}", r"(?:\p{Han}{1,5}|[\p{Katakana}ー]{2,8})", r"\p{Hangul}{2,4}",
)  # fmt: skip
_SHORTEST_AGENT = 3

Spans = Iterator[tuple[int, int]]


class Public:
    """What stands in the articles, and so gives nobody away."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Take over the texts of the documents."""
        self._text = "\n".join(f"{one.title}\n{one.text}\n{one.source}" for one in documents)
        plain = facts.ascii_digits(self._text)
        self._codes = facts.codes(self._text) | frozenset(regex.findall(r"\d{5,20}", plain))

    def says(self, value: str) -> bool:
        """Whether an address or a number is the company's own."""
        return value in self._text

    def has_code(self, code: str) -> bool:
        """Whether a code or a long number is nobody's order."""
        return code.casefold() in self._codes


class Masker:
    """Masks the texts of one conversation; one value has one mark in all of them."""

    def __init__(self, *, staff: Iterable[str], public: Public) -> None:
        """`staff` are the names of agents."""
        self._patterns = (*_cues(), *_staff(frozenset(staff)))
        self._public = public
        self._known: Mapping[str, str] = {}
        self._marks: dict[str, str] = {}

    def mask(self, text: str) -> str:
        """The text with a mark for each thing that says who is meant."""
        masked = redaction.mask(text, self._known)
        self._known = masked.replacements
        ours = {mark: value for mark, value in self._known.items() if self._public.says(value)}
        plain = redaction.restore(masked.text, ours)
        named = self._replaced(plain, self._names(plain), _NAME)
        return self._replaced(named, self._orders(named), _ORDER)

    def _names(self, text: str) -> Spans:
        for pattern in self._patterns:
            for found in pattern.finditer(text):
                name = found["name"].casefold()
                if not name.startswith(_nobody()) and name not in _phrases()["title"]["all"]:
                    yield found.span("name")

    def _orders(self, text: str) -> Spans:
        ascii_text = facts.ascii_digits(text)
        plain = ascii_text if len(ascii_text) == len(text) else text
        taken = [(number.start, number.end) for number in facts.numbers(plain) if number.unit]
        taken += [found.span() for found in _MARK.finditer(text)]
        spans = [found.span() for found in _ORDER_DIGITS.finditer(plain)]
        spans += [one for one in facts.literals(plain) if facts.codes(plain[slice(*one)])]
        for start, end in spans:
            apart = all(end <= other or start >= other_end for other, other_end in taken)
            value = text[start:end]
            if apart and not self._public.has_code(value) and not facts.links(value):
                yield start, end

    def _replaced(self, text: str, spans: Spans, kind: str) -> str:
        parts, at = [], 0
        for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
            if start < at:
                continue
            parts += [text[at:start], self._mark(text[start:end], kind)]
            at = end
        return "".join([*parts, text[at:]])

    def _mark(self, value: str, kind: str) -> str:
        number = 1 + sum(f"⟦{kind}_" in mark for mark in self._marks.values())
        return self._marks.setdefault(value.casefold(), f"⟦{kind}_{number}⟧")


def marks(text: str) -> frozenset[str]:
    """The marks that stand in a masked text."""
    return frozenset(found[0] for found in _MARK.finditer(text))


def without_names(reply: str) -> str:
    """A masked reply without whom it greets and who signed it; other names stay as marks."""
    signed = [line for line in reply.split("\n") if not _NAME_MARK.fullmatch(line.strip(" -–—,.~"))]
    if not signed:
        return ""
    greeted, closed = _greeted()
    signed[0] = greeted.sub(r"\1", signed[0])
    signed[-1] = closed.sub(r"\1", signed[-1])
    return "\n".join(signed).strip(" \n,")


@cache
def _greeted() -> tuple[regex.Pattern[str], regex.Pattern[str]]:
    """Whom a first line greets, and who signs in a last one, behind what is kept."""
    respect = "|".join(_either(words) for words in _phrases()["honorific"].values())
    title = rf"(?:(?<!\w)(?i:{_all('title')})\.?\s)?"
    mark = _NAME_MARK.pattern
    greeted = rf"^(\W{{0,3}}(?i:{_all('greeting')})?)[\s,]*{title}{mark}(?:(?:{respect})[、，,]?)?"
    closed = rf"((?:^|[.!?。！？]\s?)\W{{0,3}}(?i:{_all('closing')})?)[,\s–—-]*{mark}\W*$"
    return regex.compile(greeted, regex.VERSION1), regex.compile(closed, regex.VERSION1)


def _staff(names: frozenset[str]) -> tuple[regex.Pattern[str], ...]:
    """The agents' names, whole and word by word."""
    wanted = {part for name in names for part in (name.strip(), *name.split())}
    found = _either(name for name in wanted if len(name) >= _SHORTEST_AGENT)
    return (regex.compile(rf"(?<!\w)(?P<name>{found})(?!\w)"),) if found else ()


@cache
def _nobody() -> tuple[str, ...]:
    return tuple(word for words in _phrases()["nobody"].values() for word in words)


@cache
def _phrases() -> Mapping[str, Mapping[str, list[str]]]:
    found: Mapping[str, Mapping[str, list[str]]] = tomllib.loads(
        _PHRASES.read_text(encoding="utf-8")
    )
    return found


@cache
def _cues() -> tuple[regex.Pattern[str], ...]:
    greeting, title, closing = (_all(name) for name in ("greeting", "title", "closing"))
    own = [word for words in _phrases()["own"].values() for word in words]
    before = _either(word for word in own if "~" not in word)
    patterns = [
        rf"^\W{{0,3}}(?i:{greeting})[ ,]{{1,2}}(?:(?i:{title})\.?[ ])?{_WHOLE}{_ENDS}",
        rf"^\W{{0,3}}(?i:{greeting})[ ,]{{1,2}}(?P<name>\p{{Lu}}\p{{Ll}}+)(?=[ ])",
        rf"(?<!\w)(?i:{title})\.?[ ](?P<name>\p{{Lu}}[\p{{L}}'’-]+(?:[ ]\p{{Lu}}[\p{{L}}'’-]+)?)",
        rf"(?<!\w)(?i:{before})[ :은是は]{{0,2}}"
        rf"(?P<name>{_WORD}(?:[ ]\p{{Lu}}[\p{{L}}'’-]+){{0,2}})",
        rf"^\W{{0,3}}(?i:{closing})[ ]?[,.!،，]?[ ]?\n+\W{{0,3}}{_WHOLE}\W{{0,3}}\Z",
        rf"(?:^|[.!?][ ])(?i:{closing}),[ ]{_WHOLE}\W{{0,3}}\Z",
        *(word.replace("~", r"(?P<name>[^\s。、,]{1,12}?)") for word in own if "~" in word),
        rf"(?<!\p{{Han}})(?P<name>{_CHINESE})(?:{_either(_phrases()['honorific']['zh'])})",
        rf"(?<![\p{{Han}}\p{{Katakana}}])(?P<name>{_JAPANESE})"
        rf"(?:{_either(_phrases()['honorific']['ja'])})",
        rf"(?<!\p{{Hangul}})(?P<name>{_KOREAN})(?:{_either(_phrases()['honorific']['ko'])})"
        r"(?!\p{Hangul}{2})",
    ]
    return tuple(regex.compile(pattern, regex.MULTILINE | regex.VERSION1) for pattern in patterns)


def _all(name: str) -> str:
    return _either(word for words in _phrases()[name].values() for word in words)


def _either(words: Iterable[str]) -> str:
    """A pattern for any of them, the longest first; empty for none."""
    return "|".join(sorted(map(regex.escape, set(words)), key=len, reverse=True))
