"""Where a sentence ends, in whole texts and in the making."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sentences import Splitter, split


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It costs 4.50 EUR. Then go!", ["It costs 4.50 EUR. ", "Then go!"]),
        ("You have 30 days. [1] Done.", ["You have 30 days. [1] ", "Done."]),
        (
            "Ask e.g. Dr. No at shop.example now. Yes.",
            ["Ask e.g. Dr. No at shop.example now. ", "Yes."],
        ),
        ("Am 3. Mai, z. B. um 9 Uhr. Gut.", ["Am 3. Mai, z. B. um 9 Uhr. ", "Gut."]),
        (
            "Das kostet 8 €. Bis dahin gilt 5 %. Gut.",
            ["Das kostet 8 €. ", "Bis dahin gilt 5 %. ", "Gut."],
        ),
        ("1. Open\n2. Close", ["1. Open\n", "2. Close"]),
        ("14天内可退。更多【1】！", ["14天内可退。", "更多【1】！"]),
        ("هل هذا؟ نعم۔ شكرا", ["هل هذا؟ ", "نعم۔ ", "شكرا"]),
        ("यह है। वह भी।", ["यह है। ", "वह भी।"]),
        ("He said “go.” Then left.", ["He said “go.” ", "Then left."]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


@given(st.text(alphabet="ab. 1[]!?。\n”€%", max_size=80), st.integers(1, 7))
def test_pieces_of_any_size_give_the_same_sentences(text: str, size: int) -> None:
    splitter = Splitter()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.rest()
    assert "".join(found).strip() == text.strip()
    assert found == split(text)


def test_a_sentence_without_end_is_given_out_all_the_same() -> None:
    splitter = Splitter()
    assert sum(len(part) for _ in range(30) for part in splitter.feed("word " * 100)) > 10_000
