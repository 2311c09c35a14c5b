"""Finds national identity numbers: by a form that proves itself, or behind a word that names one.

Most have a check digit. Where they are plain digits it proves little: up to one in ten order
numbers would pass for an identity. Those count only behind their word, whatever the digit says;
where that is an everyday word somewhere, only in their form.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MONTH_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DAY_MONTH = r"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])"
# Not of these years: who orders is no child, but order numbers begin with their day.
_YEAR = r"(?:0[0-9]|1[0-5]|[3-9][0-9])"
# Behind a space a small letter is a word: "12345678 w sklepie".
_SPANISH = r"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}|[XYZ][ -]?[0-9]{7})(?:-?[A-Z]| (?-i:[A-Z]))"
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
    for pattern in _NAMED if _LONG.search(text) else ():
        for found in pattern.finditer(text):
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
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
_NEAR = 40
_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (re.compile(f"{_START}(?:{form}){_END}", re.IGNORECASE), holds)
    for form, holds in (
        (rf"[1-9][0-9]{{5}}(?:19|20)[0-9]{{2}}{_MONTH_DAY}[0-9]{{3}}[0-9X]", _is_chinese),
        (rf"{_YEAR}{_MONTH_DAY} ?- ?[1-8][0-9]{{6}}", _is_korean),
        (_SPANISH, _is_spanish),
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


def _digits(count: int) -> str:
    """So many, grouped or not, and no more."""
    return rf"[0-9](?:[ ./-]{{0,2}}[0-9]){{{count - 1}}}(?![ ./-]?[0-9])"


def _whole(words: str) -> str:
    return rf"(?<![^\W_])(?:{words})(?![^\W_])"


# These mean nothing else, in no language that we speak.
_WORDS = (
    r"national (?:id|identity)|identity(?: card| document)? (?:number|no|nr|code)"
    # An order, a device, a user each have an "ID number" too.
    r"|(?:national|personal|citizen|government|tax(?:payer)?|my|our|your|his|her|their)"
    r" (?:id|identification)(?: card| document)? (?:number|no|nr|code)"
    r"|id card|identity card|social security|ssn|national insurance|ni number"
    r"|tax(?:payer)? (?:id|number)"
    r"|steuer-?id\w*|steuernummer|idnr|ausweisnummer|personalausweis\w*|sozialversicherungsnummer"
    r"|ahv-?nummer|bsn|burgerservicenummer|sofinummer|pesel\w*|dow[oó]d\w* osobist\w*"
    r"|personnummer|samordningsnummer|fødselsnummer|cpr[- ]?nummer|henkilötunnu\w*|rodné číslo"
    r"|c[ée]dula|documento de identidad|cart[ãa]o de cidad[ãa]o|codice fiscale|partita iva"
    r"|carta d.identit[àa]|num[ée]ro de s[ée]cu(?:rit[ée] sociale)?|s[ée]curit[ée] sociale"
    r"|carte d.identit[ée]|инн|снилс|іпн|рнокпп|vergi (?:no|numara\w*)|cccd|cmnd|căn cước|αφμ|αμκα"
)
_UNSPACED = (
    "证件号|證件號|マイナンバー|個人番号|주민등록번호|주민번호|외국인등록번호"
    "|رقم الهوية|الهوية الوطنية|الرقم القومي|رقم الإقامة|บัตรประชาชน"
)
_LONG = re.compile(r"[0-9](?:[ ./-]{0,2}[0-9]){3}")
"""Without so many digits none of the patterns below holds, and most texts have fewer."""
# Fewer digits are a code that came by text message.
_ANY = (
    r"[A-Z]{1,5}-?[0-9](?:[ ./-]{0,2}[0-9]){5,17}(?:-?[A-Z])?"
    r"|[0-9](?:[ ./-]{0,2}[0-9]){6,17}(?:-?[A-Z])?|[A-Z]{5}[0-9]{4}[A-Z]"
)
# Everyday words as well (`dni` are Polish days, `rut` is to withdraw in Vietnamese without accents,
# आधार is a basis), or other things have such a number: only before a form of theirs.
_NAMED: tuple[re.Pattern[str], ...] = tuple(
    re.compile(
        rf"({words})[^0-9\n]{{0,20}}?(?<![A-Za-z0-9+])(?P<number>{form}){_END}", re.IGNORECASE
    )
    for words, form in (
        (f"{_whole(_WORDS)}|{_UNSPACED}", _ANY),
        (rf"(?<!\d)(?<!\d ){_whole('dni(?=[^0-9a-z]{0,3}[0-9])')}", _SPANISH),
        (
            rf"(?<!\d ){_whole('(?-i:DNI)|(?:mi|el|con) dni|dni (?:es|n[º°.]|n[úu]mero)')}",
            rf"{_SPANISH}|{_digits(8)}|{_digits(7)}",
        ),
        (_whole("nif|contribuinte"), rf"{_digits(9)}|{_SPANISH}"),
        (_whole("cpf|cnpj|contribuinte"), rf"{_digits(11)}|{_digits(14)}"),
        (_whole("rut|rg"), r"[0-9]{1,2}(?:\.?[0-9]{3}){2}-[0-9KX]"),
        (_whole("curp"), r"[A-Z]{4}[0-9]{6}[A-Z]{6}[0-9A-Z][0-9]"),
        # XAXX and XEXX stand for whoever has none.
        (_whole("rfc"), r"(?!X[AE]XX)[A-Z]{4}-?[0-9]{6}-?[0-9A-Z]{3}"),
        (_whole("nino"), r"[A-Z]{2} ?(?:[0-9]{2} ?){3}[A-D]"),
        (_whole("nip"), rf"(?:PL)?{_digits(10)}"),
        (_whole("numer dowodu"), r"[A-Z]{3} ?[0-9]{6}"),
        (_whole("cpr|hetu"), rf"{_DAY_MONTH}[0-9]{{2}}[-+A-Y ]?[0-9]{{3}}[0-9A-Y]"),
        (_whole("cnp"), _digits(13)),
        (
            _whole(r"паспорт\w*"),
            rf"(?-i:[А-ЯЄІЇҐ]{{2}}) ?[0-9]{{6}}|{_digits(9)}|{_digits(10)}",
        ),
        (_whole(r"(?:t\.?c\.? )?kimlik(?: no| numara\w*)?|tckn"), _digits(11)),
        (_whole("nik|ktp"), _digits(16)),
        (rf"{_whole('aadhaa?r')}|आधार(?! पर)", _digits(12)),
        (rf"{_whole('pan (?:card|number|no)')}|पैन", r"[A-Z]{5}[0-9]{4}[A-Z]"),
        ("הזהות|תעודת זהות", _digits(9)),
        (
            "身份证|身分證|身分证",
            r"[1-9](?:[ -]?[0-9]){14}(?:(?:[ -]?[0-9]){2}[ -]?[0-9X])?"
            r"|[A-Z]{1,2}[0-9]{6,9}(?:\([0-9A]\))?",
        ),
    )
)
