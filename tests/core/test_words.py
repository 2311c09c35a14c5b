"""Forms of one word, and words that carry meaning."""

import pytest

from core.words import content, normal, same_word, share_found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return", "returned"),
        ("rückgabe", "rückgaben"),
        ("kosmetik", "naturkosmetik"),
        ("kirim", "dikirim"),
        ("доставка", "доставки"),
    ],
)
def test_forms_of_one_word_are_the_same_word(one: str, other: str) -> None:
    assert same_word(one, other)


@pytest.mark.parametrize(("one", "other"), [("pay", "payment"), ("sale", "salt"), ("or", "order")])
def test_words_that_share_a_beginning_only_are_not(one: str, other: str) -> None:
    assert not same_word(one, other)


def test_content_leaves_out_what_every_text_has() -> None:
    assert content("You can return the items within 30 days") == (
        "return",
        "items",
        "within",
        "days",
    )
    assert content("الإرجاع") == content("إرجاع")
    assert content("退货") == ("退货",)
    assert content("教えてください") == ("教え",)
    assert content("りんご") == ("りん", "んご")


def test_marks_belong_to_their_word() -> None:
    assert len(content("दिनों भीतर")) == 2


def test_texts_that_look_the_same_are_the_same() -> None:
    assert normal("Ｆu\u200bll") == normal("full")


def test_a_share_of_nothing_is_whole() -> None:
    assert share_found((), ("a",)) == 1.0
    assert share_found(("returns", "banana"), ("return",)) == 0.5
