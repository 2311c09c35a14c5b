"""Which language a customer is answered in."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from babel import Locale, UnknownLocaleError
from babel.core import get_global

_TABLE = Path(__file__).with_name("languages.tsv")
# Words that may stand around a language's name in a wish such as "bitte auf Deutsch antworten".
_REQUEST_WORDS = Path(__file__).with_name("language_requests.txt")
_RIGHT_TO_LEFT_SCRIPTS = {"Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"}
_TRADITIONAL_REGIONS = {"TW", "HK", "MO"}
# Codes of countries that people give for their languages. Of those that name a language as well (kr
# is Kanuri, se Northern Sami) the country's is meant far more often.
_OF_COUNTRIES: dict[str, str] = dict(
    re.findall(
        r"(\w+):(\S+)",
        "al:sq at:de bd:bn by:be cn:zh cz:cs dk:da eg:ar gb:en ge:ka gr:el hk:zh-Hant il:he ir:fa"
        " jp:ja kr:ko kz:kk mx:es pk:ur rs:sr se:sv ua:uk us:en vn:vi",
    )
)
# So much of a message tells its language, or holds the wish for one.
_MAX_CHARS = 2000
# So likely, a first message is answered in a language, and below the second others are offered with
# it. Nothing else is likelier, least of all the default: with 0.5 for both, a fifth of short
# Indonesian questions (`models/data/everyday`) were answered in English. A platform that names
# another language than the default knows its customer better than a guess below the second.
_FIRST, _SURE = 0.35, 0.5
# The kanji of Shift-JIS's first level: those in use, without what only Chinese still writes.
_FIRST_KANJI, _LAST_KANJI = b"\x88\x9f", b"\x98\x72"
# What is written in these kanji, but in Chinese.
_CHINESE = re.compile(
    "這|請問|可以|我(?!慢)|幾天|多久|有没|有沒|能不|不能.|不是|是不|太大|^好的|不要了|便宜一|想要|幾時|中文"
    "|多少$|退貨|到貨|付款|退款"
)
_LONGEST_NOTE = 8

# Words that name no language in particular: alone they say nothing about the writer's.
_ANYWHERE = re.compile(
    r"(?:ok|okay|okey|oki|hi|hello|hey|haha|hahaha|lol|hmm|hm|pdf|paypal|visa|mastercard|email|e-mail"
    r"|mail|iphone|ipad|android|app|wifi|wi-fi|sms|usb|sim|vip|faq|url|id|qr|gps|dhl|ups|klarna"
    r"|whatsapp|telegram|slack|facebook|instagram|google|apple|samsung|amazon|stop|start|help|menu"
    r"|test|info|online|login|bye|ciao|merci|bravo|super|no|si|yes)\Z"
)

# The same for scripts that put no space between words, longest first.
_WISH_PIECES = re.compile(
    "请用|請用|请|請|用|说|說|讲|講|回答我|回答|回复我|回复|回覆|答复|跟我|和我|交流|沟通|吗|嗎|"
    "能不能|可不可以|可以|能|我想|我要|你们|你們|你|您|吧|谢谢|謝謝|换成|切换到|改成|改用|以|来|"
    "会不会|會不會|会|會|懂|再|重复|重複|一遍|一次|一下|同样|同樣|"
    "できますか|出来ますか|で教えて|でお願いします|でおねがいします|でお願い|で答えてください|で答えて|で回答してください|で回答して|"
    "で返信してください|で返事して|で話してください|で話して|でいいですか|で|にしてください|に切り替えて|"
    "話せますか|話せる|話しますか|わかりますか|分かりますか|大丈夫ですか|対応していますか|"
    "ください|下さい|お願いします|もう一度|もう1度|もう一回|同じことを|同じ内容を|言って|説明して|繰り返して|"
    "もらえますか|いただけますか|は|を|が|"
    "으로|로|답변해주세요|답변해|답변|대답해주세요|대답해|대답|말해주세요|말해|해주세요|주세요|부탁합니다|부탁드려요|"
    "부탁해요|써주세요|가능한가요|가능해요|가능합니까|가능하세요|되나요|돼요|할|줄|수|있나요|있어요|있으세요|있습니까|"
    "아세요|아시나요|하세요|하시나요|하나요|다시|한번|한|번|말씀해|말씀|반복해|같은|내용을|"
    "กรุณา|โปรด|ช่วย|ตอบเป็น|ตอบ|เป็นภาษา|เป็น|พูด|ภาษา|ด้วย|ครับ|ค่ะ|คะ|หน่อย|ได้ไหม|ได้มั้ย|ขอ|"
    "คุณ|อีกครั้ง|อีกที|ซ้ำ|ไหม"
)
# What is said about a thing as well, unless it is to be said "in" the language.
_AGAIN = frozenset({"repeat", "that", "this", "it", "same", "again", "once", "more"})
_OWN_DOING = re.compile(r"(?<!\w)(?:can|could|do|should|may) i(?!\w)")
TAG_FORM = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}"
_TAG = re.compile(TAG_FORM)
_CLAUSE_END = re.compile(r"[.!?;:,\n。！？；，、؟،।…()\"«»„“”]+")
_SENTENCE_END = re.compile(r"[.!?\n。！？؟।…]+")
# As written: a full stop or comma inside an address or a number ends nothing.
_GAP = re.compile(r"([.!?;:,]+(?=\s|$)|[\n。！？；，、؟،।…()\"«»„“”]+)")
# Vowel signs and other marks belong to a word; Python's \w leaves them out.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u0655\u0670\u0e31-\u0e3a\u0e47-\u0e4e" + "".join(
    f"{chr(b)}-{chr(b + 3)}{chr(b + 0x3A)}-{chr(b + 0x3C)}{chr(b + 0x3E)}-{chr(b + 0x4D)}"
    f"{chr(b + 0x55)}-{chr(b + 0x57)}{chr(b + 0x62)}{chr(b + 0x63)}"
    for b in range(0x0900, 0x0D80, 0x80)
)
_WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_MARKS}]|[-'’\u200c](?=[^\W\d_]))*")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")

_NOISE = re.compile(
    r"""
    ```.*?(?:```|\Z) | `[^`\n]*`                            # code
    | <(?:https?|mailto|tel|[@\#!])[^<>\n]*>                # Slack's links and mentions
    | (?:https?://|www\.)\S+                                # addresses
    | [^\s@<>]{1,64}@[^\s@<>]{1,255} | @\w+                 # e-mail, handles
    | \b(?:[\w-]{1,63}\.){1,5}(?:com|org|net|io|de|fr|es|ru|cn|jp|co|uk|eu|info|shop)\b(?:/\S*)?
    | ⟦[^⟧\n]*⟧ | :[a-z0-9_+-]+: | </?[a-z][^<>\n]{0,80}>   # our masks, Slack emoji, tags
    | (?<!\w)[A-Za-z_\#/.-]*[0-9_][A-Za-z0-9_\#/.-]*         # order numbers, names of code
    """,
    re.VERBOSE | re.DOTALL,
)
# Without one of these there is no noise, and looking for it costs more than the models do.
_NOISE_SIGN = re.compile(r"[0-9@`<_⟦]|://|\w\.\w|:[a-z+-]+:")


class _Language(NamedTuple):
    tag: str
    aliases: tuple[str, ...]
    right_to_left: bool
    autonym: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The language to answer in.

    `sure` is false where the customer should be offered others; `requested` is true once the
    customer has asked for this one, which nothing but another wish undoes.
    """

    language: str
    sure: bool
    requested: bool = False


@cache
def _languages() -> dict[str, _Language]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {
        tag: _Language(tag, tuple(aliases.split()), side == "rtl", autonym, tuple(names.split("|")))
        for tag, aliases, side, autonym, names in rows
    }


@cache
def _request_words() -> frozenset[str]:
    return frozenset(_REQUEST_WORDS.read_text(encoding="utf-8").split())


@cache
def _aliases() -> dict[str, str]:
    return {alias: one.tag for one in _languages().values() for alias in one.aliases}


def is_tag(text: str) -> bool:
    """Whether a text has the form of a language tag (BCP 47), with `-` or `_`."""
    return _TAG.fullmatch(text) is not None


def is_known(tag: str) -> bool:
    """Whether a tag, in any form that `normalise_tag` takes, names a language that we know of."""
    return is_tag(tag) and _family(tag) in _languages()


def named_by(code: str) -> str | None:
    """Our tag for the language that somebody means by a code; None if we know of none such."""
    if code.lower() in _OF_COUNTRIES:
        return _OF_COUNTRIES[code.lower()]
    return normalise_tag(code) if is_known(code) else None


@lru_cache(maxsize=1024)
def normalise_tag(code: str) -> str:
    """Our tag for an ISO 639-1, 639-3 or BCP 47 code, in any case, with `-` or `_`.

    The shortest tag that says it: `deu` is `de`, `nb` is `no`, `zh-Hans-CN` is `zh`, `zho-TW` is
    `zh-Hant`, `pt_br` is `pt-BR`. A member of a macrolanguage that people write alike becomes the
    macrolanguage (`arz` is `ar`). An unknown code comes back tidied.
    """
    first, *rest = re.split(r"[-_]", code.strip())
    language = _aliases().get(first.lower(), first.lower())
    script = next((part.title() for part in rest if len(part) == 4 and part.isalpha()), "")
    region = next((part.upper() for part in rest if re.fullmatch("[A-Za-z]{2}|[0-9]{3}", part)), "")
    if language == "zh":
        traditional = script == "Hant" or (not script and region in _TRADITIONAL_REGIONS)
        return "zh-Hant" if traditional else "zh"
    return f"{language}-{region}" if region else language


def same_language(one: str, other: str) -> bool:
    """Whether two tags name one language, regions aside; written Chinese counts as two."""
    return _family(one) == _family(other)


def is_right_to_left(tag: str) -> bool:
    """Whether the language is written from right to left."""
    first, *rest = re.split(r"[-_]", tag)
    script = next((part.title() for part in rest if len(part) == 4), "")
    if script:
        return script in _RIGHT_TO_LEFT_SCRIPTS
    known = _languages().get(_family(first))
    return known.right_to_left if known else False


def autonym(tag: str) -> str:
    """The language's name in itself, such as `Deutsch`; the tag where we do not know it."""
    known = _languages().get(_family(tag))
    return known.autonym if known and known.autonym else tag


def language_name(tag: str, reader: str) -> str:
    """The language's name for who reads `reader`, such as `German`; else its autonym, or tag."""
    try:
        locale = Locale.parse(reader, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    try:
        # Who reads one way to write Chinese is told of the other by its script.
        other = _family(tag) == "zh" and _family(reader) == "zh-Hant"
        # Without what is likely: Babel takes a language that nobody knows (`und`) for English.
        named = Locale.parse("zh-Hans" if other else tag, sep="-", resolve_likely_subtags=False)
        name = named.get_display_name(locale)
    except (UnknownLocaleError, ValueError):
        # Many languages have a name, but no locale of their own.
        name = locale.languages.get(tag.partition("-")[0])
    return name or autonym(tag)


def strip_noise(text: str) -> str:
    """The text without what has no language: links, addresses, code, order numbers, mentions."""
    plain = unicodedata.normalize("NFC", text)
    if _NOISE_SIGN.search(plain):
        plain = _NOISE.sub(" ", plain)
    return " ".join(plain.split())


def count_letters(text: str) -> int:
    """How many letters of words remain once noise is stripped; a wide (CJK) one counts twice."""
    plain = strip_noise(text[:_MAX_CHARS])
    # Python counts Roman numerals and superscripts as word characters, but not as letters.
    return sum(1 + bool(_UNSPACED.match(sign)) for sign in plain if sign.isalpha())


def requested_language(text: str) -> str | None:
    """The language that the customer asks to be answered in, as in "in Deutsch bitte"."""
    plain = _plain(text[:_MAX_CHARS])
    whole = _CLAUSE_END.sub(" ", plain).strip()
    for clause in (plain, *_SENTENCE_END.split(plain), *_CLAUSE_END.split(plain)):
        found = _wish(clause.strip(" .!?¿¡。！？"), alone=clause.strip(" .!?¿¡。！？") == whole)
        if found:
            return found
    return None


def without_request(text: str) -> str:
    """A message without the clauses that ask for a language; empty if it says nothing else."""
    wanted = requested_language(text)
    if wanted is None:
        return text
    parts = _GAP.split(text)
    clauses = zip(parts[::2], [*parts[1::2], ""], strict=True)
    rest = "".join(said + end for said, end in clauses if not _only_requests(said, wanted))
    return rest.strip(" ,;:，、；：،؛(") if any(map(str.isalnum, rest)) else ""


def choose(
    text: str,
    guesses: Sequence[tuple[str, float]],
    *,
    previous: str | None,
    chosen: bool,
    hint: str | None,
    default: str,
    supported: Collection[str] = (),
) -> Choice:
    """Weigh one message against what the conversation already showed.

    `guesses` are a detector's, `chosen` says that the customer picked `previous`, `hint` is the
    platform's; an empty `supported` means any language.
    """
    wish = requested_language(text)
    if wish and _among(wish, supported):
        return Choice(language=wish, sure=True, requested=True)
    if chosen and previous:
        return Choice(language=previous, sure=True, requested=True)
    hint = _family(hint) if hint and _among(hint, supported) else None
    stay = previous or hint or default
    letters = count_letters(text)
    kanji = same_language(stay, "ja") and _may_be_japanese(text)
    if not letters or _says_nothing(text) or kanji:
        return Choice(language=stay, sure=previous is not None)
    weighed = _weigh(guesses, letters, previous=previous, hint=hint)
    best, chance = next(((tag, p) for tag, p in weighed if _among(tag, supported)), (stay, 0.0))
    if previous and same_language(best, previous):
        return Choice(language=previous, sure=True)
    if previous and _is_one_word(text) and _script(best) == _script(previous):
        return Choice(language=previous, sure=True)
    bar = _bar(letters) if previous else _FIRST if stay == default else _SURE
    if chance >= bar:
        return Choice(language=best, sure=previous is not None or chance >= _SURE)
    return Choice(language=stay, sure=previous is not None)


def _family(tag: str) -> str:
    normal = normalise_tag(tag)
    return normal if normal == "zh-Hant" else normal.partition("-")[0]


def _among(tag: str, supported: Collection[str]) -> bool:
    return not supported or any(same_language(tag, one) for one in supported)


def _says_nothing(text: str) -> bool:
    words = _WORD.findall(strip_noise(text[:_MAX_CHARS]).lower())
    return len(words) <= 2 and all(_ANYWHERE.match(word) for word in words)


def _weigh(
    guesses: Iterable[tuple[str, float]], letters: int, *, previous: str | None, hint: str | None
) -> list[tuple[str, float]]:
    """Guesses with the conversation as prior: strong for a short text, faint for a long one."""
    weights = {
        tag: p
        * (1 + 60 / letters if previous and same_language(tag, previous) else 1)
        * (1 + 12 / letters if hint and same_language(tag, hint) else 1)
        for tag, p in guesses
    }
    # What the guesses leave open stays open, so that one weak guess does not become certain.
    total = max(1.0, sum(weights.values()))
    return sorted(((tag, w / total) for tag, w in weights.items()), key=lambda pair: -pair[1])


def _bar(letters: int) -> float:
    """The probability that a text of so many letters must reach to switch the language."""
    return min(0.97, 0.55 + 4 / letters)


def _is_one_word(text: str) -> bool:
    return len(_WORD.findall(strip_noise(text[:_MAX_CHARS]))) == 1


def _script(tag: str) -> str:
    """The script that a language is mostly written in, such as `Latn`; empty if unknown."""
    likely: str = get_global("likely_subtags").get(_family(tag).replace("-", "_"), "__")
    return likely.split("_")[1]


def _may_be_japanese(text: str) -> bool:
    """Whether a text is in kanji alone that Japanese writes, as its short notes are."""
    plain = strip_noise(text[:_MAX_CHARS])
    signs = {sign for sign in plain if sign.isalpha() and not sign.isascii()} - {"々"}
    codes = [sign.encode("shift_jis", "replace") for sign in signs]
    in_use = all(_FIRST_KANJI <= code <= _LAST_KANJI for code in codes)
    short = len(plain) <= _LONGEST_NOTE
    return bool(codes) and short and in_use and not _CHINESE.search(plain)


@cache
def _names() -> re.Pattern[str]:
    names = sorted(_tag_by_name(), key=len, reverse=True)
    spaced = "|".join(re.escape(name) for name in names if not _UNSPACED.search(name))
    unspaced = "|".join(re.escape(name) for name in names if _UNSPACED.search(name))
    return re.compile(rf"(?<![\w])(?:{spaced})(?![\w])|(?:{unspaced})")


@cache
def _tag_by_name() -> dict[str, str]:
    return {name: one.tag for one in _languages().values() for name in one.names if name}


def _wish(clause: str, *, alone: bool) -> str | None:
    """The language that a clause asks for, if the clause says nothing else."""
    found = _names().findall(clause)
    tags = {_tag_by_name()[name] for name in found}
    if len(tags) != 1:
        return None
    others = _WORD.findall(_names().sub(" ", clause))
    if not others and not alone:
        return None
    # "Polish it", "the same Danish again".
    if not _AGAIN.isdisjoint(others) and "in" not in others:
        return None
    return tags.pop() if all(map(_belongs_to_a_wish, others)) else None


def _only_requests(clause: str, wanted: str) -> bool:
    """Whether a clause is the wish for that language, or has no word that could not stand in it."""
    plain = _plain(clause).strip(" .!?¿¡。！？")
    if _wish(plain, alone=True) == wanted:
        return True
    words = _WORD.findall(plain)
    asks = any(map(str.isdigit, clause)) or _OWN_DOING.search(plain)
    return bool(words) and not asks and all(map(_belongs_to_a_wish, words))


def _plain(text: str) -> str:
    """Small letters without noise, as the words of wishes are listed."""
    return strip_noise(text).lower().replace("’", "'")


def _belongs_to_a_wish(word: str) -> bool:
    known = _request_words()
    return (
        word in known
        or all(part in known for part in word.split("-"))
        or not _WISH_PIECES.sub("", word)
    )
