"""Recognises the few messages that need no article: a call for a person, a greeting, thanks.

A question that is taken for a greeting is lost on the customer; a greeting that is searched for
merely costs a search. So a message is a greeting or thanks only if it is nothing else. A call for
a person may stand in a longer sentence: words of calling with a word for a person close by.
"""

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from core.words import normal

_PHRASES = Path(__file__).with_name("wishes.toml")


class Wish(StrEnum):
    """What a message wants, where its words alone tell."""

    PERSON = "person"
    GREETING = "greeting"
    # "Ciao": a greeting or a goodbye.
    HAIL = "hail"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    # "ok", "got it", "no": an answer was read, and nothing is asked.
    AGREED = "agreed"
    YES = "yes"
    # A thumb or a heart, without a word.
    PLEASED = "pleased"
    # "Are you a robot?"
    WHO = "who"
    NOTHING = "nothing"


# A message with words of two kinds is of the first: "ok, thank you", "hello, thanks".
_COURTESIES = {
    "no_bot": Wish.PERSON,
    "who": Wish.WHO,
    "thanks": Wish.THANKS,
    "greetings": Wish.GREETING,
    "hails": Wish.HAIL,
    "goodbyes": Wish.GOODBYE,
    "agreed": Wish.AGREED,
    "yes": Wish.YES,
    "around": None,
}
_ANY = frozenset({"any"})
_PLACES = {"first": 1, "second": 2, "third": 3}
_NUMBERED = re.compile(
    r"(?:第|(?:no|nr|n|number|nummer|numero|номер|رقم|नंबर)\.? ?)?(\d)[\ufe0f\u20e3]*"
    r" ?(?:番目?|つ目|個目?|个|번째?)?"
)
_PLEASED = re.compile("[👍👌👏🙏🤝💪❤♥🧡💛💚💙💜🤍🤎🖤💕💖☺😀😃😄😁😊🙂🤗😍🥰😘]")
_LONGEST_COURTESY = 150
_LONGEST_CALL = 200
_CLAUSE_END = re.compile(r"([.,!?;:\n…。！？，、；：،؛؟।]+)")
# Scripts that put no space between words; Korean does.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
# Accents that people leave out, and Arabic and Indic signs that are written or not.
_LOOSE_MARKS = re.compile(r"[\u0300-\u036f\u0640\u064b-\u065f\u0670\u093c]")
_LOOSE_LETTERS = str.maketrans("ıłđى", "ildي")
# The caller does not want it, or speaks of somebody else's people.
_NOT = """
not, don t, dont, never, without, instead, my, another, nicht, ohne, statt, meinem, meiner, meinen,
anderen, anderer, pas, sans, autre, mon, no, sin, otra, otro, não, sem, outra, outro, non, senza,
altra, altro, niet, zonder, mijn, andere, не, без, моим, моей, другим, другому, моїм, моєю, іншій,
nie, bez, moim, innej, innemu, không, tidak, bukan, tanpa, lain, لا, بدون, آخر, नहीं, दूसरे, dusre,
dusri, doosre
"""
# Somebody else's people, between the call and the word for a person.
_OTHERS = """
carrier, carrier s, courier, courier s, delivery, shipping, postal, customs, bank, insurance,
estate, travel, seller s, dhl, ups, fedex, dpd, gls, hermes, usps, zoll
"""
_NOT_SIGNS = frozenset("不别別没沒勿")


def _folded(text: str) -> str:
    """Small letters without the marks that people leave out."""
    bare = _LOOSE_MARKS.sub("", unicodedata.normalize("NFD", normal(text)))
    return unicodedata.normalize("NFC", bare).translate(_LOOSE_LETTERS)


def _spelling(text: str) -> str:
    """Letters, marks and digits in single-spaced words; "hellooo" is "hello"."""
    folded = _folded(text)
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in folded)
    return " ".join(re.sub(r"([^\W\d_])\1{2,}", r"\1", kept).split())


def _phrases(lines: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in lines.split(",") if phrase.strip()]


@cache
def _languages() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(_PHRASES.read_text(encoding="utf-8"))
    return found


# Courtesies


@cache
def _courtesies() -> Mapping[str, Wish | None]:
    """What each phrase is of itself; where two languages differ, the weightier counts."""
    return _kinds(*_languages().values())


@cache
def _own_courtesies(language: str) -> Mapping[str, Wish | None]:
    """The same for what is said in one language: "tak" is Polish for yes, Danish for thanks."""
    return _kinds(_languages().get(language, {}))


def _kinds(*languages: Mapping[str, str]) -> Mapping[str, Wish | None]:
    found: dict[str, Wish | None] = {}
    for key, wish_ in reversed(_COURTESIES.items()):
        for language in languages:
            found |= {_spelling(phrase): wish_ for phrase in _phrases(language.get(key, ""))}
    return found


@cache
def _spoken() -> Mapping[str, frozenset[str]]:
    """The languages that each phrase is said in; what stands around others may be anything."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for tag, language in _languages().items():
        for key in ("greetings", "hails", "thanks", "agreed"):
            for phrase in _phrases(language.get(key, "")):
                found[_spelling(phrase)].add(tag)
    greeted = frozenset(found)
    for tag, language in _languages().items():
        # Who comes with "ciao" is Italian; many others leave with it.
        for phrase in map(_spelling, _phrases(language.get("goodbyes", ""))):
            if phrase not in greeted:
                found[phrase].add(tag)
    return {phrase: frozenset(tags) for phrase, tags in found.items()}


@cache
def _longest_phrase() -> int:
    return max(map(len, _courtesies()))


def _parts(said: str) -> tuple[str, ...]:
    """The courtesies that a message consists of; none if it holds anything else."""
    found: list[str] = []
    rest = said if len(said) <= _LONGEST_COURTESY else ""
    while rest:
        phrase = _first_courtesy(rest)
        if not phrase:
            return ()
        found.append(phrase)
        rest = rest[len(phrase) :].lstrip()
    return tuple(found)


def _courteous(said: str, language: str = "") -> Wish | None:
    """What a message is that consists of courtesies alone."""
    known, own = _courtesies(), _own_courtesies(language if language in _languages() else "")
    kinds = {own[phrase] if phrase in own else known[phrase] for phrase in _parts(said)}
    return next((kind for kind in _COURTESIES.values() if kind in kinds), None)


def is_courtesy(text: str) -> bool:
    """Whether a message has no word but courtesies and what may stand around them."""
    said = _spelling(text)
    return bool(_parts(said)) or not any(map(str.isalnum, said))


def begins_with_thanks(text: str) -> bool:
    """Whether a message begins with thanks, whatever follows: "thanks my friend"."""
    return _courtesies().get(_first_courtesy(_spelling(text))) is Wish.THANKS


def courtesy_languages(text: str) -> tuple[str, ...]:
    """The languages that a message of courtesies may be in; none where it does not tell.

    A detector takes "hola" for Catalan, but tells the two ways to write Chinese.
    """
    parts = [_spoken().get(phrase, _ANY) for phrase in _parts(_spelling(text))]
    telling = [tags for tags in parts if not tags & _ANY]
    common = frozenset.intersection(*telling) if telling else frozenset()
    return () if common & {"others", "zh"} else tuple(sorted(common))


def _first_courtesy(said: str) -> str:
    """The longest courtesy that a text begins with; empty if there is none."""
    for end in range(min(len(said), _longest_phrase()), 0, -1):
        if said[:end] in _courtesies() and _ends_word(said, end):
            return said[:end]
    return ""


def _ends_word(said: str, end: int) -> bool:
    return said[end : end + 1] in ("", " ") or bool(_UNSPACED.match(said, end - 1))


@cache
def _places() -> Mapping[str, int]:
    return {
        _spelling(phrase): place
        for language in _languages().values()
        for key, place in _PLACES.items()
        for phrase in _phrases(language.get(key, ""))
    }


def place_named(text: str) -> int:
    """The place in a list that a message names, as "2" or "the second one" does; 0 if none."""
    # With its other signs: "-1" and "2 €" are none.
    number = _NUMBERED.fullmatch(_folded(text).strip(" #().!。"))
    return unicodedata.digit(number[1]) if number else _places().get(_spelling(text), 0)


def without_courtesies(text: str) -> str:
    """A question without the "Hello," before it and the ". Thank you!" behind it."""
    parts = _CLAUSE_END.split(text)
    clauses = [said + end for said, end in zip(parts[::2], [*parts[1::2], ""], strict=True)]
    while clauses and (not _spelling(clauses[0]) or _courteous(_spelling(clauses[0]))):
        del clauses[0]
    while clauses and (not _spelling(clauses[-1]) or _courteous(_spelling(clauses[-1]))):
        del clauses[-1]
    return "".join(clauses).strip(" ,;:，、；：،؛") or text


# Calls for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calls:
    """How one language calls for a person; a text with none of the `signs` cannot be a call."""

    signs: tuple[str, ...]
    anywhere: tuple[re.Pattern[str], ...]
    alone: re.Pattern[str]


@cache
def _calls() -> tuple[_Calls, ...]:
    return tuple(_calls_in(language) for language in _languages().values() if "person" in language)


def _calls_in(language: Mapping[str, str]) -> _Calls:
    words = language["person"]
    unspaced = bool(_UNSPACED.search(words))
    prefix = f"(?:{_either(language['prefix'])})?" if "prefix" in language else ""
    person = prefix + _either(words)
    gap = ".{0,3}?" if unspaced else r" (?:\S+ ){0,3}?"
    found = []
    if "calls" in language:
        found.append(_either(language["calls"], language.get("soft", "")) + gap + person)
    if "after" in language:
        found.append(person + gap + _either(language["after"]))
    if "whole" in language:
        found.append(_either(language["whole"]))
    space = " ?" if unspaced else "(?: |$)"
    beside = f"(?:{_either(language['alone'])}{space})*"
    return _Calls(
        signs=tuple(_sign(phrase) for phrase in _phrases(words + "," + language.get("whole", ""))),
        anywhere=tuple(
            re.compile(one if unspaced else rf"(?<!\S)(?:{one})(?!\S)") for one in found
        ),
        alone=re.compile(f"{beside}{person}{space}{beside}"),
    )


def _either(phrases: str, soft: str = "") -> str:
    """A pattern for any of the phrases, the longest first."""
    longest_first = sorted(_phrases(phrases), key=len, reverse=True)
    patterns = "|".join(map(_folded, longest_first)).replace("*", r"\S*")
    between = f"(?: (?:{_either(soft)}))*" if soft else ""
    return "(?:" + patterns.replace(" ~", between) + ")"


def _sign(phrase: str) -> str:
    """Letters without which a phrase is not there."""
    return re.split(r"[*(]", _folded(phrase))[0].strip()


@cache
def _any_of(listed: str) -> re.Pattern[str]:
    words = "|".join(_spelling(word) for word in _phrases(listed))
    return re.compile(rf"(?<!\S)(?:{words})(?!\S)")


def _wants_person(text: str) -> bool:
    """Whether a call stands in a clause, or across clauses; the former tells "no" from "no,"."""
    said = _spelling(text)
    likely = [calls for calls in _calls() if any(sign in said for sign in calls.signs)]
    if not likely or len(said) > _LONGEST_CALL:
        return False
    bare = _spelling(without_courtesies(text))
    if any(calls.alone.fullmatch(bare) for calls in likely):
        return True
    parts = [said, *map(_spelling, _CLAUSE_END.split(text))]
    return any(
        not _denied(part[: match.start()], match[0])
        for calls in likely
        for pattern in calls.anywhere
        for part in parts
        for match in pattern.finditer(part)
    )


def _denied(before: str, call: str) -> bool:
    """Whether a call is one that the customer does not make."""
    near = " ".join([*before.split()[-3:], call])
    denied = _any_of(_NOT).search(near) or _any_of(_OTHERS).search(call)
    return bool(denied or set(before[-2:]) & _NOT_SIGNS)


def wish(text: str, language: str = "") -> Wish | None:
    """What the words of a message want by themselves; None if it must be read as a question.

    A phrase means what it does in the language of the conversation, if it is known there.
    """
    said = _spelling(text)
    if not any(char.isalnum() for char in said):
        return Wish.PLEASED if _PLEASED.search(text) else Wish.NOTHING
    spoken = language.partition("-")[0]
    return _courteous(said, spoken) or (Wish.PERSON if _wants_person(text) else None)
