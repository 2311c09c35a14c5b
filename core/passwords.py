"""Finds passwords where programs and people write them: behind a name and a sign, or a verb.

Behind a sign (`DB_PASSWORD=…`, `Kennwort: …`) nearly anything is one. Behind a verb ("my password
is …") only what no word looks like: more often it says what is wrong with the password.
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
    r"|lösenord|passord|adgangskode|kodeord|salasana|heslo|jelszó|parolă|κωδικός"
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
    rf"(?:{_NAMES}|(?<![^\W_])(?:{_SPOKEN})|{_UNSPACED})"
    r"\\?[\"']?\s{0,3}(?::=|=>|[:=])\s{0,3}"
    r"(?:\"(?P<quoted>[^\"\n]{4,200})\"|'(?P<single>[^'\n]{4,200})'|(?P<bare>[^\s,;]{6,200}))",
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
        if not (found["bare"] and found["bare"].lower().startswith(_SAID)):
            yield found.span(found.lastgroup or 0)
    for found in _TOLD.finditer(text):
        name = found.lastgroup or ""
        value = found[name].rstrip(".!?)")
        if len(value) > 3 and _UNLIKE_A_WORD.search(value) and "://" not in value:
            yield found.start(name), found.start(name) + len(value)
