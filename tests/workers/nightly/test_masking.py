"""What says who is meant is masked where people say it, and from then on wherever it stands."""

from collections.abc import Sequence

import pytest

from core.adapters.documents import Document
from workers.nightly.masking import Masker, Public

ARTICLE = Document(
    id="en/seats",
    title="Seats",
    text="The Velora 300 child seat fits on the Trekker. Mark the parcel, and order by phone.",
    language="en",
)


def masked(*texts: str, staff: Sequence[str] = ()) -> list[str]:
    """The texts of one conversation."""
    masker = Masker(staff=staff, public=Public([ARTICLE]))
    return [masker.mask(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("hi, my name is john smith", "hi, my name is ⟦NAME_1⟧"),
        ("my name is john and i need help", "my name is ⟦NAME_1⟧ and i need help"),
        ("My name's maria lopez, hello", "My name's ⟦NAME_1⟧, hello"),
        ("hallo ich heiße anna müller und warte", "hallo ich heiße ⟦NAME_1⟧ und warte"),
        ("bonjour, je m'appelle chloé", "bonjour, je m'appelle ⟦NAME_1⟧"),
        ("me llamo josé garcía.", "me llamo ⟦NAME_1⟧."),
        ("меня зовут анна, где заказ?", "меня зовут ⟦NAME_1⟧, где заказ?"),
        ("nama saya budi santoso", "nama saya ⟦NAME_1⟧"),
        ("nama saya adalah budi", "nama saya adalah ⟦NAME_1⟧"),
        ("benim adım ayşe", "benim adım ⟦NAME_1⟧"),
        ("tôi tên là minh", "tôi tên là ⟦NAME_1⟧"),
        ("اسمي أحمد", "اسمي ⟦NAME_1⟧"),
    ],
)
def test_a_name_that_somebody_tells_is_one_in_small_letters_too(text: str, left: str) -> None:
    assert masked(text) == [left]


@pytest.mark.parametrize(
    "text",
    [
        "this is urgent, i am angry",
        "i am called back by nobody",
        "my name is not on the list",
        "my name is misspelled on the parcel",
        "Mein Name ist falsch geschrieben",
        "mijn naam is verkeerd gespeld",
        "mi nombre es incorrecto",
        "nama saya salah ditulis",
        "اسمي غير صحيح",
    ],
)
def test_what_is_no_name_stays(text: str) -> None:
    assert masked(text) == [text]


def test_a_name_that_was_told_is_masked_wherever_it_stands_then() -> None:
    told, *later = masked(
        "Hello, my name is Maria Lopez. Maria is fine.",
        "Of course Maria, you can.",
        "Is that MARIA LOPEZ's order, or Lopez, Maria's?",
        "Marianne is somebody else",
    )
    assert told == "Hello, my name is ⟦NAME_1⟧. ⟦NAME_1⟧ is fine."
    assert later == [
        "Of course ⟦NAME_1⟧, you can.",
        "Is that ⟦NAME_1⟧'s order, or ⟦NAME_1⟧, ⟦NAME_1⟧'s?",
        "Marianne is somebody else",
    ]


def test_a_name_told_in_small_letters_is_known_in_capitals() -> None:
    assert masked("my name is john smith", "Of course John, Mr Smith.", "thanks, john") == [
        "my name is ⟦NAME_1⟧",
        "Of course ⟦NAME_1⟧, Mr ⟦NAME_1⟧.",
        "thanks, ⟦NAME_1⟧",
    ]


def test_a_word_that_a_name_is_too_stays_in_small_letters() -> None:
    assert masked("My name is Rose Will.", "Will the rose come, Rose?") == [
        "My name is ⟦NAME_1⟧.",
        "⟦NAME_1⟧ the rose come, ⟦NAME_1⟧?",
    ]


def test_a_name_in_the_articles_is_masked_if_somebody_has_told_it() -> None:
    assert masked("My name is Mark Jones.", "Sure, Mark.") == [
        "My name is ⟦NAME_1⟧.",
        "Sure, ⟦NAME_1⟧.",
    ]


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("I want size M Trekker in red.", "The Trekker is here."),
        ("Does it fit?\nKind regards\nVelora Fans", "The Velora 300 does."),
        ("my name is anna order 4", "Your Order is here."),
        ("Hello Where is my parcel", "Where do you live?"),
    ],
)
def test_what_only_looks_like_a_name_is_not_masked_everywhere(first: str, later: str) -> None:
    assert masked(first, later)[1] == later


def test_a_number_that_somebody_calls_theirs_is_masked() -> None:
    assert masked("мой номер: 8 912 345 67 89") == ["мой номер: ⟦PHONE_1⟧"]
    assert masked("My number is 07700900123") == ["My number is ⟦PHONE_1⟧"]


def test_whoever_is_greeted_or_signs_is_known_from_then_on() -> None:
    assert masked("Dear Ms Karlsson,\nit is on its way.", "Thanks! Karlsson") == [
        "Dear Ms ⟦NAME_1⟧,\nit is on its way.",
        "Thanks! ⟦NAME_1⟧",
    ]
    assert masked("Where is it?\nRegards,\nJohn Doe", "It is late, John.")[1] == (
        "It is late, ⟦NAME_1⟧."
    )


@pytest.mark.parametrize("name", ["Theresa", "Allison", "Sirina"])
def test_a_name_that_begins_like_a_form_of_address_is_one(name: str) -> None:
    assert masked(f"Dear {name},\nit is here.") == ["Dear ⟦NAME_1⟧,\nit is here."]
    for nobody in ("Customer", "all", "Team", "Kunden"):
        assert masked(f"Dear {nobody},\nit is here.") == [f"Dear {nobody},\nit is here."]


def test_an_agent_s_words_have_one_mark() -> None:
    assert masked("I am Tom Becker.", "Ask Tom or Becker.", staff=["Tom Becker"]) == [
        "I am ⟦NAME_1⟧.",
        "Ask ⟦NAME_1⟧ or ⟦NAME_1⟧.",
    ]
