"""Classifiers of sentiment and entities."""

from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer

from core.errors import Misconfigured
from tests.retrieval.test_model_folder import NO_WEIGHTS
from tests.workers.tiny_classifier import build_entities, build_sentiment
from workers.classification import SENTIMENTS, EntityTagger, SentimentModel


async def test_labels_come_in_our_order_whatever_the_models_is(tmp_path: Path) -> None:
    classifier = SentimentModel(build_sentiment(tmp_path / "m", ("NEG", "NEU", "POS")))
    texts = ["great thing", "awful thing " + "thing " * 200, "table thing"] * 9
    found = await classifier.classify(texts)
    assert found.shape == (27, 3)
    assert found.sum(axis=1) == pytest.approx(1.0)
    names = [SENTIMENTS[at] for at in found.argmax(axis=1)]
    assert names[0] == "positive"
    assert names[2] == "neutral"
    assert names == names[:3] * 9, "what a text is batched with changes nothing"


async def test_a_model_may_know_no_neutral(tmp_path: Path) -> None:
    classifier = SentimentModel(build_sentiment(tmp_path / "m", ("NEGATIVE", "POSITIVE")))
    found = await classifier.classify(["awful thing", "great thing"])
    assert found.argmax(axis=1).tolist() == [2, 0]
    assert not found[:, 1].any()


@pytest.mark.parametrize("labels", [("joy", "anger"), ("positive", "pos", "negative")])
def test_labels_of_another_task_are_refused(labels: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="they must be positive, neutral, negative"):
        SentimentModel(build_sentiment(tmp_path / "m", labels))
    with pytest.raises(Misconfigured, match="they must be O, B-PER, I-PER"):
        EntityTagger(build_sentiment(tmp_path / "n", labels))


async def test_each_token_is_tagged_however_long_the_text(tmp_path: Path) -> None:
    tagger = EntityTagger(build_entities(tmp_path / "m"))
    long = ["is"] * 300 + ["London"]
    found = await tagger.tag([["Ada", "Lovelace", "is", "\u200b", "mr.x"], [], long])
    assert found[0] == ["B-PER", "I-PER", "O", "O", "O"]
    assert found[1] == []
    assert found[2] == ["O"] * 300 + ["B-LOC"]


async def test_a_model_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    """transformers would put random weights in its place."""
    trained = build_sentiment(tmp_path / "trained")
    bare = tmp_path / "bare"
    AutoModel.from_pretrained(trained).save_pretrained(bare)
    AutoTokenizer.from_pretrained(trained).save_pretrained(bare)
    with pytest.raises(Misconfigured, match=r"not trained as .*; it lacks classifier"):
        await SentimentModel(bare).classify(["great"])


@pytest.mark.parametrize(
    ("config", "says"),
    [("{}", "names no labels"), ("{", "not JSON"), ('{"auto_map": {}}', "auto_map")],
)
def test_a_folder_that_is_no_classifier_is_refused(config: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(NO_WEIGHTS)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(Misconfigured, match=says):
        SentimentModel(tmp_path)
