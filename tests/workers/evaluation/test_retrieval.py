"""Scores of the search."""

from pathlib import Path

import pytest

from tests.workers.evaluation.rows import write_rows
from tests.workers.evaluation.shop import DOCUMENTS, IN_ENGLISH, IN_FRENCH, IN_GERMAN, asked
from workers.evaluation.product import Product
from workers.evaluation.retrieval import _stated, judge
from workers.evaluation.scores import by_language, overall


async def test_documents_are_ranked_and_translations_are_one(
    product: Product, tmp_path: Path
) -> None:
    documents = write_rows(tmp_path / "documents.jsonl", DOCUMENTS)
    queries = write_rows(tmp_path / "queries.jsonl", [IN_ENGLISH, IN_GERMAN, IN_FRENCH])
    judged = await judge([documents, queries], product)
    languages = by_language(judged)
    best = {"recall@1": 1.0, "recall@5": 1.0, "mrr": 1.0, "ndcg@10": 1.0, "rows": 1}
    assert all(languages[tag].items() >= best.items() for tag in ("en", "de"))
    probabilities, right = _stated(judged.columns)
    assert right.tolist() == [True, True, False]
    error = languages["en"]["calibration_error"]
    assert error == pytest.approx(1 - probabilities[0], abs=1e-4), "one row: what is missing to 1"
    # All three documents are ranked, so that none can lie below the fifth place.
    assert languages["fr"]["recall@5"] == 1.0
    assert overall(judged)["recall@5"] == 1.0
    assert judged.notes == ()


async def test_ten_documents_are_ranked_at_least(product: Product, tmp_path: Path) -> None:
    many = [
        {"doc_id": n, "lang": "en", "title": f"Part {n}", "text": f"Screw number {n} fits oak."}
        for n in range(12)
    ]
    documents = write_rows(tmp_path / "documents.jsonl", many)
    queries = [asked("en", "Which screw fits?", str(n)) for n in range(12)]
    judged = await judge([documents, write_rows(tmp_path / "queries.jsonl", queries)], product)
    found = overall(judged)
    assert found["recall@1"] == round(1 / 12, 4)
    assert found["mrr"] == round(sum(1 / rank for rank in range(1, 13)) / 12, 4)


async def test_a_document_that_is_not_there_is_missed_and_told(
    product: Product, tmp_path: Path
) -> None:
    documents = write_rows(tmp_path / "documents.jsonl", DOCUMENTS)
    queries = write_rows(tmp_path / "queries.jsonl", [asked("en", "Where is it?", "lost")])
    judged = await judge([documents, queries], product)
    missed = {"recall@1": 0.0, "recall@5": 0.0, "mrr": 0.0, "ndcg@10": 0.0}
    assert overall(judged).items() >= missed.items()
    assert judged.notes == ("queries whose doc_id no document has, all missed: 1",)
