"""Text classifiers that learn from rows."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from transformers import AutoConfig, pipeline

from core.errors import Rejected
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Label
from workers.training.recipe import read_recipe
from workers.training.run import train
from workers.training.tasks import labels

TOPICS = {
    "refund": ("money back please", "refund my money", "i want my money"),
    "delivery": ("where is my parcel", "parcel is late", "no parcel yet"),
    "login": ("forgot my password", "password is wrong", "reset password"),
}


def row(text: str, label: str, lang: str = "en") -> Label:
    return Label(**ABOUT, lang=lang, text=text, label=label)


ROWS = [row(text, label) for label, texts in TOPICS.items() for text in texts]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return build_encoder(tmp_path / "base", [one.text for one in ROWS])


def learn(tmp_path: Path, base: Path | str, **settings: Any) -> Any:
    dataset = tmp_path / "data"
    if not dataset.exists():
        write_dataset(dataset, ROWS * 4, [*ROWS, row("password falsch", "login", "de")])
    recipe = labels.Labels(
        task="labels",
        dataset=dataset,
        **{
            "base": str(base),
            "learning_rate": 2e-3,
            "batch": 12,
            "device_batch": 12,
            "max_tokens": 16,
            "epochs": 1_000,
            "max_steps": 40,
            # One checkpoint: each draws the curves anew.
            "evaluate_every": 40,
            **settings,
        },
    )
    return train(recipe, labels.build, tmp_path / "run", silent)


def test_a_text_is_put_into_the_class_it_was_taught(tmp_path: Path, base: Path) -> None:
    result = learn(tmp_path, base)
    assert result["dev"]["macro_f1"] > 0.7
    assert set(result["languages"]) == {"en", "de"}
    classify = pipeline("text-classification", model=str(tmp_path / "run/model"), device="cpu")
    assert classify("where is my parcel")[0]["label"] == "delivery"


def test_an_adapter_learns_beside_frozen_weights(tmp_path: Path, base: Path) -> None:
    result = learn(tmp_path, base, adapter={"rank": 4}, learning_rate=0.02)
    assert result["trained_parameters"] < result["parameters"] / 2
    assert result["dev"]["macro_f1"] > 0.6
    # Merged: no second folder is needed.
    classify = pipeline("text-classification", model=str(tmp_path / "run/model"), device="cpu")
    assert classify("reset password")[0]["label"] in TOPICS


def test_an_adversary_and_smoothing_still_learn(tmp_path: Path, base: Path) -> None:
    result = learn(tmp_path, base, adversary={"steps": 2}, label_smoothing=0.1)
    assert result["dev"]["macro_f1"] > 0.7


@pytest.mark.long
def test_accumulated_parts_of_a_batch_learn_as_the_whole(tmp_path: Path, base: Path) -> None:
    settings = {"max_steps": 3, "dropout": 0.0, "class_weights": "balanced"}
    whole = learn(tmp_path / "whole", base, **settings)
    parts = learn(tmp_path / "parts", base, **settings, device_batch=3)
    assert parts["dev"]["loss"] == pytest.approx(whole["dev"]["loss"], rel=1e-3)


@pytest.mark.long
def test_a_rare_class_counts_as_much_as_a_frequent_one(tmp_path: Path, base: Path) -> None:
    rows = [row("please", "refund"), *[row("please", "delivery")] * 9]
    write_dataset(tmp_path / "plain/data", rows, rows[:1])
    write_dataset(tmp_path / "weighted/data", rows, rows[:1])
    still = {"max_steps": 1, "learning_rate": 1e-9}
    plain = learn(tmp_path / "plain", base, **still)
    weighted = learn(tmp_path / "weighted", base, **still, class_weights="balanced")
    assert weighted["dev"]["loss"] / plain["dev"]["loss"] == pytest.approx(10 / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("architecture", "adapter"),
    [
        ("xlm-roberta", None),
        ("camembert", None),
        ("bert", {"method": "prefix", "rank": 4}),
    ],
)
def test_a_text_longer_than_the_model_has_positions_is_cut(
    architecture: str, adapter: dict[str, Any] | None, tmp_path: Path
) -> None:
    base = build_encoder(tmp_path / "base", [one.text for one in ROWS], architecture)
    write_dataset(tmp_path / "data", [row("parcel " * 90, "delivery"), ROWS[0]], ROWS[:1])
    result = learn(tmp_path, base, max_steps=1, max_tokens=400, adapter=adapter)
    assert result["updates"] == 1


def test_a_new_model_learns_from_nothing(tmp_path: Path) -> None:
    config = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 2, "intermediate_size": 32, "initializer_range": 0.3}
    new = {"config": config, "vocabulary": 300, "temperature": 1}
    write_dataset(tmp_path / "data", ROWS * 4, ROWS)
    result = learn(tmp_path, "", new=new, learning_rate=0.01)
    assert result["dev"]["accuracy"] > 0.7


@pytest.mark.long
def test_a_head_of_other_classes_is_replaced(tmp_path: Path, base: Path) -> None:
    learn(tmp_path / "first", base, max_steps=1)
    write_dataset(tmp_path / "data", ROWS[:6] * 4, ROWS[:6])
    learn(tmp_path, tmp_path / "first/run/model", max_steps=1)
    config = AutoConfig.from_pretrained(tmp_path / "run/model")
    assert config.id2label == {0: "delivery", 1: "refund"}


def test_a_dev_label_that_train_lacks_is_named(tmp_path: Path, base: Path) -> None:
    write_dataset(tmp_path / "data", ROWS, [row("hello", "greeting")])
    with pytest.raises(Rejected, match=r"labels that no train row has \(greeting\)"):
        learn(tmp_path, base)


def test_one_label_alone_teaches_nothing(tmp_path: Path, base: Path) -> None:
    write_dataset(tmp_path / "data", ROWS[:3], ROWS[:3])
    with pytest.raises(Rejected, match='every train row has the label "refund"'):
        learn(tmp_path, base)


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("task: labels\ndataset: data\nbase: x/y\nclass_weights: balnced\n")
    with pytest.raises(Rejected, match="input should be 'none' or 'balanced'"):
        read_recipe(path, TypeAdapter(labels.Labels))
