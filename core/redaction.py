"""Finds personal data by its shape and puts marks in its place.

What a checksum can prove is checked (cards, IBANs, many identity numbers), so that an order number
stays readable; phone numbers go by their form and by the words before them. Names and addresses of
people have no shape and are not found here.
"""

import ipaddress
import re
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from core.identities import find_identities, is_luhn
from core.passwords import find_passwords
from core.phones import find_phones, is_other_number


class Type(StrEnum):
    """What was found, in the words of Presidio where it has one."""

    SECRET = "SECRET"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    DOMAIN_NAME = "DOMAIN_NAME"
    IBAN_CODE = "IBAN_CODE"
    CREDIT_CARD = "CREDIT_CARD"
    IP_ADDRESS = "IP_ADDRESS"
    US_SSN = "US_SSN"
    NATIONAL_ID = "NATIONAL_ID"
    PHONE_NUMBER = "PHONE_NUMBER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something personal at `text[start:end]`."""

    type: Type
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text with marks such as ⟦EMAIL_1⟧, and what each mark stands for."""

    text: str
    replacements: Mapping[str, str] = field(default_factory=dict)


_MARKS = {
    Type.SECRET: "KEY",
    Type.EMAIL_ADDRESS: "EMAIL",
    Type.IBAN_CODE: "IBAN",
    Type.CREDIT_CARD: "CARD",
    Type.IP_ADDRESS: "IP",
    Type.US_SSN: "ID",
    Type.NATIONAL_ID: "ID",
    Type.PHONE_NUMBER: "PHONE",
}
_MARK = re.compile(
    rf"⟦\s*((?:{'|'.join(dict.fromkeys(_MARKS.values()))})_[0-9]+)\s*⟧", re.IGNORECASE
)
# An operator needs the addresses and numbers of a log line; what opens a door must not be there.
_NEVER_LOGGED = (Type.SECRET, Type.EMAIL_ADDRESS, Type.IBAN_CODE, Type.CREDIT_CARD)

_SECRET = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | (?<![A-Za-z0-9])(?:
        (?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,200}           # OpenAI, Stripe and their like
      | xox[a-z]-[A-Za-z0-9-]{10,250} | xapp-[A-Za-z0-9-]{10,250}
      | gh[opsur]_[A-Za-z0-9]{20,255} | github_pat_[A-Za-z0-9_]{20,255} | glpat-[\w-]{20,64}
      | (?:AKIA|ASIA)[0-9A-Z]{16} | AIza[\w-]{35} | hf_[A-Za-z0-9]{30,40} | npm_[A-Za-z0-9]{36}
      | SG\.[\w-]{16,32}\.[\w-]{16,64}
      | eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000}  # JWT
    )(?![A-Za-z0-9])
    # Telegram bot: in the address of each call it follows the word "bot" directly.
    | (?<![0-9])[0-9]{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9])
    | (?<=://)[^\s:/@]{1,64}:[^\s/@]{1,128}(?=@)        # user and password in an address
    | https://hooks\.slack\.com/services/[\w/]{20,120}
    | (?i:\bbearer\s{1,3})[\w.~+/=-]{16,2000}
    """,
    re.VERBOSE | re.DOTALL,
)
# Scripts without spaces put a number or an address right after a word, so `\w` is ASCII below.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
# Vowel signs of India's scripts, which are no letters to a pattern.
_SIGNS = r"\u0900-\u0963\u0970-\u0dff"
# In a script without spaces what follows would be taken for the end of the address.
_UNSPACED_ENDS = (
    "中国|中國|香港|台湾|台灣|澳门|澳門|新加坡|公司|网络|網絡|网址|在线|网站|商城|移动|集团|信息|政务|公益|中文网"
    "|みんな|コム|ストア|クラウド|한국|닷컴|닷넷|삼성|ไทย|คอม|ລາວ"
)
# A name in a script without spaces has no beginning: all is taken up to a space or a stop.
_EMAIL = re.compile(
    rf"(?:(?<![A-Za-z0-9.%+_-])(?:[.%+'-]|[^\W{_UNSPACED}]|[{_SIGNS}]){{1,64}}|[{_UNSPACED}]{{1,64}})"
    rf"@(?:[^\W_](?:[\w{_SIGNS}-]{{0,62}})\.){{1,8}}"
    rf"(?:[Xx][Nn]--[A-Za-z0-9-]{{1,58}}[A-Za-z0-9]|[A-Za-z]{{2,24}}|{_UNSPACED_ENDS}"
    rf"|(?:[^\W\d_A-Za-z{_UNSPACED}]|[{_SIGNS}]){{2,24}})"
)
_ADDRESS = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"'\[\]{}|\\^`]{2,2000}", re.IGNORECASE)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(
    r"(?<![\w.+-])[1-6][0-9]{3}(?:(?:[ -]{0,2}|\.)[0-9]){8,15}(?![\w-]|[.,][0-9])", re.ASCII
)
_CARD_BRAND = re.compile("3[04-9]|4|5[0-9]|6[0-9]|2[2-7]|1800|2131")
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])", re.ASCII)
_IP6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]|\.[0-9])", re.ASCII
)
_SSN = re.compile(
    r"(?<![\w-])(?!000|666)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])", re.ASCII
)


def find(text: str) -> tuple[Span, ...]:
    """Everything personal in the text, in order, without overlaps."""
    plain = _fold(text)
    taken: list[Span] = []
    for kind, spans in _FINDERS:
        for start, end in spans(plain):
            at = bisect(taken, start, key=_start)
            after_last = at == 0 or taken[at - 1].end <= start
            before_next = at == len(taken) or end <= taken[at].start
            if after_last and before_next:
                taken.insert(at, Span(type=kind, start=start, end=end))
    return tuple(taken)


def mask(text: str, known: Mapping[str, str] | None = None) -> Masked:
    """Replace personal data by marks that a model can copy; one value has one mark.

    Addresses of pages stay, since a question may be about them. With `known`, the replacements of
    an earlier text, the marks of both texts can be restored together.
    """
    marks = {value: name for name, value in (known or {}).items()}
    used = {name.upper() for name in _MARK.findall(text)} | {
        name.strip("⟦⟧") for name in known or {}
    }
    numbers: Counter[str] = Counter()
    parts, at = [], 0
    for span in find(text):
        if span.type is Type.DOMAIN_NAME:
            continue
        value = text[span.start : span.end]
        if value not in marks:
            marks[value] = _new_mark(_MARKS[span.type], used, numbers)
        parts += [text[at : span.start], marks[value]]
        at = span.end
    masked = "".join([*parts, text[at:]])
    return Masked(text=masked, replacements={name: value for value, name in marks.items()})


def restore(text: str, replacements: Mapping[str, str]) -> str:
    """Put the values back for their marks; a mark that stands for nothing stays as it is."""
    return _MARK.sub(lambda found: replacements.get(f"⟦{found[1].upper()}⟧", found[0]), text)


def scrub(text: str) -> str:
    """A log line without what must never be logged; nothing brings it back."""
    parts, at = [], 0
    for span in find(text):
        if span.type in _NEVER_LOGGED:
            parts += [text[at : span.start], f"⟦{_MARKS[span.type]}⟧"]
            at = span.end
    return "".join([*parts, text[at:]])


def _start(span: Span) -> int:
    return span.start


def _new_mark(label: str, used: set[str], numbers: Counter[str]) -> str:
    """The next mark of a kind; a mark that the customer typed is no mark of ours."""
    numbers[label] += 1
    while f"{label}_{numbers[label]}" in used:
        numbers[label] += 1
    return f"⟦{label}_{numbers[label]}⟧"


def _fold(text: str) -> str:
    """Digits of every script and full-width signs as ASCII, character for character."""
    return text if text.isascii() else text.translate(_ascii_signs())


@cache
def _ascii_signs() -> dict[int, str]:
    signs = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    decimals = (code for code in range(0x0660, 0x1FBFA) if chr(code).isdecimal())
    return signs | {code: str(unicodedata.decimal(chr(code))) for code in decimals}


Spans = Iterator[tuple[int, int]]


def _secrets(text: str) -> Spans:
    yield from (found.span() for found in _SECRET.finditer(text))
    yield from find_passwords(text)


def _emails(text: str) -> Spans:
    return (found.span() for found in _EMAIL.finditer(text)) if "@" in text else iter(())


def _addresses(text: str) -> Spans:
    for found in _ADDRESS.finditer(text):
        yield found.start(), found.start() + len(found[0].rstrip(".,;:!?)*_、。，！？）"))


def _ibans(text: str) -> Spans:
    """Runs whose checksum holds; a word may have run into it, so shorter ends are tried too."""
    at = 0
    while found := _IBAN.search(text, at):
        run = found[0]
        # What is no IBAN may hold the beginning of one.
        at = found.start() + 1
        for end in range(len(run), 14, -1):
            if (end == len(run) or run[end] in " -") and _is_iban(run[:end]):
                at = found.start() + end
                yield found.start(), at
                break


def _cards(text: str) -> Spans:
    for found in _CARD.finditer(text):
        # What may follow, a month or the code from the back, is no part of the number.
        for end in (len(found[0]), *(gap.start() for gap in re.finditer("[ -]+", found[0]))):
            digits = re.sub("[ .-]", "", found[0][:end])
            if (end == len(found[0]) or len(digits) in (15, 16)) and _is_card(digits):
                yield found.start(), found.start() + end
                break


def _ips(text: str) -> Spans:
    for pattern in (_IP4, _IP6):
        for found in pattern.finditer(text):
            if len(found[0]) > 4 and _is_ip(found[0]):
                yield found.span()


def _ssns(text: str) -> Spans:
    return (found.span() for found in _SSN.finditer(text))


def _identities(text: str) -> Spans:
    for found in find_identities(text):
        if not is_other_number(text, found.start, found.end, since=found.since):
            yield found.start, found.end


_FINDERS = (
    (Type.SECRET, _secrets),
    (Type.EMAIL_ADDRESS, _emails),
    (Type.DOMAIN_NAME, _addresses),
    (Type.IBAN_CODE, _ibans),
    (Type.CREDIT_CARD, _cards),
    (Type.IP_ADDRESS, _ips),
    (Type.US_SSN, _ssns),
    (Type.NATIONAL_ID, _identities),
    (Type.PHONE_NUMBER, find_phones),
)


def _is_card(digits: str) -> bool:
    return _CARD_BRAND.match(digits) is not None and len(set(digits)) > 1 and is_luhn(digits)


def _is_iban(run: str) -> bool:
    """ISO 13616: country and check digits moved to the end, letters as 10 to 35, modulo 97 is 1."""
    code = re.sub("[ -]", "", run).upper()
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
