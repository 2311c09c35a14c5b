"""Every customer reads whole sentences of their own language from us."""

import gettext
import re
from pathlib import Path
from string import Formatter

import hanzidentifier
import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from core.phrases import LOCALE_DIR, Phrase, said_in, say

PROMISED = {
    *("zh", "es", "fr", "de", "pt", "it", "nl", "ru", "ja"),
    *("ko", "ar", "tr", "pl", "vi", "id", "uk", "hi"),
}
CATALOGUES = sorted(path.name for path in LOCALE_DIR.iterdir())
SAME_AS_ENGLISH = {
    "da": {Phrase.SEND},
    "fr": {Phrase.SOURCE, Phrase.ASSISTANT, Phrase.DESK_URGENT},
    "nb": {Phrase.SEND},
}
SCRIPTS = {
    "ar": r"[\u0600-\u06ff]",
    "bg": r"[\u0400-\u04ff]",
    "el": r"[\u0370-\u03ff]",
    "fa": r"[\u0600-\u06ff]",
    "he": r"[\u0590-\u05ff]",
    "hi": r"[\u0900-\u097f]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "ru": r"[\u0400-\u04ff]",
    "th": r"[\u0e00-\u0e7f]",
    "uk": r"[\u0400-\u04ff]",
    "zh": r"[\u4e00-\u9fff]",
    "zh_Hant": r"[\u4e00-\u9fff]",
}
TELEGRAM_BUTTONS = (
    Phrase.TALK_TO_PERSON,
    Phrase.HELPFUL,
    Phrase.NOT_HELPFUL,
    Phrase.CHOOSE_LANGUAGE,
    Phrase.ASK_A_QUESTION,
)
SLACK_PROMPTS = (Phrase.PROMPT_RETURN, Phrase.PROMPT_ORDER, Phrase.PROMPT_PAYMENT)


def catalogue(name: str) -> Catalog:
    with (LOCALE_DIR / name / "LC_MESSAGES" / "dragoman.po").open("rb") as file:
        return read_po(file, locale=name, abort_invalid=True)


def compiled(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        translations = gettext.GNUTranslations(file)
    return {phrase: translations.gettext(phrase) for phrase in Phrase}


def fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def translated(name: str) -> dict[Phrase, str]:
    texts = catalogue(name)
    return {phrase: str(getattr(texts.get(phrase.value), "string", "")) for phrase in Phrase}


def test_the_promised_languages_have_catalogues() -> None:
    assert set(CATALOGUES) >= PROMISED


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_holds_every_phrase_and_nothing_else(name: str) -> None:
    texts = catalogue(name)
    assert {message.id for message in texts if message.id} == {phrase.value for phrase in Phrase}
    assert not texts.obsolete
    assert not [message.id for message in texts if message.fuzzy]
    assert not [phrase.name for phrase, text in translated(name).items() if not text.strip()]


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_translation_keeps_the_fields_of_its_phrase(name: str) -> None:
    for phrase, text in translated(name).items():
        assert fields(text) == fields(phrase.value), phrase.name


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_compiled_catalogue_is_the_one_beside_it(name: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.mo"
    with fresh.open("wb") as file:
        write_mo(file, catalogue(name))
    assert compiled(LOCALE_DIR / name / "LC_MESSAGES" / "dragoman.mo") == compiled(fresh)


@pytest.mark.parametrize("name", CATALOGUES)
def test_nothing_is_left_in_english(name: str) -> None:
    same = {phrase for phrase, text in translated(name).items() if text == phrase.value}
    assert same == SAME_AS_ENGLISH.get(name, set())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_translation_is_written_in_the_script_of_its_language(name: str) -> None:
    wrong = [p.name for p, text in translated(name).items() if not re.search(SCRIPTS[name], text)]
    assert not wrong


def test_simplified_and_traditional_chinese_do_not_mix() -> None:
    assert all(hanzidentifier.is_simplified(text) for text in translated("zh").values())
    assert all(hanzidentifier.is_traditional(text) for text in translated("zh_Hant").values())


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_chosen_language_is_confirmed_by_its_own_name(name: str) -> None:
    own_name = Locale.parse(name).get_language_name(name.partition("_")[0])
    assert own_name is not None
    stems = [word[:4] for word in own_name.lower().split()]
    confirmed = say(Phrase.LANGUAGE_SET, name).lower()
    assert any(stem in confirmed for stem in stems)


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_label_fits_its_button(name: str) -> None:
    for phrase in TELEGRAM_BUTTONS:
        assert len(say(phrase, name)) <= 30, phrase.name
    for phrase in SLACK_PROMPTS:
        assert len(say(phrase, name)) <= 75, phrase.name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("de-AT", "de"),
        ("pt-PT", "pt"),
        ("pt-br", "pt"),
        ("ES_mx", "es"),
        ("zh-CN", "zh"),
        ("zh-Hans", "zh"),
        ("zh-Hans-HK", "zh"),
        ("zh-TW", "zh_Hant"),
        ("zh-HK", "zh_Hant"),
        ("ms", "id"),
        ("zh-hant", "zh_Hant"),
        ("zh-Hant-HK", "zh_Hant"),
        ("no", "nb"),
        ("nn-NO", "nb"),
        ("iw", "he"),
    ],
)
def test_a_tag_is_served_by_the_closest_catalogue(tag: str, name: str) -> None:
    assert say(Phrase.LANGUAGE_SET, tag) == translated(name)[Phrase.LANGUAGE_SET]


@pytest.mark.parametrize("tag", ["en", "en-GB", "tlh", "", "-", "../../tests", "x\0y", "a" * 5000])
def test_a_language_without_a_catalogue_is_served_in_english(tag: str) -> None:
    assert say(Phrase.GREETING, tag) == "Hello! How can I help you?"


@pytest.mark.parametrize(
    ("tag", "read"),
    [
        ("pt_BR", "pt-BR"),
        ("en-GB", "en-GB"),
        ("ms", "id"),
        ("yue", "zh-Hant"),
        ("sw", "en"),
        ("", "en"),
    ],
)
def test_dates_and_names_are_in_the_language_of_the_sentence(tag: str, read: str) -> None:
    assert said_in(tag) == read


@pytest.mark.parametrize(("name", "familiar"), [("vi", r"\b[Bb]ạn\b"), ("it", r"\b(?:lei|sua)\b")])
def test_every_customer_is_addressed_as_politely_as_the_others(name: str, familiar: str) -> None:
    texts = translated(name)
    bot_says = list(Phrase)[: list(Phrase).index(Phrase.TALK_TO_PERSON)]
    assert not [phrase.name for phrase in bot_says if re.search(familiar, texts[phrase])]


def test_a_field_is_filled_in() -> None:
    assert "4000" in say(Phrase.TOO_LONG, "ja", limit=4000)
    assert "Deutsch" in say(Phrase.FOREIGN_ARTICLE, "ar", language="Deutsch")


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(KeyError, match="limit"):
        say(Phrase.TOO_LONG, "de")
