"""Says why a text must not be learnt from: links, orders to a model, what tells who somebody is."""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from core import facts
from core.adapters.documents import Document
from core.verify import visible

_PHRASES = Path(__file__).with_name("instructions.toml")
# An order to a model stands in one sentence or two.
_NEARBY = 60
_ENCODED = re.compile(r"(?<![\w/+-])[A-Za-z0-9+/_-]{40,}={0,2}(?![\w/+-])")
_DIGITS = re.compile(r"\d(?:[ .\-/]?\d){6,}")
_ADDRESS = re.compile(
    r"""
    \b\d{1,5}[ ][\w'’-]+(?:[ ][\w'’-]+)?[ ]
        (?:street|st\.|road|rd\.?|avenue|ave\.?|lane|drive|blvd)\b
    | \b[\w'’-]+(?:straße|strasse|str\.|weg|platz|gasse|allee|straat|laan|gracht)[ ]\d{1,4}\b
    | \b(?:rue|avenue|boulevard|chemin|calle|avenida|via|viale|piazza|rua|ulica|ul\.|улица|ул\.
        |вулиця|вул\.|jalan|jl\.|đường)[ ][^\n,]{2,40}?[, ]{1,2}
        (?:n[o°º.]*[ ]?|д\.[ ]?|буд\.[ ]?)?\d{1,4}\b
    | \b\d{1,4}[ ,]{1,2}(?:rue|avenue|boulevard|chemin)[ ][\w'’-]+
    | (?:路|街|巷|丁目|番地)\s?\d{1,4}\s?(?:号|號|番)? | \d{1,4}\s?(?:号|號)(?:楼|樓|室)
    | [가-힣]+(?:로|길)\s?\d{1,4}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BORN = re.compile(
    r"""
    date[ ]of[ ]birth | born[ ]on | birthday[ ]is | geburtsdatum | geboren[ ]am
    | date[ ]de[ ]naissance | née?[ ]le | fecha[ ]de[ ]nacimiento | nac[ií][ ]el
    | data[ ]de[ ]nascimento | nasci[ ](?:em|no[ ]dia) | data[ ]di[ ]nascita | nat[oa][ ]il
    | geboortedatum | дата[ ]рождения | родил(?:ся|ась) | дата[ ]народження | data[ ]urodzenia
    | urodzon | doğum[ ]tarih | ngày[ ]sinh | tanggal[ ]lahir | تاريخ[ ]الميلاد | जन्म[ ]?तिथि
    | 出生日期 | 生年月日 | 생년월일
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Fault(StrEnum):
    """Why a text must not be learnt from."""

    LINK = "link_not_in_the_articles"
    INSTRUCTION = "orders_to_a_model"
    ENCODED = "encoded"
    PERSONAL = "personal_data_left"


class Screen:
    """What the workspace's own articles say may be said; the rest is looked at."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Take over the links, addresses and numbers of the documents."""
        texts = [f"{one.title}\n{one.text}\n{one.source}" for one in documents]
        self._links = frozenset(link for text in texts for link in facts.links(text))
        self._addresses = frozenset(found for text in texts for found in facts.addresses(text))
        self._numbers = frozenset(_bare(one) for text in texts for one in _DIGITS.findall(text))
        self._places = frozenset(place for text in texts for place in _places(text))

    def fault(self, texts: Sequence[str]) -> Fault | None:
        """The first thing that is wrong with one of the masked texts of a row; None if nothing."""
        for text in texts:
            if facts.links(text) - self._links:
                return Fault.LINK
            if orders(text):
                return Fault.INSTRUCTION
            if self._is_personal(text):
                return Fault.PERSONAL
        return None

    @staticmethod
    def hidden(texts: Sequence[str]) -> Fault | None:
        """What is wrong with the texts as they were written, and cannot be told once masked."""
        if any(_ENCODED.search(text) for text in texts):
            return Fault.ENCODED
        return Fault.INSTRUCTION if any(map(orders, texts)) else None

    def _is_personal(self, text: str) -> bool:
        if facts.addresses(text) - self._addresses or _BORN.search(text):
            return True
        plain = facts.ascii_digits(text)
        numbers = {_bare(found) for found in _DIGITS.findall(plain)}
        return bool(numbers - self._numbers or _places(text) - self._places)


def orders(text: str) -> bool:
    """Whether a text tries to give a model orders, in any language that we know phrases of."""
    said = _folded(text)
    marks, pairs = _patterns()
    return bool(marks.search(said)) or any(pattern.search(said) for pattern in pairs)


def _places(text: str) -> frozenset[str]:
    return frozenset(found[0].casefold() for found in _ADDRESS.finditer(text))


def _folded(text: str) -> str:
    """What a model reads, without the signs that hide it from a pattern."""
    folded = unicodedata.normalize("NFKC", visible(text)).casefold()
    return re.sub(r"[ \t*_~`\u00a0]+", " ", folded)


@cache
def _patterns() -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    phrases = tomllib.loads(_PHRASES.read_text(encoding="utf-8"))
    verbs: Mapping[str, Collection[str]] = phrases["verbs"]
    objects: Mapping[str, Collection[str]] = phrases["objects"]
    marks = rf"{_either(phrases['marks'])}|^\W*(?:system|assistant)\s?:"
    return re.compile(marks, re.MULTILINE), tuple(map(_near, verbs.values(), objects.values()))


def _near(verbs: Collection[str], objects: Collection[str]) -> re.Pattern[str]:
    """A verb and an object of one language, in whichever order the language has them."""
    verb, thing = (rf"(?:{_either(words)})" for words in (verbs, objects))
    if any(word.isascii() for word in verbs):
        verb = rf"(?<!\w){verb}"
    between = rf"[^.!?。！？\n]{{0,{_NEARBY}}}?"
    return re.compile(rf"{verb}{between}{thing}|{thing}{between}{verb}")


def _either(words: Iterable[str]) -> str:
    return "|".join(re.escape(_folded(word)) for word in words)


def _bare(number: str) -> str:
    return re.sub(r"\D", "", number)
