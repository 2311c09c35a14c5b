"""Finds what can be checked to the letter in a text: numbers, links, addresses, codes, names."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_NUMBER = re.compile(r"\d+(?:[.,'’٬٫]\d+)*(?:[ \u00a0\u202f]\d{3}(?!\d))*")
_STEP = re.compile(r"^\s*\d{1,2}[.)]\s+")
# A run at the beginning of a pattern has an end, or begins where no other does: else each character
# of a long one would be the start of another look through all that follow.
_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}://|www\.|(?:mailto|javascript|data|tel):)[^\s<>]+"
    r"|(?<![\w@.])(?:[\w-]{2,63}\.)+[a-z]{2,24}(?![\w.]*@)(?:[/?#:][^\s<>]*)?",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_HANDLE = re.compile(r"(?<!\w)@\w{3,}")
_TOKEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*(?![A-Za-z0-9])")
_QUOTED = re.compile(r"[\"“„«「『]([^\"“”„»」』]{2,80})[\"”“»」』]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_CASED_WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
_LINK_END = ".,;:!?)]}'\"”»>*_`。，、！？；：）】」』"
_LONG_TOKEN = 24
# German and Luxembourgish write every noun with a capital, so a capital tells nothing there.
_CAPITAL_NOUNS = frozenset({"de", "lb"})
_CURRENCIES = {
    form: code
    for code, forms in {
        "EUR": "€ eur euro euros евро євро 欧元 歐元 ユーロ 유로 يورو यूरो avro",
        "USD": "$ usd dollar dollars dólar dólares доллар долларов 美元 ドル 달러 دولار डॉलर",
        "GBP": "£ gbp pound pounds pfund livres libras 英镑 ポンド 파운드",
        "JPY": "jpy yen 円 日元 엔",
        "CNY": "cny rmb yuan 元 人民币 人民幣",
        "YEN/YUAN": "¥ ￥",
        "KRW": "₩ krw won 원",
        "INR": "₹ inr rupee rupees रुपये रुपए",
        "RUB": "₽ rub руб рублей рубля",
        "UAH": "₴ uah грн гривень",
        "PLN": "zł pln złotych złote",
        "TRY": "₺ try tl lira",
        "VND": "₫ vnd đồng",
        "IDR": "idr rp rupiah",
        "CHF": "chf franken fr",
        "%": "% percent prozent procent процентов por\u00a0cento 百分之 パーセント 퍼센트",
    }.items()
    for form in forms.split()
}
_UNIT_AFTER = re.compile(r"\s?([%€$£¥￥₩₹₽₴₺₫元円원엔]|日元|[^\W\d_]+)")
_UNIT_BEFORE = re.compile(r"([%€$£¥￥₩₹₽₴₺₫]|[^\W\d_]+)\s?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number as written; `values` are all its readings ("1.500" is 1500 or 1.5)."""

    values: frozenset[str]
    unit: str
    start: int
    end: int


def _plain(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _decimal(whole: str, fraction: str) -> str:
    fraction = fraction.rstrip("0")
    return f"{_plain(whole)}.{fraction}" if fraction else _plain(whole)


def _readings(token: str) -> frozenset[str] | None:
    """What a token with separators may mean; None if its parts are separate numbers (a date)."""
    groups = re.split(r"\D", token)
    if len(groups) == 1:
        return frozenset({_plain(token)})
    separators = re.findall(r"\D", token)
    thousands = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3
    if len(set(separators)) == 1:
        readings = {_plain("".join(groups))} if thousands else set()
        if len(groups) == 2 and separators[0] in ".,٫":
            readings.add(_decimal(*groups))
        return frozenset(readings) or None
    if separators[-1] in ".,٫" and all(len(group) == 3 for group in groups[1:-1]):
        return frozenset({_decimal("".join(groups[:-1]), groups[-1])})
    return None


@lru_cache(maxsize=1_024)
def ascii_digits(text: str) -> str:
    """NFKC, with every decimal digit of any script as 0 to 9."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.digit(char)) if char.isdecimal() else char for char in text)


def _unit(text: str, start: int, end: int) -> str:
    """The currency, or the percent sign, that stands at a number; empty if none does."""
    after = _UNIT_AFTER.match(text, end)
    before = _UNIT_BEFORE.search(text, max(0, start - 12), start)
    for match in (after, before):
        if match and (code := _CURRENCIES.get(match[1].casefold())):
            return code
    return ""


@lru_cache(maxsize=1_024)
def numbers(text: str) -> tuple[Number, ...]:
    """Every number in `text`, which must have been through `ascii_digits`."""
    found: list[Number] = []
    step = _STEP.match(text)
    for match in _NUMBER.finditer(text, step.end() if step else 0):
        readings = _readings(match[0])
        parts = [match.span()]
        if readings is None:
            parts = [
                (match.start() + part.start(), match.start() + part.end())
                for part in re.finditer(r"\d+", match[0])
            ]
        for start, end in parts:
            values = readings or frozenset({_plain(text[start:end])})
            found.append(Number(values=values, unit=_unit(text, start, end), start=start, end=end))
    return tuple(found)


def _undisguised(text: str) -> str:
    """The text with the usual ways of hiding a link undone."""
    # A long run of spaces would be gone through anew from each of them.
    text = " ".join(text.split())
    text = re.sub(r"\s*[\[({]\s*(?:\.|dot|punkt|punto|point)\s*[\])}]\s*", ".", text, flags=re.I)
    text = re.sub(r"\bhxxp", "http", text, flags=re.IGNORECASE)
    return re.sub(r"\s+dot\s+(?=(?:com|net|org|io|info|dev|app)\b)", ".", text, flags=re.I)


@lru_cache(maxsize=1_024)
def links(text: str) -> frozenset[str]:
    """Every link and bare host name, in lower-case up to the path."""
    return frozenset(_link(match[0]) for match in _LINK.finditer(_undisguised(text)))


def _link(link: str) -> str:
    link = re.split(r"[)\]](?=[(\[])", link)[0].rstrip(_LINK_END)
    host = re.match(r"(?:[a-z][a-z0-9+.-]*://)?[^/?#]*", link, re.IGNORECASE)
    size = host.end() if host else 0
    return link[:size].casefold().removeprefix("https://").removeprefix("http://") + link[
        size:
    ].rstrip("/")


@lru_cache(maxsize=1_024)
def addresses(text: str) -> frozenset[str]:
    """Every e-mail address and @name."""
    text = re.sub(r"\s*[\[({]\s*(?:@|at)\s*[\])}]\s*", "@", _undisguised(text), flags=re.I)
    return frozenset(
        match.casefold().rstrip(".") for match in (*_EMAIL.findall(text), *_HANDLE.findall(text))
    )


@lru_cache(maxsize=1_024)
def codes(text: str) -> frozenset[str]:
    """Order numbers, coupons, keys: letters mixed with digits, or one long run of characters."""
    return frozenset(token.casefold() for token in _TOKEN.findall(text) if _is_code(token))


def _is_code(token: str) -> bool:
    if len(token) >= _LONG_TOKEN and not token.replace("-", "").isalpha():
        return True
    if not any(char.isdigit() for char in token) or not any(char.isalpha() for char in token):
        return False
    amount = re.fullmatch(r"\d+-?[a-z]+(?:-[a-z]+)*|\d+[A-Za-z]{1,3}", token)  # "30-day", "5GB"
    return amount is None


_SIGNS = "€$£¥￥₩₹₽₴₺₫฿"
_AMOUNT = re.compile(
    rf"(?:[{_SIGNS}]\s?)?(?<![A-Za-z])[-−]?{_NUMBER.pattern}[万萬億亿만억]?"
    rf"(?:\s?[{_SIGNS}%‰°円圆元원])?"
)
_DATED = re.compile(r"(?<!\d)\d+(?:\s?[-./:–]\s?\d+)+")
# Of two parts at least: 30日 may be thirty days, which has to be translated.
_ASIAN_DATE = re.compile(
    r"(?<!\d)(?:\d+\s?[年년]\s?\d+\s?[月월](?:\s?\d+\s?[日号號일])?"
    r"|\d+\s?[月월]\s?\d+\s?[日号號일])"
)


def literals(text: str, *, plain_numbers: bool = True) -> tuple[tuple[int, int], ...]:
    """Where links, addresses, codes, dates and amounts stand, as (start, end), longest first.

    Spans may overlap. Without `plain_numbers`, numbers of ASCII digits alone are left out.
    """
    found = [_trimmed(match) for match in _LINK.finditer(text)]
    found += [match.span() for pattern in (_EMAIL, _HANDLE) for match in pattern.finditer(text)]
    found += [match.span() for match in _TOKEN.finditer(text) if _is_code(match[0])]
    for pattern in (_DATED, _ASIAN_DATE, _AMOUNT):
        for match in pattern.finditer(text):
            if plain_numbers or not (match[0].isascii() and match[0].isdigit()):
                found.append(match.span())
    return tuple(sorted(set(found), key=lambda span: (span[0] - span[1], span[0])))


def _trimmed(link: re.Match[str]) -> tuple[int, int]:
    """A link without the punctuation of the sentence around it."""
    return link.start(), link.start() + len(link[0].rstrip(_LINK_END))


def names(sentence: str, language: str) -> frozenset[str]:
    """What looks like a name: quoted, capitalised within the sentence, or Latin among others."""
    quoted = {match[1].strip() for match in _QUOTED.finditer(sentence)}
    letters = sum(char.isalpha() for char in sentence)
    latin = sum(len(word) for word in _LATIN_WORD.findall(sentence))
    if latin * 2 < letters and not _has_case(sentence):
        return frozenset(quoted | set(_LATIN_WORD.findall(sentence)))
    return frozenset(quoted | set(_capitalised(sentence, language)))


def _has_case(text: str) -> bool:
    return any(char.isupper() or char.islower() for char in text if ord(char) > 0x24F)


def _capitalised(sentence: str, language: str) -> list[str]:
    """Words with a capital where the spelling of the language does not ask for one."""
    found = []
    every_noun = language.split("-")[0] in _CAPITAL_NOUNS
    for match in _CASED_WORD.finditer(sentence):
        word = match[0]
        inner = any(char.isupper() for char in word[1:])  # "PayPal", "VIP"
        before = sentence[: match.start()].rstrip()
        begins = not before or before[-1] in '.!?:;"“„«¿¡(*•-–—\n'
        capital = word[0].isupper() and len(word) > 1 and not begins and not every_noun
        if (inner and len(word) > 1) or capital:
            found.append(word)
    return found
