"""The language of the page."""

import pytest

from bots.web.texts import accepted, page_language, page_languages, page_texts


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", ("de-AT", "de", "en")),
        ("en;q=0.1, fr", ("fr", "en")),
        ("*", ()),
        ("en;q=zero, de;q=0", ()),
        ("", ()),
        ("x" * 10_000, ()),
    ],
)
def test_accept_language_is_read_best_first(header: str, tags: tuple[str, ...]) -> None:
    assert accepted(header) == tags


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        (["de-AT"], "de"),
        (["zh-TW"], "zh-Hant"),
        (["zh-CN"], "zh"),
        (["pt-BR"], "pt"),
        (["nb-NO"], "no"),
        (["sw", "ar-EG"], "ar"),
        (["no such", None, ""], "fr"),
    ],
)
def test_the_page_speaks_the_first_language_that_it_can(
    wanted: list[str | None], served: str
) -> None:
    assert page_language(wanted, "fr") == served


def test_a_default_that_we_cannot_speak_is_english() -> None:
    assert page_language([], "sw") == "en"


def test_every_language_has_all_texts_its_name_and_its_direction() -> None:
    assert {"en", "de", "ar", "zh", "zh-Hant", "hi"} <= set(page_languages())
    for tag, language in page_languages().items():
        texts = page_texts(tag, max_chars=4_000)
        assert all(texts.values()), tag
        assert "{" not in texts["TOO_LONG"], tag
        assert language.name, tag
    rtl = {tag for tag, each in page_languages().items() if each.direction == "rtl"}
    assert {"ar", "fa", "he"} <= rtl
    assert "en" not in rtl
