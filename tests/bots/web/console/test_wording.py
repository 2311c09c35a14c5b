"""Staff read the console in their own language, whole."""

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from bots.web.console.screens import locale_of
from bots.web.console.wording import LOCALE_DIR, console_language, console_languages

CONSOLE = LOCALE_DIR.parent
PROMISED = {
    *("en", "zh", "es", "fr", "de", "pt", "it", "nl", "ru", "ja"),
    *("ko", "ar", "tr", "pl", "vi", "id", "uk", "hi"),
}
CATALOGUES = sorted(path.name for path in LOCALE_DIR.iterdir())
# Words that several languages share are all shorter.
SHARED_CHARS = 14
SCRIPTS = {
    "ar": r"[\u0600-\u06ff]",
    "hi": r"[\u0900-\u097f]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "ru": r"[\u0400-\u04ff]",
    "uk": r"[\u0400-\u04ff]",
    "zh": r"[\u4e00-\u9fff]",
}


def used() -> set[str]:
    """Every text that the templates and pages name."""
    methods = [("templates/**.html", "jinja2"), ("**.py", "python")]
    return {str(found[2]) for found in extract_from_dir(str(CONSOLE), method_map=methods)}


def catalogue(name: str) -> Catalog:
    with (LOCALE_DIR / name / "LC_MESSAGES" / "console.po").open("rb") as file:
        return read_po(file, locale=name, abort_invalid=True)


def translated(name: str) -> dict[str, str]:
    return {str(each.id): str(each.string) for each in catalogue(name) if each.id}


def fields(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s", text))


def test_the_console_is_there_in_the_promised_languages() -> None:
    assert set(console_languages()) == PROMISED


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_holds_every_text_and_nothing_else(name: str) -> None:
    texts = translated(name)
    assert set(texts) == used()
    assert not [text for text, said in texts.items() if not said.strip()]
    assert not [message.id for message in catalogue(name) if message.fuzzy and message.id]


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_translation_keeps_its_fields_and_is_not_english(name: str) -> None:
    for text, said in translated(name).items():
        assert fields(said) == fields(text), text
        assert "%" not in re.sub(r"%\(\w+\)s", "", said), text
        assert said != text or len(text) <= SHARED_CHARS, text


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_translation_is_written_in_the_script_of_its_language(name: str) -> None:
    plain = {text: re.sub(r"%\(\w+\)s", "", said) for text, said in translated(name).items()}
    wrong = [text for text, said in plain.items() if not re.search(SCRIPTS[name], said)]
    assert set(wrong) <= {"%(shown)s of %(total)s"}


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_compiled_catalogue_is_the_one_beside_it(name: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.mo"
    with fresh.open("wb") as file:
        write_mo(file, catalogue(name))
    kept = LOCALE_DIR / name / "LC_MESSAGES" / "console.mo"
    with kept.open("rb") as old, fresh.open("rb") as new:
        known, again = gettext.GNUTranslations(old), gettext.GNUTranslations(new)
    assert all(known.gettext(text) == again.gettext(text) for text in used())


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        (["de-AT"], "de"),
        (["sw", "pt-BR"], "pt"),
        (["fi"], "en"),
        ([None, ""], "en"),
        (["AR"], "ar"),
    ],
)
def test_an_account_s_language_picks_the_closest_catalogue(
    wanted: list[str | None], served: str
) -> None:
    assert console_language(*wanted) == served


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_dates_and_numbers_follow_the_language(name: str) -> None:
    assert locale_of(name).language == name
