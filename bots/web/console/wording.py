"""The console's texts in the languages that staff read."""

import gettext
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from babel.support import Translations

from bots.web.texts import PageLanguage, page_languages
from core.language import normalise_tag

LOCALE_DIR = Path(__file__).parent / "locale"
# A domain of its own: `core/phrases.py` holds what customers read, in more languages and as whole
# polite sentences; here stand a few hundred labels, most of them in templates.
DOMAIN = "console"
ENGLISH = "en"


def _(text: str) -> str:
    """Mark a text for extraction into the catalogues."""
    return text


@lru_cache(maxsize=1)
def console_languages() -> Mapping[str, PageLanguage]:
    """English and every language that has a catalogue, by tag, by their own names."""
    tags = {ENGLISH, *(normalise_tag(path.name) for path in LOCALE_DIR.iterdir())}
    return {tag: each for tag, each in page_languages().items() if tag in tags}


def console_language(*wanted: str | None) -> str:
    """The first of these tags that the console can be shown in, or English."""
    for tag in wanted:
        known = normalise_tag(tag or "")
        for served in (known, known.partition("-")[0]):
            if served in console_languages():
                return served
    return ENGLISH


@lru_cache(maxsize=64)
def translations(language: str) -> gettext.NullTranslations:
    """The catalogue of a language that `console_languages` names."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    return Translations.load(LOCALE_DIR, [language.replace("-", "_")], DOMAIN)
