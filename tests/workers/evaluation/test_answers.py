"""Scores of whole answers."""

from dataclasses import replace
from pathlib import Path

from core.adapters.detector import CombinedDetector
from core.escalation import Policy
from core.pipeline import Pipeline, always
from core.turn import Answer, Passage, Served
from core.verify import Fault
from tests.workers.evaluation.rows import write_rows
from tests.workers.evaluation.shop import DOCUMENTS, IN_ENGLISH, IN_FRENCH, IN_GERMAN, RETURNS
from workers.evaluation.answers import _faults, is_in_language, judge
from workers.evaluation.product import Product
from workers.evaluation.scores import by_language, overall

PASSAGE = Passage(id="1#1", document="1", title="Returns", text=RETURNS, language="en")


async def test_answers_are_right_wrong_or_handed_over(product: Product, tmp_path: Path) -> None:
    queries = [
        IN_ENGLISH,
        IN_ENGLISH | {"answer": "30  DAYS"},
        IN_ENGLISH | {"answer": "90 days"},
        IN_ENGLISH | {"doc_id": "delivery"},
        IN_GERMAN,
        IN_FRENCH,
    ]
    documents = write_rows(tmp_path / "documents.jsonl", DOCUMENTS)
    judged = await judge([documents, write_rows(tmp_path / "queries.jsonl", queries)], product)
    english, german, french = (by_language(judged)[tag] for tag in ("en", "de", "fr"))
    assert (english["right"], english["wrong"], english["handed_over"]) == (0.5, 0.5, 0.0)
    assert english["grounded"] == english["right_language"] == 1.0
    assert (german["right"], german["right_language"]) == (1.0, 1.0)
    assert (french["handed_over"], french["right_language"], french["grounded"]) == (1.0, 1.0, 0.0)
    found = overall(judged)
    assert found["handed_over"] == round(1 / 6, 4)
    assert found["grounded"] == 1.0, "a share of the answers, not of the questions"
    assert found["sentences_supported"] == found["numbers_right"] == found["links_right"] == 1.0
    assert 0 < found["calibration_error"] < 1
    assert found["exact_match"] == 0.0, "a whole passage is more than the two words asked for"
    assert 0 < found["token_f1"] < 0.5
    assert "token_f1" not in german, "nobody gave the German answer"


async def test_a_search_that_takes_too_long_is_told(product: Product, tmp_path: Path) -> None:
    pipeline = Pipeline(
        CombinedDetector(), product.retrieval.retriever, policies=always(Policy(search_s=0.0))
    )
    documents = write_rows(tmp_path / "documents.jsonl", DOCUMENTS)
    queries = write_rows(tmp_path / "queries.jsonl", [IN_ENGLISH, IN_GERMAN])
    judged = await judge([documents, queries], replace(product, pipeline=pipeline))
    assert overall(judged)["handed_over"] == 1.0
    assert judged.notes == ("handed over since a search failed or took too long: 2",)


def test_a_reply_with_a_sentence_from_nowhere_is_not_grounded() -> None:
    honest = Answer(text="You can return it within 30 days.", citations=(PASSAGE,))
    invented = Answer(text=f"{honest.text} Returns cost 5 euros.", citations=(PASSAGE,))
    assert _faults(honest, "Can I return it?", "en") == [None]
    assert _faults(invented, "Can I return it?", "en") == [None, Fault.NUMBER]


def test_a_quotation_in_a_foreign_language_is_grounded_but_in_the_wrong_language() -> None:
    text = f"Diesen Artikel gibt es nur auf English:\n\n{RETURNS}"
    quoted = Answer(text=text, citations=(PASSAGE,), verbatim=True)
    assert _faults(quoted, "Kann ich das zurückgeben?", "de") == [None, None]
    assert not is_in_language(Served(outcome=quoted, language="de", probability=0.9), "de")
    assert not is_in_language(Served(outcome=quoted, language="de", probability=0.9), "en")


def test_a_heading_for_which_there_was_no_room_is_no_claim() -> None:
    text = f"{RETURNS}\n\nRefunds for 30 partners …"
    quoted = Answer(text=text, citations=(PASSAGE,), verbatim=True)
    assert _faults(quoted, "Can I return it?", "en") == [None, None]
    written = Answer(text=text, citations=(PASSAGE,))
    assert Fault.NUMBER in _faults(written, "Can I return it?", "en")
