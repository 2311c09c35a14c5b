"""Puts marks in the place of who is meant: names, order numbers, and what `core.redaction` finds.

Names have no shape. They are taken where people say them: in a greeting, at the end of a message,
after "my name is", before what shows respect, and wherever an agent's own name stands, or one that
its bearer has told.
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
_LETTERS = regex.compile(r"[\p{L}\p{M}]+")
_ENDS = r"(?=[ ]?(?:[,;!.:،！，。–—-]|$|\n))"
# Of a script without spaces a longer run is a clause.
_CHINESE, _JAPANESE, _KOREAN = (
    r"\p{Han}{1,3}", r"(?:\p{Han}{1,5}|[\p{Katakana}ー]{2,8})", r"\p{Hangul}{2,4}",
)  # fmt: skip
_SHORTEST = 3
"""Of so many letters a name, or a word of one, is masked wherever it stands."""

Spans = Iterator[tuple[int, int]]


class Public:
    """What stands in the articles, and so gives nobody away."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Take over the texts of the documents."""
        self._text = "\n".join(f"{one.title}\n{one.text}\n{one.source}" for one in documents)
        plain = facts.ascii_digits(self._text)
        self._words = frozenset(_LETTERS.findall(self._text.casefold()))
        self._codes = facts.codes(self._text) | frozenset(regex.findall(r"\d{5,20}", plain))

    def says(self, value: str) -> bool:
        """Whether an address or a number is the company's own."""
        return value in self._text

    def has_word(self, word: str) -> bool:
        """Whether a word stands there, in small letters or capitals."""
        return word.casefold() in self._words

    def has_code(self, code: str) -> bool:
        """Whether a code or a long number is nobody's order."""
        return code.casefold() in self._codes


class Masker:
    """Masks the texts of one conversation; one value has one mark in all of them."""

    def __init__(self, *, staff: Iterable[str], public: Public) -> None:
        """`staff` are the names of agents."""
        self._people = frozenset(staff)
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
        told, likely = list(_matches(text, _told())), list(_matches(text, _likely()))
        self._hear(told, likely)
        others = _matches(text, (*_vague(), *_wherever(self._people)))
        yield from (found.span("name") for found in (*told, *likely, *others))

    def _hear(self, told: Iterable[regex.Match[str]], likely: Iterable[regex.Match[str]]) -> None:
        """From here on a name is masked wherever it stands, in small letters only if it was then.

        "will" and "rose" are no names as a rule. What is only likely one may be a product's: words
        that stand in the articles stay.
        """
        heard = {word for found in told for word in _parts(found["name"])}
        maybe = {word for found in likely for word in _parts(found["name"])}
        heard |= {word for word in maybe if not self._public.has_word(word)}
        self._people |= {form for word in heard for form in (word, word.title(), word.upper())}

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
        """The mark of a value; a word of a name has that of the name."""
        number = 1 + sum(f"⟦{kind}_" in mark for mark in set(self._marks.values()))
        mark = self._marks.setdefault(value.casefold(), f"⟦{kind}_{number}⟧")
        for word in _parts(value) if kind == _NAME else ():
            self._marks.setdefault(word.casefold(), mark)
        return mark


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


def _wherever(names: frozenset[str]) -> tuple[regex.Pattern[str], ...]:
    """What finds names wherever they stand, whole and word by word."""
    wanted = {part for name in names for part in (name.strip(), *_parts(name))}
    found = _either(name for name in wanted if len(name) >= _SHORTEST)
    run = rf"(?<!\w)(?P<name>(?:{found})(?:[ ](?:{found}))*)(?!\w)"
    return (regex.compile(run),) if found else ()


def _parts(name: str) -> list[str]:
    return [word for word in name.split() if len(word) >= _SHORTEST]


def _matches(text: str, patterns: Iterable[regex.Pattern[str]]) -> Iterator[regex.Match[str]]:
    """Where names are found, without what stands in a name's place."""
    titles = _phrases()["title"]["all"]
    for pattern in patterns:
        for found in pattern.finditer(text):
            name = found["name"].casefold()
            if not _is_nobody(name) and name not in titles:
                yield found


def _is_nobody(name: str) -> bool:
    nobody = _phrases()["nobody"]
    first = _LETTERS.match(name)
    known = first is not None and first[0] in nobody["word"]
    return known or name.startswith(tuple(nobody["beginning"]))


@cache
def _phrases() -> Mapping[str, Mapping[str, list[str]]]:
    found: Mapping[str, Mapping[str, list[str]]] = tomllib.loads(
        _PHRASES.read_text(encoding="utf-8")
    )
    return found


@cache
def _told() -> tuple[regex.Pattern[str], ...]:
    """Where people tell their names."""
    return _compiled(_behind(_phrases()["own"]))


@cache
def _likely() -> tuple[regex.Pattern[str], ...]:
    """Where something stands that is a name as a rule."""
    greeting, title, closing = (_all(name) for name in ("greeting", "title", "closing"))
    patterns = [
        _in_small_letters(),
        *_behind(_phrases()["perhaps_own"]),
        rf"^\W{{0,3}}(?i:{greeting})[ ,]{{1,2}}(?:(?i:{title})\.?[ ])?{_WHOLE}{_ENDS}",
        rf"(?<!\w)(?i:{title})\.?[ ](?P<name>\p{{Lu}}[\p{{L}}'’-]+(?:[ ]\p{{Lu}}[\p{{L}}'’-]+)?)",
        rf"^\W{{0,3}}(?i:{closing})[ ]?[,.!،，]?[ ]?\n+\W{{0,3}}{_WHOLE}\W{{0,3}}\Z",
        rf"(?:^|[.!?][ ])(?i:{closing}),[ ]{_WHOLE}\W{{0,3}}\Z",
        rf"(?<!\p{{Han}})(?P<name>{_CHINESE})(?:{_either(_phrases()['honorific']['zh'])})",
        rf"(?<![\p{{Han}}\p{{Katakana}}])(?P<name>{_JAPANESE})"
        rf"(?:{_either(_phrases()['honorific']['ja'])})",
        rf"(?<!\p{{Hangul}})(?P<name>{_KOREAN})(?:{_either(_phrases()['honorific']['ko'])})"
        r"(?!\p{Hangul}{2})",
    ]
    return _compiled(patterns)


@cache
def _vague() -> tuple[regex.Pattern[str], ...]:
    """Where a sentence may begin as well."""
    greeting = _all("greeting")
    return _compiled([rf"^\W{{0,3}}(?i:{greeting})[ ,]{{1,2}}(?P<name>\p{{Lu}}\p{{Ll}}+)(?=[ ])"])


def _behind(own: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Behind words, by language, or around what "~" stands for."""
    yield (
        rf"(?<!\w)(?:{_each(own, '[ :은是は]{0,2}')})"
        rf"(?P<name>{_WORD}(?:[ ]\p{{Lu}}[\p{{L}}'’-]+){{0,2}})"
    )
    for word in (word for words in own.values() for word in words if "~" in word):
        yield word.replace("~", r"(?P<name>[^\s。、,]{1,12}?)")


def _in_small_letters() -> str:
    """One word or two, behind what is said of nothing but a name."""
    word = r"[\p{L}\p{M}'’-]{2,}"
    return (
        rf"(?<!\w)(?:{_each(_phrases()['own'], '[ :]{1,2}')})"
        rf"(?=\p{{Ll}})(?P<name>{word}(?:[ ]{_no(_all('after_own'))}{word})?)"
    )


def _each(own: Mapping[str, Sequence[str]], apart: str) -> str:
    """What introduces a name, and parts them, in any language; nothing else may stand behind it."""
    after = _phrases()["after_own"]
    return "|".join(
        rf"(?i:{before}){apart}{_no(_either(after.get(language, ())))}"
        for language, words in own.items()
        if (before := _either(word for word in words if "~" not in word))
    )


def _no(words: str) -> str:
    """Where none of the words stands."""
    return rf"(?!(?:{words})(?![\p{{L}}\p{{M}}'’-]))" if words else ""


def _compiled(patterns: Iterable[str]) -> tuple[regex.Pattern[str], ...]:
    return tuple(regex.compile(pattern, regex.MULTILINE | regex.VERSION1) for pattern in patterns)


def _all(name: str) -> str:
    return _either(word for words in _phrases()[name].values() for word in words)


def _either(words: Iterable[str]) -> str:
    """A pattern for any of them, the longest first; empty for none."""
    return "|".join(sorted(map(regex.escape, set(words)), key=len, reverse=True))
