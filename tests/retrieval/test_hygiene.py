import unicodedata

import pytest

from retrieval.hygiene import clean, tidy


@pytest.mark.parametrize(
    "hidden",
    [
        "\U000e0041\U000e0042",
        "\u200b",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u202e",
        "\u2066",
        "\ufe0f",
        "\ufe00\ufe01\ufe02",
        "\x00",
        "\ud83d",
    ],
)
def test_what_nobody_can_see_is_dropped(hidden: str) -> None:
    assert clean(f"pay{hidden}ment") == "payment"


@pytest.mark.parametrize(
    "text",
    ["می‌خواهم", "क्‍ष", "❤️", "1️⃣", "👩‍💻", "葛\U000e0100城"],
)
def test_joiners_and_honest_selectors_stay(text: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", text)


def test_a_run_of_selectors_after_a_symbol_carries_data_and_is_dropped() -> None:
    assert clean("😀" + "\ufe01\ufe0a\ufe05") == "😀"


def test_text_is_composed_and_its_breaks_are_line_feeds() -> None:
    assert clean("Cafe\u0301\r\nbar\rbaz") == "Café\nbar\nbaz"


def test_blanks_are_squeezed_and_paragraphs_kept() -> None:
    assert tidy("  a \u00a0 b \n\n\n\n c\t d ") == "a b\n\nc d"
