"""Scores of personal data."""

from pathlib import Path

from retrieval.knowledge import silent
from tests.workers.evaluation.rows import write_rows
from workers.evaluation.pii import judge
from workers.evaluation.scores import by_language, overall

TEXT = "I am Ada, mail ada@example.org or ann@example.org"


def span(kind: str, part: str, longer: int = 0) -> dict[str, object]:
    start = TEXT.index(part)
    return {"type": kind, "start": start, "end": start + len(part) + longer, "value": part}


async def test_a_span_counts_if_type_and_both_ends_are_right(tmp_path: Path) -> None:
    spans = [
        span("PERSON", "Ada"),
        span("EMAIL_ADDRESS", "ada@example.org"),
        span("EMAIL_ADDRESS", "ann@example.org", longer=-1),
    ]
    rows: list[dict[str, object]] = [
        {"text": TEXT, "spans": spans},
        {"text": "Nothing here", "spans": []},
    ]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    assert overall(judged) == {
        "span_recall": 0.3333,
        "span_precision": 0.5,
        "span_recall_EMAIL_ADDRESS": 0.5,
        "span_precision_EMAIL_ADDRESS": 0.5,
        "span_recall_PERSON": 0.0,
    }
    assert by_language(judged) == {"und": {"span_recall": 0.3333, "span_precision": 0.5, "rows": 2}}
    assert judged.notes == ("not looked for, so missed: PERSON",)


async def test_what_nobody_marked_lowers_the_precision(tmp_path: Path) -> None:
    rows = [{"text": TEXT, "spans": [], "lang": "eng"}]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    assert overall(judged) == {
        "span_recall": 0.0,
        "span_precision": 0.0,
        "span_precision_EMAIL_ADDRESS": 0.0,
    }
    assert list(by_language(judged)) == ["en"]


async def test_texts_with_nothing_personal_score_nothing(tmp_path: Path) -> None:
    rows = [{"text": "Nothing here", "spans": []}]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], silent)
    assert overall(judged) == {"span_recall": 0.0, "span_precision": 0.0}
