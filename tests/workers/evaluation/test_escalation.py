"""Scores of telling what the knowledge does not cover."""

from pathlib import Path

import pytest

from core.errors import Rejected
from tests.workers.evaluation.rows import write_rows
from workers.evaluation.escalation import judge
from workers.evaluation.product import Product
from workers.evaluation.scores import by_language, overall

KNOWN: list[dict[str, object]] = [
    {"text": "I want to cancel my order please", "intent": "cancel_order"},
    {"text": "how do I cancel the order I made", "intent": "cancel_order"},
    {"text": "where is my parcel now", "intent": "track_parcel"},
    {"text": "when does the parcel arrive", "intent": "track_parcel"},
    {"text": "what is the meaning of life", "intent": "oos", "oos": True},
]


async def test_what_nobody_taught_scores_below_what_somebody_did(
    product: Product, tmp_path: Path
) -> None:
    asked = [
        {"text": "please cancel the order", "oos": False, "lang": "eng"},
        {"text": "where is the parcel", "oos": False, "lang": "eng"},
        {"text": "which football team won yesterday", "oos": True, "lang": "eng"},
        {"text": "what is the meaning of life", "oos": True},
    ]
    known = write_rows(tmp_path / "known.jsonl", KNOWN)
    judged = await judge([known, write_rows(tmp_path / "asked.jsonl", asked)], product)
    found = overall(judged)
    assert found["auroc"] == found["average_precision"] == found["precision"] == 1.0
    assert found["coverage"] == 0.5
    assert by_language(judged)["en"]["rows"] == 3
    assert 0 <= found["calibration_error"] <= 1
    assert (
        by_language(judged)["und"].items()
        >= {
            "average_precision": 1.0,
            "precision": 0.0,
            "coverage": 0.0,
            "rows": 1,
        }.items()
    )


@pytest.mark.parametrize("oos", [True, False])
async def test_questions_of_one_kind_only_are_refused(
    product: Product, tmp_path: Path, oos: bool
) -> None:
    asked = write_rows(tmp_path / "asked.jsonl", [{"text": "where is it", "oos": oos}])
    with pytest.raises(Rejected, match=r"asked\.jsonl: needs rows with oos true"):
        await judge([write_rows(tmp_path / "known.jsonl", KNOWN), asked], product)
