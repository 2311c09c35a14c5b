"""Taggers of words that learn from rows."""

from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from core.errors import Rejected
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Label, Tokens
from workers.training.run import train
from workers.training.tasks import tokens
from workers.training.tasks.tokens import word_starts

NAMES = ("Ada Lovelace", "Grace Hopper", "Alan Turing")
CITIES = ("London", "Paris", "Arlington")


def row(text: str, *tags: str, lang: str = "en") -> Tokens:
    return Tokens(**ABOUT, lang=lang, tokens=tuple(text.split()), tags=tags)


ROWS = [
    row(f"{name} lives in {city} now", "B-PER", "I-PER", "O", "O", "B-LOC", "O")
    for name in NAMES
    for city in CITIES
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return build_encoder(tmp_path / "base", [" ".join(one.tokens) for one in ROWS])


def learn(tmp_path: Path, base: Path, **settings: Any) -> Any:
    dataset = tmp_path / "data"
    if not dataset.exists():
        write_dataset(dataset, ROWS * 2, ROWS[:4])
    recipe = tokens.TokenLabels(
        task="tokens",
        dataset=dataset,
        base=str(base),
        **{
            "learning_rate": 2e-3,
            "batch": 9,
            "device_batch": 9,
            "max_tokens": 40,
            "epochs": 1_000,
            "max_steps": 40,
            "evaluate_every": 40,
            **settings,
        },
    )
    return train(recipe, tokens.build, tmp_path / "run", silent)


def test_entities_come_out_whole_of_a_pipeline(tmp_path: Path, base: Path) -> None:
    result = learn(tmp_path, base)
    assert result["dev"]["span_f1"] > 0.8
    find: Any = pipeline(
        "token-classification",
        model=str(tmp_path / "run/model"),
        aggregation_strategy="first",
        device="cpu",
    )
    text = "Grace Hopper lives in Arlington now"
    found = [(one["entity_group"], text[one["start"] : one["end"]]) for one in find(text)]
    assert found == [("PER", "Grace Hopper"), ("LOC", "Arlington")]


@pytest.mark.long
def test_an_adapter_and_an_adversary_learn_too(tmp_path: Path, base: Path) -> None:
    result = learn(
        tmp_path, base, adapter={"rank": 4}, adversary={}, learning_rate=0.02, device_batch=3
    )
    assert result["trained_parameters"] < result["parameters"] / 2
    assert result["dev"]["span_f1"] > 0.6


def test_words_behind_the_limit_are_left_out(tmp_path: Path, base: Path) -> None:
    long = row("Ada " + "now " * 60, "B-PER", *["O"] * 60)
    write_dataset(tmp_path / "data", [long, ROWS[0]], [long])
    assert learn(tmp_path, base, max_steps=1, max_tokens=512)["rows"] == 2


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # [CLS] un ##able to [SEP]
        ([(0, 0), (0, 2), (2, 6), (7, 9), (0, 0)], [(1, 0), (3, 1)]),
        # A sentence piece begins with the space before its word, or is that space alone.
        ([(0, 6), (6, 9)], [(0, 0), (1, 1)]),
        ([(0, 6), (6, 7), (7, 9)], [(0, 0), (2, 1)]),
        # What a tokenizer drops has no piece.
        ([(7, 9)], [(0, 1)]),
    ],
)
def test_the_first_piece_of_a_word_stands_for_it(
    pieces: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert list(word_starts(["unable", "to"], pieces)) == expected


def test_a_type_of_entity_that_train_lacks_is_named(tmp_path: Path, base: Path) -> None:
    write_dataset(tmp_path / "data", ROWS, [row("order 4711", "O", "B-ORDER")])
    with pytest.raises(Rejected, match=r"no train row has \(ORDER\)"):
        learn(tmp_path, base)


def test_rows_without_entities_teach_nothing(tmp_path: Path, base: Path) -> None:
    write_dataset(tmp_path / "data", [row("hello there", "O", "O")], ROWS)
    with pytest.raises(Rejected, match="no train row has an entity"):
        learn(tmp_path, base)


def test_a_dataset_of_other_rows_is_refused(tmp_path: Path, base: Path) -> None:
    other = [Label(**ABOUT, lang="en", text="hello", label="greeting")]
    write_dataset(tmp_path / "data", other, other)
    with pytest.raises(Rejected, match='no rows of kind "tokens"'):
        learn(tmp_path, base)
