"""Finds passwords where programs and people write them: behind a name and a sign, or a verb.

Behind a sign as programs write it (`DB_PASSWORD: …`, `password=…`) nearly anything is one. Where
people write ("Kennwort: …", "my password is …") only what no word looks like: more often it says
what is wrong with the password.
"""

import re
from collections.abc import Iterator

_NAMES = (
    r"(?:api|access|secret|private|auth|account|signing|encryption)[_-]?key|secret|token"
    r"|pass(?:word|wd|phrase|code)|pwd"
)
_SPOKEN = (
    r"pass word|passwort|kennwort|zugangscode|contraseña|clave|mot de passe|mdp|senha"
    r"|palavra-passe|parola(?: d.ordine)?|wachtwoord|пароль|şifre|hasło|mật khẩu|kata sandi|sandi"
    r"|lösenord|passord|adgangskode|kodeord|salasana|heslo|jelszó|parolă|κωδικός πρόσβασης"
)
# They stand within a run of letters, or have signs that are no letters to a pattern.
_UNSPACED = (
    "密码|密碼|口令|パスワード|暗証番号|비밀번호|비번|패스워드|암호|पासवर्ड|كلمة المرور|كلمة السر"
    "|الرقم السري|رمز عبور|รหัสผ่าน|סיסמה|סיסמא"
)
_VERBS = (
    r"is|was|ist|war|lautet|est|era|es|é|è|jest|brzmi|to|là|adalah|это|є|це|هي|هو|är|er|var|je|este"
)
_ASSIGNED = re.compile(
    rf"(?:(?P<name>{_NAMES})|(?<![^\W_])(?:{_SPOKEN})|{_UNSPACED})"
    r"(?P<key>\\?[\"']?)\s{0,3}(?P<sign>:=|=>|[:=])\s{0,3}"
    r"(?:\"(?P<quoted>[^\"\n]{4,200})\"|'(?P<single>[^'\n]{4,200})'|(?P<bare>[^\s,;。]{6,200}))",
    re.IGNORECASE,
)
_TOLD = re.compile(
    rf"(?<![^\W_])(?:(?:{_NAMES}|{_SPOKEN})(?:\s[^\s\d:=]{{1,12}}){{0,3}}?\s(?:{_VERBS})"
    r"|(?:мой|мій) пароль|şifrem|parolam)[\s:–—-]{1,3}[\"'«„“]?(?P<value>[^\s,;\"'»“”]{6,200})"
    rf"|(?:{_UNSPACED})(?:[\s:はがも是为為는은이가]|هي|هو|الخاصة بي){{0,6}}"
    r"(?P<direct>[!-~]{6,200})",
    re.IGNORECASE,
)
_UNLIKE_A_WORD = re.compile(r"\d|[!@#$%^&*_+=~|\\](?=.)|[a-z][A-Z]")
# An address, a price, or the name of a standard: none of them is a secret.
_NO_PASSWORD = re.compile(
    r".*://.*|[€$£¥₹₽₩₺][0-9][0-9.,]*|[0-9][0-9.,]*[€$£¥₹₽₩₺%]|[0-9]{1,3}(?:[.,][0-9]{3})+"
    r"|(?:oauth|base|sha|md|hs|rs|es|aes|utf|wpa|erc|trc|bep|fido)[-.]?[0-9]{1,3}(?:[-.][0-9]{1,3})?",
    re.IGNORECASE,
)
_LINE_ENDS = re.compile(r"[\"']?[^\S\n]{0,3}(?:[,;\n]|\Z)")
# What is said of a password behind a colon, by its beginning.
_SAID = (
    "forg", "wrong", "incorr", "invalid", "expire", "reset", "unknown", "chang", "missing",
    "requir", "doesn", "cannot", "works", "funktion",
    "needed", "problem", "please", "locked", "vergess", "falsch", "ungült", "abgelauf", "zurück",
    "unbekannt", "verloren", "änder", "bitte", "olvid", "inválid", "caduc", "cambi",
    "oubli", "expiré", "changer", "réinit", "esquec", "errad", "expirad",
    "alterar", "dimentic", "errat", "sbagliat", "scadut", "vergeten", "verkeerd", "ongeldig",
    "verlopen", "wijzig", "забы", "неверн", "неправ", "истек", "сброс", "смен", "измен", "невірн",
    "неправильн", "змін", "скин", "unut", "yanlış", "geçersiz", "değiş", "sıfır", "zapomn", "błęd",
    "niepopraw", "wygas", "zmian", "zmien", "lupa", "salah", "glömt", "glemt", "unohtu", "zapom",
    "elfelejt", "uitat", "ξέχασ", "نسيت", "خاطئة", "منسية",
)  # fmt: skip


def find_passwords(text: str) -> Iterator[tuple[int, int]]:
    """Where the passwords, keys and tokens stand that something beside them calls so."""
    for found in _ASSIGNED.finditer(text):
        if _is_assigned(text, found):
            yield found.span(found.lastgroup or 0)
    for found in _TOLD.finditer(text):
        name = found.lastgroup or ""
        value = found[name].rstrip(".!?)")
        if len(value) > 3 and _is_unlike_a_word(value):
            yield found.start(name), found.start(name) + len(value)


def _is_assigned(text: str, found: re.Match[str]) -> bool:
    """Whether what stands behind the sign is a password rather than said of one."""
    value, end = found[found.lastgroup or 0], found.end(found.lastgroup or 0)
    if found["bare"] and value.lower().startswith(_SAID):
        return False
    quoted = found["key"] and not found["bare"]
    if quoted or "=" in found["sign"] or _is_a_programs(text, found):
        return True
    if _is_unlike_a_word(value.rstrip(".!?)")):
        return True
    # Many write `password: …` as programs do; what goes on is a sentence.
    alone = found["name"] and " " not in value and _LINE_ENDS.match(text, end)
    return bool(alone) and not _NO_PASSWORD.fullmatch(value)


def _is_a_programs(text: str, found: re.Match[str]) -> bool:
    """Whether the name is one such as DB_PASSWORD, client-secret or api_key."""
    name, start = found["name"] or "", found.start()
    within = re.match("[A-Za-z0-9_-]", text[max(0, start - 1) : start])
    return bool(name) and ("_" in name or within is not None)


def _is_unlike_a_word(value: str) -> bool:
    return _UNLIKE_A_WORD.search(value) is not None and not _NO_PASSWORD.fullmatch(value)
