"""Finds national identity numbers: by a form that proves itself, or behind a word that names one.

Most have a check digit. Where they are plain digits it proves little: up to one in ten order
numbers would pass for an identity. Those count only behind their word, whatever the digit says.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MONTH_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DAY_MONTH = r"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])"
# Not of these years: who orders is no child, but order numbers begin with their day.
_YEAR = r"(?:0[0-9]|1[0-5]|[3-9][0-9])"
_START, _END = r"(?<![A-Za-z0-9_@/+.-])", r"(?![A-Za-z0-9_@-]|[.,/][0-9])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A number at `text[start:end]`; from `since` on, another word may say that it is none."""

    start: int
    end: int
    since: int


def find_identities(text: str) -> Iterator[Identity]:
    """Every identity number in a text with ASCII digits, form by form."""
    for pattern, holds in _FORMS:
        for found in pattern.finditer(text):
            if holds(re.sub("[ ./+-]", "", found[0]).upper()):
                yield Identity(start=found.start(), end=found.end(), since=found.start() - _NEAR)
    for found in _NAMED.finditer(text):
        yield Identity(start=found.start("number"), end=found.end("number"), since=found.end(1))


def is_luhn(digits: str) -> bool:
    """ISO 7812: every second digit from the right doubled, its digits summed, a multiple of 10."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_chinese(code: str) -> bool:
    """ISO 7064, MOD 11-2, as GB 11643 asks."""
    values = [10 if sign == "X" else int(sign) for sign in code]
    return sum(value << place for place, value in enumerate(reversed(values))) % 11 == 1


def _is_korean(code: str) -> bool:
    weighed = sum(int(digit) * (2 + place % 8) for place, digit in enumerate(code[:12]))
    return (11 - weighed % 11) % 10 == int(code[12])


def _is_spanish(code: str) -> bool:
    number = int(code[:-1].translate(str.maketrans("XYZ", "012")))
    return code[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23]


def _is_italian(code: str) -> bool:
    odd = dict(zip("0123456789", _ITALIAN_ODD, strict=False))
    odd |= dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ITALIAN_ODD, strict=True))
    even = {sign: int(sign, 36) if sign.isdigit() else ord(sign) - ord("A") for sign in odd}
    total = sum((even if place % 2 else odd)[sign] for place, sign in enumerate(code[:15]))
    return ord(code[15]) - ord("A") == total % 26


def _is_finnish(code: str) -> bool:
    number = int(code[:6] + code[-4:-1])
    return code[-1] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31]


def _is_swedish(code: str) -> bool:
    return is_luhn(code[-10:])


def _is_brazilian(code: str) -> bool:
    """CPF or CNPJ: two digits, each by the weights 2, 3, … from the right; a CNPJ's begin anew."""
    most = 9 if len(code) == 14 else 11
    for length in (len(code) - 2, len(code) - 1):
        digits = reversed(code[:length])
        total = sum(int(digit) * (2 + place % (most - 1)) for place, digit in enumerate(digits))
        if int(code[length]) != (-total % 11) % 10:
            return False
    return len(set(code)) > 1


def _is_any(code: str) -> bool:
    """Where there is no check digit, the form has to do."""
    return True


_ITALIAN_ODD = (
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
)
_NEAR = 40
_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (re.compile(f"{_START}(?:{form}){_END}", re.IGNORECASE), holds)
    for form, holds in (
        (rf"[1-9][0-9]{{5}}(?:19|20)[0-9]{{2}}{_MONTH_DAY}[0-9]{{3}}[0-9X]", _is_chinese),
        (rf"{_YEAR}{_MONTH_DAY} ?- ?[1-8][0-9]{{6}}", _is_korean),
        (r"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}|[XYZ][ -]?[0-9]{7})[ -]?[A-Z]", _is_spanish),
        (
            r"[A-Z]{3} ?[A-Z]{3} ?[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2} ?"
            r"[A-Z][0-9L-NP-V]{3}[A-Z]",
            _is_italian,
        ),
        # With a letter at least: without one it is like a day with a running number.
        (
            rf"{_DAY_MONTH}[0-9]{{2}}"
            r"(?:-[0-9]{3}[A-FHJ-NPR-Y]|[+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y])",
            _is_finnish,
        ),
        (rf"(?:19|20)?{_YEAR}{_MONTH_DAY}[-+][0-9]{{4}}", _is_swedish),
        (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _is_brazilian),
        (r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}", _is_brazilian),
        # An Indian PAN, whose fourth letter stands for a person, and a British NINO in its groups.
        (r"[A-Z]{3}P[A-Z][0-9]{4}[A-Z]", _is_any),
        (r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] [0-9]{2} [0-9]{2} [0-9]{2} [A-D]", _is_any),
    )
)
_WORDS = (
    r"national (?:id|identity)|(?:id|identity|identification)(?: card| document)?"
    r" (?:number|no|nr|code)|id card|identity card|social security|ssn|national insurance|nino"
    r"|ni number|tax(?:payer)? (?:id|number)|tin|aadhaa?r|pan (?:card|number|no)"
    r"|steuer-?id\w*|steuernummer|idnr|ausweisnummer|personalausweis\w*|sozialversicherungsnummer"
    r"|ahv-?nummer|bsn|burgerservicenummer|sofinummer|pesel\w*|nip|numer dowodu|dow[oó]d osobisty"
    r"|personnummer|samordningsnummer|fødselsnummer|cpr(?:-nummer)?|henkilötunnus|hetu"
    r"|rodné číslo|cnp|dni|nif|c[ée]dula|curp|rfc|rut|documento de identidad|cpf|cnpj|rg"
    r"|cart[ãa]o de cidad[ãa]o|contribuinte|codice fiscale|partita iva|carta d.identit[àa]"
    r"|num[ée]ro de s[ée]cu(?:rit[ée] sociale)?|s[ée]curit[ée] sociale|carte d.identit[ée]"
    r"|инн|снилс|паспорт\w*|іпн|рнокпп|(?:t\.?c\.? )?kimlik(?: no| numara\w*)?|tckn"
    r"|vergi (?:no|numara\w*)|cccd|cmnd|căn cước|nik|ktp|αφμ|αμκα"
)
_UNSPACED = (
    "身份证|身分證|身分证|证件号|證件號|マイナンバー|個人番号|주민등록번호|주민번호|외국인등록번호"
    "|आधार|पैन|رقم الهوية|الهوية الوطنية|الرقم القومي|رقم الإقامة|הזהות|תעודת זהות|บัตรประชาชน"
)
_NAMED = re.compile(
    rf"((?<![^\W_])(?:{_WORDS})(?![^\W_])|{_UNSPACED})[^0-9\n]{{0,20}}?(?<![A-Za-z0-9+])"
    rf"(?P<number>(?:[A-Z]{{1,5}}-?)?[0-9](?:[ ./-]{{0,2}}[0-9]){{5,17}}(?:-?[A-Z])?"
    rf"|[A-Z]{{5}}[0-9]{{4}}[A-Z]){_END}",
    re.IGNORECASE,
)
