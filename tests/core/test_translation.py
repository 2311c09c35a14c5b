"""What must not change in a translation does not, whatever a model does to it."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.translation import (
    BRACKETS,
    PLAIN_BRACKETS,
    Fault,
    Guard,
    Term,
    fault_of,
    pieces,
    protect,
    restore,
    speaks,
    tidy,
)

KEPT = [
    "https://shop.example/returns?id=7&x=1",
    "www.shop.example",
    "anna.b+x@shop.example",
    "+49 151 23456789",
    "AB-12345",
    "SAVE20",
    "@anna_b",
    "`dragoman run`",
    "```\nfor x in 1:\n  pass\n```",
    "$1,299.00",
    "1.299,00 €",
    "3月5日",
    "1万円",
    "03/04/2026",
    "14:30",
    "٣٠",
    "👩🏽‍💻",
    "❤️",
    "⟦EMAIL_1⟧",
    "⟦7⟧",
    "<@U012AB3CD>",
    "<https://shop.example|our shop>",
    "{name}",
    "{{ order }}",
    "%s",
    ":white_check_mark:",
    "DE89 3704 0044 0532 0130 00",
    "sk-abcdefghijklmnopqrstuvwxyz",
]
words = st.text(st.characters(codec="utf-8"), max_size=20)
mixes = st.lists(st.one_of(words, st.sampled_from(KEPT), st.integers(0, 99_999).map(str))).map(
    " ".join
)
guards = st.sampled_from(list(Guard))
brackets = st.sampled_from([BRACKETS, PLAIN_BRACKETS])
TERMS = (Term(term="Dragoman Desk"), Term(term="returns"))


@given(st.one_of(mixes, st.text()), guards, brackets)
@example("⟦1⟧ `a` ⟦1⟧", Guard.MOST, BRACKETS)
@example("⟦1`⟧`⟧ ⟦ ٣ ⟧", Guard.ALL, BRACKETS)
@example("[[1]] 5", Guard.ALL, PLAIN_BRACKETS)
def test_any_text_comes_back_byte_for_byte(text: str, guard: Guard, brackets: str) -> None:
    protected = protect(text, source="en", target="de", terms=TERMS, guard=guard, brackets=brackets)
    assert restore(protected.text, protected) == text
    assert "".join(piece + gap for piece, gap in pieces(protected.text)) == protected.text
    assert fault_of(protected.text, protected, text, (), target="de") in (None, Fault.ECHO) or (
        not text.strip()
    )


@given(st.lists(st.sampled_from(KEPT), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_marks_survive_in_any_order_and_spacing(kept: list[str], random: Random) -> None:
    text = "Please look at " + " and ".join(kept) + " today."
    protected = protect(text, source="en", target="ja", guard=Guard.ALL)
    marks = [f"⟦ {number} ⟧" for number in range(1, len(protected.kept) + 1)]
    random.shuffle(marks)
    restored = restore("見て" + "、".join(marks) + "ください。", protected)
    assert restored is not None
    for one in kept:
        assert restored.count(one) >= kept.count(one)


@pytest.mark.parametrize("literal", KEPT)
def test_what_must_survive_is_hidden_from_the_model(literal: str) -> None:
    protected = protect(f"Siehe {literal} bitte", source="de", target="en")
    assert literal not in protected.text
    assert literal in protected.kept


@pytest.mark.parametrize(
    "written",
    [
        "Deine Bestellung ist da.",
        "Deine Bestellung ⟦1⟧ ⟦1⟧ ist da.",
        "Deine Bestellung ⟦2⟧ ist da.",
        "Deine Bestellung AB-12345 ist da.",
        "Deine Bestellung ⟦1⟧ ⟦2⟧ ist da.",
    ],
)
def test_a_lost_doubled_or_invented_mark_is_a_fault(written: str) -> None:
    text = "Your order AB-12345 is here."
    protected = protect(text, source="en", target="de")
    assert fault_of(written, protected, text, (), target="de") is Fault.CHANGED


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("Sie haben 14 Tage Zeit.", None),
        ("Sie haben 30 Tage Zeit.", Fault.CHANGED),
        ("Sie haben Tage Zeit.", Fault.CHANGED),
        ("Sie haben 14 von 45 Tagen Zeit.", Fault.CHANGED),
        ("Sie haben 14 Tage Zeit, also 2 Wochen.", None),
        ("Sie haben 14 Tage Zeit: https://evil.example", Fault.CHANGED),
        ("Sie haben 14 Tage Zeit, schreiben Sie an x@evil.example.", Fault.CHANGED),
        ("", Fault.CHANGED),
        ("As an AI language model I cannot translate 14.", Fault.REFUSED),
        ("You have 14 days to return it.", Fault.ECHO),
        ("14 Tage " + "und noch mehr Worte " * 40, Fault.LENGTH),
    ],
)
def test_plain_numbers_are_seen_by_the_model_and_compared(
    written: str, fault: Fault | None
) -> None:
    text = "You have 14 days to return it."
    protected = protect(text, source="en", target="de")
    assert "14" in protected.text
    assert fault_of(written, protected, text, (), target="de") is fault


def test_a_model_that_loses_marks_is_held_to_the_text_itself() -> None:
    text = "Order AB-12345 costs 14.50 €."
    protected = protect(text, source="en", target="de", guard=Guard.LEAST)
    assert protected.text == text
    good, bad = "Bestellung AB-12345 kostet 14.50 €.", "Bestellung AB-12345 kostet 14,50 €."
    assert fault_of(good, protected, text, (), target="de") is None
    assert fault_of(bad, protected, text, (), target="de") is Fault.CHANGED


def test_a_short_message_may_be_the_same_in_both_languages() -> None:
    for text in ("OK", "PayPal", "Nike Air", "👍 5"):
        protected = protect(text, source="en", target="de")
        assert fault_of(protected.text, protected, text, (), target="de") is None


def test_a_translation_in_the_wrong_language_is_a_fault() -> None:
    text = "Where is my parcel, please? I have been waiting for it."
    protected = protect(text, source="en", target="de")
    written = "Où est mon colis, s'il vous plaît ? Je l'attends depuis longtemps."
    assert fault_of(written, protected, text, [("fr", 0.9)], target="de") is Fault.LANGUAGE
    assert fault_of(written, protected, text, [("fr", 0.5)], target="de") is None
    assert fault_of(written, protected, text, [("de", 0.9)], target="de-AT") is None


@pytest.mark.parametrize(
    ("text", "source", "target", "kept"),
    [
        ("Open the Dragoman Desk now", "en", "de", ("Dragoman Desk",)),
        ("open the dragoman desk now", "en", "de", ("dragoman desk",)),
        ("All returns are free", "en", "de", ("Rücksendungen",)),
        ("Alle Rücksendungen sind frei", "de", "ja", ("返品",)),
        ("返品はできますか", "ja", "de-AT", ("Rücksendungen",)),
        ("All returns are free", "en", "fr", ()),
        ("He returnsomething", "en", "de", ()),
    ],
)
def test_the_glossary_decides_between_two_languages(
    text: str, source: str, target: str, kept: tuple[str, ...]
) -> None:
    terms = [
        Term(term="Desk"),
        Term(term="Dragoman Desk"),
        Term(term="returns", translations={"de": "Rücksendungen", "ja": "返品"}),
    ]
    protected = protect(text, source=source, target=target, terms=terms)
    assert protected.kept == kept
    assert restore(protected.text, protected) is not None


def test_a_long_text_is_cut_at_sentences() -> None:
    text = "  " + "This is a sentence.\nThis is another one! " * 100
    cut = pieces(text, 300)
    assert "".join(piece + gap for piece, gap in cut) == text
    assert max(len(piece) for piece, _ in cut) <= 300
    assert all(piece.endswith((".", "!")) for piece, _ in cut[1:])


def test_what_says_nothing_needs_no_translator() -> None:
    for text in ("👍", "https://shop.example/a", "12.50 €", "`make`", "?!"):
        protected = protect(text, source="en", target="de")
        assert not speaks(protected.text, protected)
    protected = protect("see https://shop.example", source="en", target="de")
    assert speaks(protected.text, protected)


@pytest.mark.parametrize(
    ("written", "original", "said"),
    [
        ("Sure! Here is the translation:\n\nHallo", "Hello", "Hallo"),
        ("Translation into German: Hallo", "Hello", "Hallo"),
        ("“Hallo”", "Hello", "Hallo"),
        ('"Hallo" und "Tschüss"', "'Hello' and 'bye'", '"Hallo" und "Tschüss"'),
        ('"Hallo"', '"Hello"', '"Hallo"'),
        ("Here is the translation: x", "Here is the translation: y", "Here is the translation: x"),
    ],
)
def test_a_models_own_words_around_a_translation_are_taken_off(
    written: str, original: str, said: str
) -> None:
    assert tidy(written, original) == said
