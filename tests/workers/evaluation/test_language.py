"""Scores of language detection."""

from pathlib import Path

from retrieval.knowledge import silent
from tests.workers.evaluation.rows import write_rows
from workers.evaluation.language import judge
from workers.evaluation.scores import by_language, intervals, overall

GERMAN = "Wann kommt mein Paket endlich bei mir an?"
ENGLISH = "When will my parcel arrive at my house?"
PORTUGUESE = "Quando é que a minha encomenda vai chegar?"


async def test_codes_of_every_standard_name_one_language(tmp_path: Path) -> None:
    rows = [{"lang": code, "text": GERMAN} for code in ("de", "deu", "de-AT", "DE_ch")]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    assert overall(judged)["accuracy"] == overall(judged)["macro_f1"] == 1.0
    assert {tag: one["rows"] for tag, one in by_language(judged).items()} == {
        "de": 2,
        "de-AT": 1,
        "de-CH": 1,
    }


async def test_a_wrong_guess_lowers_the_f1_of_both_languages(tmp_path: Path) -> None:
    rows = [
        *({"lang": "deu", "text": text} for text in (GERMAN, GERMAN, ENGLISH)),
        {"lang": "en", "text": ENGLISH},
        {"lang": "pt-BR", "text": PORTUGUESE},
    ]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    german, english, portuguese = (by_language(judged)[tag] for tag in ("de", "en", "pt-BR"))
    assert (german["accuracy"], german["macro_f1"], german["rows"]) == (0.6667, 0.8, 3)
    assert (english["accuracy"], english["macro_f1"]) == (1.0, 0.6667)
    assert portuguese["macro_f1"] == 1.0
    assert overall(judged)["accuracy"] == 0.8
    assert overall(judged)["macro_f1"] == round((0.8 + 2 / 3 + 1) / 3, 4)
    assert overall(judged)["us_per_row"] > 0
    low, high = intervals(judged)["accuracy"]
    assert low < 0.8 < high
    assert intervals(judged) == intervals(judged)


async def test_a_text_without_letters_is_a_miss(tmp_path: Path) -> None:
    rows = [{"lang": "de", "text": "12345"}, {"lang": "de", "text": ""}]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    assert overall(judged)["accuracy"] == 0.0
