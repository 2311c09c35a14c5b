"""Scores of sentiment and entities, by models that the test makes."""

from pathlib import Path

import pytest

from core.errors import Rejected
from retrieval.knowledge import silent
from tests.workers.evaluation.rows import write_rows
from tests.workers.tiny_classifier import build_entities, build_sentiment
from workers.classification import EntityTagger, SentimentModel
from workers.evaluation import entities, sentiment
from workers.evaluation.scores import by_language, overall

FELT = [
    {"lang": "eng", "text": "great thing", "label": "positive"},
    {"lang": "en", "text": "awful thing", "label": "negative"},
    {"lang": "en", "text": "table thing", "label": "neutral"},
    {"lang": "jav", "text": "great thing", "label": "negative"},
]
TAGGED = [
    {"lang": "en", "tokens": ["Ada", "Lovelace"], "tags": ["B-PERSON", "I-PERSON"]},
    {"lang": "en", "tokens": ["is", "ada"], "tags": ["O", "I-PER"]},
    {"lang": "ru", "tokens": ["London", "is"], "tags": ["B-ORG", "O"]},
]


async def test_sentiment_is_scored_by_class(tmp_path: Path) -> None:
    classifier = SentimentModel(build_sentiment(tmp_path / "model"))
    files = [write_rows(tmp_path / "rows.jsonl", FELT)]
    judged = await sentiment.judge(files, classifier, silent)
    found = overall(judged)
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-4)
    assert 0 < found["calibration_error"] < 0.5
    assert by_language(judged)["en"].items() >= {"accuracy": 1.0, "macro_f1": 1.0}.items()
    assert by_language(judged)["jv"]["accuracy"] == 0.0
    assert judged.parts == {"sentiment": "model"}


async def test_entities_are_scored_by_type_and_ends(tmp_path: Path) -> None:
    tagger = EntityTagger(build_entities(tmp_path / "model"))
    judged = await entities.judge([write_rows(tmp_path / "rows.jsonl", TAGGED)], tagger, silent)
    assert overall(judged) == {
        "span_f1": 0.6667,
        "span_precision": 0.6667,
        "span_recall": 0.6667,
        "span_f1_ORG": 0.0,
        "span_f1_PER": 1.0,
    }
    assert by_language(judged)["en"]["span_f1"] == 1.0
    assert by_language(judged)["ru"]["span_f1"] == 0.0


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"lang": "en", "text": "x"}, '"label" is missing'),
        ({"lang": "en", "label": "positive"}, '"text" is missing'),
        ({"text": "x", "label": "positive"}, '"lang" is missing'),
        ({"lang": "en", "text": "x", "label": "good"}, "\"label\": input should be 'positive'"),
    ],
)
async def test_a_wrong_text_is_named(row: dict[str, object], says: str, tmp_path: Path) -> None:
    classifier = SentimentModel(build_sentiment(tmp_path / "model"))
    path = write_rows(tmp_path / "rows.jsonl", [FELT[0], row])
    with pytest.raises(Rejected, match=f"line 2: {says}"):
        await sentiment.judge([path], classifier, silent)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"lang": "en", "tokens": ["x"]}, '"tags" is missing'),
        ({"lang": "en", "tags": ["O"]}, '"tokens" is missing'),
        ({"lang": "en", "tokens": ["x"], "tags": []}, "1 tokens, but 0 tags"),
    ],
)
async def test_a_wrong_sentence_is_named(row: dict[str, object], says: str, tmp_path: Path) -> None:
    tagger = EntityTagger(build_entities(tmp_path / "model"))
    path = write_rows(tmp_path / "rows.jsonl", [TAGGED[0], row])
    with pytest.raises(Rejected, match=f"line 2: {says}"):
        await entities.judge([path], tagger, silent)
