"""What is kept of a row, and what of it."""

import pytest

from tests.workers.training.dataset.rows import about, label, parallel, reply
from workers.training.dataset.cleaning import Cleaner, Cleaning, Reason, redacted
from workers.training.dataset.examples import Example, Label, Parallel, Question, Reply, Tokens

SENTENCE = "Wir erstatten Ihnen den Betrag innerhalb von zehn Tagen."
CLEANER = Cleaner(Cleaning())


def cleaned(row: Example, **how: object) -> Example | Reason:
    cleaner = Cleaner(Cleaning.model_validate(how)) if how else CLEANER
    return cleaner.clean(row)


def test_text_is_composed_and_freed_of_what_nobody_sees() -> None:
    row = label(1, text="Mu\u0308ll\u200b <b>und</b>\u0007 Ärger &amp; Kosten<br/>", lang="de")
    kept = cleaned(row)
    assert isinstance(kept, Label)
    assert kept.text == "Müll und Ärger & Kosten"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (label(1, text="<br/>"), Reason.EMPTY),
        (parallel(1, target="&nbsp;"), Reason.EMPTY),
        (label(1, text="x" * 9_000), Reason.TOO_LONG),
        (label(1, text="{{ user }} | <% x %>"), Reason.MARKUP),
        (parallel(1, text="Hi", target="ja " * 40), Reason.LENGTH_RATIO),
        (parallel(1, text="Pay by card now", target="pay by card  now!"), Reason.UNTRANSLATED),
        (label(1, text=SENTENCE, lang="fr"), Reason.WRONG_LANGUAGE),
        (
            parallel(1, text="We refund you.", target=SENTENCE, target_lang="es"),
            Reason.WRONG_LANGUAGE,
        ),
    ],
)
def test_a_row_that_teaches_nothing_is_left_out_with_its_reason(
    row: Example, reason: Reason
) -> None:
    assert cleaned(row) is reason


def test_limits_and_languages_are_the_recipes() -> None:
    assert cleaned(label(1, text=SENTENCE, lang="fr"), languages=False) != Reason.WRONG_LANGUAGE
    assert cleaned(label(1, text=SENTENCE, lang="de"), max_chars=20) is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("{x} < {y}", "en"),
        (SENTENCE, "de-AT"),
        ("OK", "de"),
        ("iPhone", "ja"),
        ("Obrigado pela ajuda de hoje", "pt-BR"),
    ],
)
def test_placeholders_short_texts_and_regions_are_no_fault(text: str, lang: str) -> None:
    assert isinstance(cleaned(label(1, text=text, lang=lang)), Label)


def test_a_customers_data_is_masked_and_the_companys_is_not() -> None:
    row = reply(
        "I am ada@example.org, who answers?",
        "Write to help@shop.example, ada@example.org, or bob@example.org. [1]",
        passages=("Our address is help@shop.example.",),
    )
    kept = redacted(row)
    assert isinstance(kept, Reply)
    assert kept.messages[0].text == "I am ⟦EMAIL_1⟧, who answers?"
    assert kept.passages == row.passages
    words = kept.reply
    assert words.startswith("Write to help@shop.example, ⟦EMAIL_1⟧, or ⟦EMAIL_")
    assert "bob" not in words


def test_one_value_has_one_mark_on_both_sides_of_a_translation() -> None:
    kept = redacted(parallel(1, text="Mail ada@example.org", target="An ada@example.org"))
    assert isinstance(kept, Parallel)
    assert (kept.text, kept.target) == ("Mail ⟦EMAIL_1⟧", "An ⟦EMAIL_1⟧")
    asked = Question.model_validate({**about(1), "query": "I am a@b.org", "passage": "c@d.org"})
    kept_question = redacted(asked)
    assert isinstance(kept_question, Question)
    assert (kept_question.query, kept_question.passage) == ("I am ⟦EMAIL_1⟧", "c@d.org")


def test_words_with_tags_stay_as_they_were_tagged() -> None:
    fields = {"tokens": ("Mail", "ada@example.org"), "tags": ("O", "B-EMAIL")}
    row = Tokens.model_validate({**about(1), **fields})
    assert cleaned(row) == row
