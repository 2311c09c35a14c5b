"""Holds each sentence of a generated reply against the passages that it was written from."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core import facts
from core.language import same_language
from core.sentences import split
from core.turn import Passage
from core.words import content, normal, same_word, share_found, words

_MIN_SHARE = 0.6
_NEAR_CHARS = 24
_JOINERS = "\u200c\u200d"
# Scripts whose spelling needs the zero-width joiners: Arabic to Thaana, then the Indic ones.
_JOINED_SCRIPTS = (("\u0600", "\u08ff"), ("\u0900", "\u0dff"))
_CLAUSE = re.compile(r"[,;:，、；：،؛]|\s[–—-]\s")
_NEGATIONS_TEXT = """
    not no never cannot without none nor nicht kein keine keinen keiner keinem keines nie niemals
    ohne ne pas jamais sans aucun aucune ni nunca jamás sin ningún ninguna ninguno não sem nenhum
    nenhuma jamais non mai senza nessun nessuna niet geen nooit zonder не нет никогда без нельзя ні
    немає ніколи nie nigdy bez değil yok hayır asla không chưa đừng tidak bukan jangan tanpa belum
    لا ليس ليست لم لن غير بدون دون नहीं मत बिना न
"""
_NEGATIONS = frozenset(_NEGATIONS_TEXT.split())
_NEGATION_PARTS = re.compile(
    r"n['’]t\b|[不没沒无無未别別勿]|ない|ません|ず、|않|없|못|안\s|maz\b|mez\b"
)


class Fault(StrEnum):
    """What is wrong with a sentence."""

    EMPTY = "empty"
    GARBAGE = "garbage"
    LINK = "link"
    ADDRESS = "address"
    CODE = "code"
    NUMBER = "number"
    NAME = "name"
    POLARITY = "polarity"
    CLAIM = "claim"
    FOREIGN = "foreign"


# A sentence without support may be left out of a reply. These faults condemn the whole of it.
FATAL = frozenset(Fault) - {Fault.EMPTY, Fault.CLAIM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a sentence may be said; `passages` are those that support it."""

    fault: Fault | None
    passages: tuple[Passage, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing is wrong with the sentence."""
        return self.fault is None


def visible(text: str) -> str:
    """`text` in NFC without controls, direction overrides, tags and other invisible characters."""
    text = unicodedata.normalize("NFC", text)
    return "".join(char for i, char in enumerate(text) if _shows(text, i, char)).strip()


def _shows(text: str, at: int, char: str) -> bool:
    if char in _JOINERS:
        before = text[at - 1] if at else ""
        return any(first <= before <= last for first, last in _JOINED_SCRIPTS)
    if unicodedata.category(char) in ("Cf", "Cc", "Co", "Cs", "Cn"):
        return char in "\n\t"
    if char == "\ufe0f":  # makes an emoji of a symbol
        return at > 0 and unicodedata.category(text[at - 1]) == "So"
    return not ("\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef")


def supported(
    sentence: str,
    passages: Sequence[Passage],
    question: str,
    *,
    language: str,
    claim_holds: bool = False,
) -> Verdict:
    """Judge one sentence, without its source marks, against the passages that it cites.

    `question` may supply names, and nothing else: a customer cannot put a number or a link into
    our mouth. Words are compared only with passages in `language`; for others `claim_holds` says
    that the caller has another ground to believe the claim.
    """
    fault = _form_fault(sentence) or _fact_fault(sentence, passages, question, language)
    if fault:
        return Verdict(fault=fault)
    readable = [passage for passage in passages if same_language(passage.language, language)]
    if not readable:
        return Verdict(fault=None if claim_holds else Fault.FOREIGN, passages=tuple(passages))
    return _claim_verdict(sentence, readable)


def _form_fault(sentence: str) -> Fault | None:
    """What is wrong with a sentence before its meaning matters."""
    if "\ufffd" in sentence or any(unicodedata.category(c) in ("Co", "Cn", "Cs") for c in sentence):
        return Fault.GARBAGE
    said = words(sentence)
    if not said and not facts.numbers(facts.ascii_digits(sentence)):
        return Fault.EMPTY
    if any(len(word) > 60 and len(set(word)) < 8 for word in said) or _loops(content(sentence)):
        return Fault.GARBAGE
    return None


def _loops(said: Sequence[str]) -> bool:
    return len(said) >= 10 and len(set(said)) < 0.45 * len(said)


def _fact_fault(
    sentence: str, passages: Sequence[Passage], question: str, language: str
) -> Fault | None:
    """The first thing in the sentence that the passages do not hold to the letter."""
    known = "\n".join(_full_text(passage) for passage in passages)
    if facts.links(sentence) - facts.links(known):
        return Fault.LINK
    if facts.addresses(sentence) - facts.addresses(known):
        return Fault.ADDRESS
    if facts.codes(sentence) - facts.codes(known):
        return Fault.CODE
    if not _numbers_hold(sentence, known, passages, language):
        return Fault.NUMBER
    said = facts.names(sentence, language)
    if said and not all(_known_name(name, known, question) for name in said):
        return Fault.NAME
    return None


def _full_text(passage: Passage) -> str:
    return "\n".join((passage.title, passage.heading, passage.text, passage.source))


def _known_name(name: str, known: str, question: str) -> bool:
    """Whether a name, or a form of each of its words, stands in the passages or the question."""
    if normal(name) in normal(known) or normal(name) in normal(question):
        return True
    there = frozenset(words(known)) | frozenset(words(question))
    return all(
        part in there or any(same_word(part, word) for word in there) for part in words(name)
    )


def _numbers_hold(sentence: str, known: str, passages: Sequence[Passage], language: str) -> bool:
    """Whether each number stands in the passages, for the same thing where words can tell."""
    sentence = facts.ascii_digits(sentence)
    units = split(facts.ascii_digits(known))
    comparable = any(same_language(passage.language, language) for passage in passages)
    said = content(sentence)
    best = max((share_found(said, content(unit)) for unit in units), default=0.0)
    for number in facts.numbers(sentence):
        places = [(unit, there) for unit in units for there in facts.numbers(unit)]
        places = [(unit, there) for unit, there in places if _same_amount(number, there)]
        if comparable:
            counted = _counted(sentence, number)
            places = [
                (unit, there)
                for unit, there in places
                if share_found(said, content(unit)) >= best / 2 and _counts(there, unit, counted)
            ]
        if not places:
            return False
    return True


def _same_amount(said: facts.Number, there: facts.Number) -> bool:
    return bool(said.values & there.values) and (not said.unit or said.unit == there.unit)


def _counts(number: facts.Number, unit: str, counted: str) -> bool:
    """Whether `counted` stands close to the number, as "days" does in "5 to 7 business days"."""
    near = unit[max(0, number.start - _NEAR_CHARS) : number.end + _NEAR_CHARS]
    return not counted or bool(number.unit) or share_found([counted], content(near)) > 0


def _counted(sentence: str, number: facts.Number) -> str:
    """What a number counts: the first word of content right after it, as in "14 days"."""
    after = re.match(r"[^.!?,;。，]*", sentence[number.end :])
    following = words(after[0])[:2] if after else ()
    counted = content(" ".join(following))
    return counted[0] if counted else ""


def _claim_verdict(sentence: str, passages: Sequence[Passage]) -> Verdict:
    """Compare the words of content, then whether something is affirmed or denied."""
    said = content(sentence)
    shares = [(share_found(said, content(_full_text(passage))), passage) for passage in passages]
    together = [word for passage in passages for word in content(_full_text(passage))]
    # Several passages may carry one sentence together, but only where they were cited for it.
    if len(passages) <= 2 and share_found(said, together) >= _MIN_SHARE:
        support = tuple(passage for share, passage in shares if share >= _MIN_SHARE / 2)
    else:
        support = tuple(passage for share, passage in shares if share >= _MIN_SHARE)
    if not support:
        return Verdict(fault=Fault.CLAIM)
    if said and not _same_polarity(sentence, support):
        return Verdict(fault=Fault.POLARITY)
    return Verdict(fault=None, passages=support)


def _same_polarity(sentence: str, passages: Sequence[Passage]) -> bool:
    """Whether the clauses closest to the sentence deny if it denies, and affirm if it affirms."""
    said = content(sentence)
    clauses = [
        clause
        for passage in passages
        for whole in split(passage.text)
        for clause in (whole, *_CLAUSE.split(whole))
        if content(clause)
    ]
    shares = [(share_found(said, content(clause)), clause) for clause in clauses]
    best = max((share for share, _ in shares), default=0.0)
    close = [clause for share, clause in shares if share >= best - 0.05]
    return not close or any(_denies(clause) == _denies(sentence) for clause in close)


def _denies(text: str) -> bool:
    return bool(_NEGATIONS.intersection(words(text)) or _NEGATION_PARTS.search(text.casefold()))
