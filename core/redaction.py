"""Finds personal data by its shape and puts marks in its place.

What a checksum can prove is checked (cards, IBANs), so that an order number stays readable. A phone
number has no checksum: it is taken by its form, or by a word such as "call" before it, and never
after a word such as "order". Names and addresses of people have no shape and are not found here.
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


class Type(StrEnum):
    """What was found, in the words of Presidio where it has one."""

    SECRET = "SECRET"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    DOMAIN_NAME = "DOMAIN_NAME"
    IBAN_CODE = "IBAN_CODE"
    CREDIT_CARD = "CREDIT_CARD"
    IP_ADDRESS = "IP_ADDRESS"
    US_SSN = "US_SSN"
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
    Type.PHONE_NUMBER: "PHONE",
}
_MARK = re.compile(rf"⟦\s*((?:{'|'.join(_MARKS.values())})_[0-9]+)\s*⟧", re.IGNORECASE)
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
    | (?i:\b(?:api[_-]?key|access[_-]?key|secret|token|password|passwd|pwd|passwort|contraseña
        |mot\ de\ passe|senha|пароль|密码|密碼|パスワード|비밀번호)\s{0,3}[:=]\s{0,3})[^\s,;]{6,200}
    """,
    re.VERBOSE | re.DOTALL,
)
# Scripts without spaces put a number or an address right after a word, so `\w` is ASCII below.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9.%+_-])(?:[.%+'-]|[^\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]){1,64}"
    r"@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[A-Za-z]{2,24}"
)
_ADDRESS = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"'\[\]{}|\\^`]{2,2000}", re.IGNORECASE)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w.+-])[1-6][0-9]{3}(?:[ -]?[0-9]){8,15}(?![\w-]|[.,][0-9])", re.ASCII)
_CARD_BRAND = re.compile("3[04-9]|4|5[0-9]|6[0-9]|2[2-7]|1800|2131")
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])", re.ASCII)
_IP6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]|\.[0-9])", re.ASCII
)
_SSN = re.compile(
    r"(?<![\w-])(?!000|666)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])", re.ASCII
)
_PHONE = re.compile(
    r"(?<![\w@.,:/#№=-])\+?\(?[0-9](?:[ \-./()\u00a0\u2010-\u2013]{0,3}[0-9]){5,16}"
    r"(?:\s?(?:x|ext\.?)\s?[0-9]{1,6})?",
    re.ASCII,
)
_DATE = re.compile(
    r"[12][0-9]{3}[-./ ][01]?[0-9][-./ ][0-3]?[0-9]\b"
    r"|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:[12][0-9])?[0-9]{2}\b"
)
_YEARS = re.compile(r"(?:19|20)[0-9]{2}\s?[-–/]\s?(?:19|20)[0-9]{2}")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:([.\u00a0 ])[0-9]{3})(?:\1[0-9]{3})*")
_MONEY = re.compile(
    r"\s?(?:[€$£¥₹₽₩₺%]|(?:eur|usd|gbp|chf|jpy|cny|zł|kr|руб|km|kg|g|ml|mm|cm|m)\b)", re.IGNORECASE
)
_CALL = re.compile(
    r"\b(?:phone|tel\b|telef|teleph|téléph|call|mobil|cell|fax|whatsapp|viber|ring\b|text me|sms"
    r"|reach|handy|rufnummer|anruf|rufen|erreich|appel|portable|joindre|llam|celular|móvil|ligar|ligue"
    r"|telemóvel|chiam|bel\b|bellen|gsm|zadzwo|komórk|ringa\b|soita|puhelin|телефон|позвон|звон|моб"
    r"|дзвон|هاتف|اتصل|جوال|موبایل|تلفن|फ़?ोन|मोबाइल|कॉल|điện thoại|gọi|sđt|telepon|hubungi|hp\b"
    r"|ara\b|arayın|cep\b|טלפון|נייד|τηλ|κινητ|desk:)"
    r"|电话|電話|手机|手機|拨打|携帯|전화|휴대폰|연락처|โทร|เบอร์"
)
_OTHER_NUMBER = re.compile(
    r"(?:\b(?:order|invoice|tracking|ticket|customer|article|item|sku|ref(?:erence)?|booking|account"
    r"|case|serial|imei|model|version|licen[cs]e|passport|policy|bestell\w*|auftrag\w*|rechnung\w*"
    r"|sendung\w*|kunden\w*|artikel\w*|commande|facture|suivi|colis|pedido|factura|seguimiento"
    r"|encomenda|fatura|ordine|fattura|tracciamento|bestelling|factuur|zamówieni\w*|faktur\w*"
    r"|paczk\w*|objednávk\w*|заказ\w*|счёт\w*|посылк\w*|замовлен\w*|sipariş\w*|fatura\w*|pesanan"
    r"|đơn hàng|beställning\w*|ordre\w*|tilaus\w*|rendelés\w*|comand\w*|παραγγελί\w*|طلب\w*|الطلب)"
    r"|订单|訂單|单号|單號|注文|주문|ऑर्डर|คำสั่งซื้อ)[^\d\n]{0,20}\Z",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?:[#№]|\b(?:n[or°º]|nummer|number|numéro|número|numero|номер))[\s:.]{0,2}(?:is|ist|es)?\s?\Z",
    re.IGNORECASE,
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
    return (found.span() for found in _SECRET.finditer(text))


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
        digits = re.sub("[ -]", "", found[0])
        if _CARD_BRAND.match(digits) and len(set(digits)) > 1 and _is_luhn(digits):
            yield found.span()


def _ips(text: str) -> Spans:
    for pattern in (_IP4, _IP6):
        for found in pattern.finditer(text):
            if len(found[0]) > 4 and _is_ip(found[0]):
                yield found.span()


def _ssns(text: str) -> Spans:
    return (found.span() for found in _SSN.finditer(text))


def _phones(text: str) -> Spans:
    for found in _PHONE.finditer(text):
        start, end = found.span()
        if re.match(r"[A-Za-z0-9_@]|[.,:/-][0-9]", text[end : end + 2]):
            continue
        before = text[max(0, start - 40) : start].lower()
        if _is_phone(found[0], before, text[end : end + 12]):
            yield start, end


_FINDERS = (
    (Type.SECRET, _secrets),
    (Type.EMAIL_ADDRESS, _emails),
    (Type.DOMAIN_NAME, _addresses),
    (Type.IBAN_CODE, _ibans),
    (Type.CREDIT_CARD, _cards),
    (Type.IP_ADDRESS, _ips),
    (Type.US_SSN, _ssns),
    (Type.PHONE_NUMBER, _phones),
)


def _is_luhn(digits: str) -> bool:
    """ISO 7812: every second digit from the right doubled, its digits summed, a multiple of 10."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


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


def _is_phone(run: str, before: str, after: str) -> bool:
    run = re.split("[xe]", run)[0]
    digits = re.sub("[^0-9]", "", run)
    groups = re.findall("[0-9]+", run)
    called = bool(_CALL.search(before)) or bool(re.match(r"\s?(?:office|fax|mobile|cell)\b", after))
    if _DATE.match(run) or _YEARS.fullmatch(run):
        return False
    if run.startswith("+"):
        return 8 <= len(digits) <= 15
    if _OTHER_NUMBER.search(before):
        return called and _nearest_is_call(before)
    trunk = run.startswith(("0", "(")) and len(groups) > 1
    if (_NUMBERED.search(before) and not (called or trunk)) or _MONEY.match(after):
        return False
    if called:
        return 6 <= len(digits) <= 15
    if _THOUSANDS.fullmatch(run):
        return len(digits) == 9 and "." not in run
    return _has_phone_form(run, digits, groups)


def _nearest_is_call(before: str) -> bool:
    """Whether a word such as "phone" is nearer to the number than one such as "order"."""
    last_call = max((found.end() for found in _CALL.finditer(before)), default=0)
    return not _OTHER_NUMBER.search(before[last_call:]) and last_call > len(before) - 22


def _has_phone_form(run: str, digits: str, groups: list[str]) -> bool:
    if len(groups) == 1:
        # A trunk zero, 00 and a country, or a Chinese mobile number.
        return bool(re.fullmatch("0[1-9][0-9]{8,9}|00[1-9][0-9]{9,12}|1[3-9][0-9]{9}", digits))
    if [len(group) for group in groups] == [3, 3, 4]:
        return True
    if re.match("00[1-9]", digits):
        return 10 <= len(digits) <= 15
    national = run.startswith(("0", "(")) and max(map(len, groups)) < 9
    return 8 <= len(digits) <= 12 and (national or (len(groups) > 2 and len(digits) >= 9))
