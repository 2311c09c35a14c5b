"""Sentence encoders that learn which texts belong together."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback

from core.errors import Rejected
from retrieval.encoder import open_encoder
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.contrast import CachedContrast, Contrast, SortingCollator
from workers.training.dataset.examples import Example, Label, Parallel, Question
from workers.training.dataset.folder import Dataset
from workers.training.encoders import open_folder
from workers.training.job import Job
from workers.training.run import train
from workers.training.tasks import encoder

THINGS = {"shoe": "Schuh", "table": "Tisch", "lamp": "Lampe", "book": "Buch", "cup": "Tasse"}
WANTS = {"return": "senden", "buy": "kaufen", "repair": "heilen", "sell": "geben"}
BOTH = list(itertools.product(THINGS, WANTS))


def question(thing: str, want: str, negatives: tuple[str, ...] = ()) -> Question:
    return Question(
        **ABOUT,
        lang="en",
        query=f"how to {want} my {thing}",
        passage=f"{thing} : all about a {want}",
        negatives=negatives,
    )


def translation(thing: str, want: str) -> Parallel:
    return Parallel(
        **ABOUT,
        lang="en",
        text=f"{want} the {thing}",
        target_lang="de",
        target=f"{THINGS[thing]} {WANTS[want]}",
    )


QUESTIONS = [question(*both) for both in BOTH]
PAIRS = [translation(*both) for both in BOTH]
TEXTS = [text for row in QUESTIONS for text in (row.query, row.passage)] + [
    text for row in PAIRS for text in (row.text, row.target)
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return build_encoder(tmp_path / "base", TEXTS)


class Stop(TrainerCallback):
    """Ends a run at its fourth update."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 3:
            raise KeyboardInterrupt


def learn(tmp_path: Path, rows: Sequence[Example], **settings: Any) -> Any:
    write_dataset(tmp_path / "data", rows, rows)
    recipe = encoder.Encoder(
        task="encoder",
        dataset=tmp_path / "data",
        **{
            "learning_rate": 5e-3,
            "batch": 20,
            "device_batch": 20,
            "max_tokens": 16,
            "epochs": 1_000,
            "max_steps": 40,
            "evaluate_every": 40,
            **settings,
        },
    )
    return train(recipe, encoder.build, tmp_path / "run", silent)


@pytest.mark.long
async def test_a_text_finds_what_belongs_to_it(tmp_path: Path, base: Path) -> None:
    settings = {"max_steps": 80, "evaluate_every": 80, "learning_rate": 0.01}
    result = learn(tmp_path, [*QUESTIONS, *PAIRS], base=str(base), **settings)
    assert result["rows"] == 40
    # By chance it would be a quarter.
    assert result["dev"]["recall@5"] > 0.6
    assert result["languages"]["de"]["rows"] == result["languages"]["en"]["rows"] == 20
    assert result["languages"]["de"]["recall@5"] > 0.5
    model = tmp_path / "run/model"
    plain = SentenceTransformer(str(model), device="cpu").encode(["return the lamp"])
    ours = await open_encoder(model).questions(["return the lamp"])
    assert np.allclose(ours, plain, atol=1e-5)
    # It learnt from the first 16 tokens of a text, and its base reads more.
    assert json.loads((model / "tokenizer.json").read_text())["truncation"]["max_length"] > 16
    # The library's model card quotes what was learnt from.
    assert not (model / "README.md").exists()


@pytest.mark.parametrize("architecture", ["bert", "camembert"])
def test_a_text_longer_than_the_base_has_positions_is_cut(
    architecture: str, tmp_path: Path
) -> None:
    base = build_encoder(tmp_path / "base", TEXTS, architecture)
    long = [row.model_copy(update={"passage": row.passage * 20}) for row in QUESTIONS]
    assert learn(tmp_path, long, base=str(base), max_tokens=128, max_steps=1)["updates"] == 1


@pytest.mark.long
async def test_a_static_encoder_is_made_from_nothing(tmp_path: Path) -> None:
    new = {"config": {"model_type": "static", "hidden_size": 32}, "vocabulary": 300}
    result = learn(tmp_path, PAIRS, new=new, learning_rate=0.1)
    assert result["parameters"] == 300 * 32
    assert result["dev"]["recall@1"] == 1.0
    vectors = await open_encoder(tmp_path / "run/model").passages(["lamp"])
    assert vectors.shape == (1, 32)


def test_a_transformer_is_made_from_nothing(tmp_path: Path) -> None:
    config = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 2, "intermediate_size": 32}
    result = learn(tmp_path, PAIRS, new={"config": config, "vocabulary": 300}, max_steps=1)
    assert SentenceTransformer(str(tmp_path / "run/model"), device="cpu").encode("x").shape == (32,)
    assert result["updates"] == 1


@pytest.mark.long
def test_an_adapter_is_merged_when_it_has_learnt(tmp_path: Path, base: Path) -> None:
    result = learn(
        tmp_path, QUESTIONS, base=str(base), adapter={"rank": 4}, learning_rate=0.02, dropout=0.0
    )
    assert result["trained_parameters"] < result["parameters"] / 2
    model = SentenceTransformer(str(tmp_path / "run/model"), device="cpu")
    right = (
        model.encode([row.query for row in QUESTIONS])
        @ model.encode([row.passage for row in QUESTIONS]).T
    )
    found = (right >= right.diagonal()[:, None]).sum(axis=1) <= 5
    assert found.mean() == pytest.approx(result["dev"]["recall@5"], abs=0.01)
    assert not list((tmp_path / "run").glob("*.adapter"))


@pytest.mark.long
def test_what_was_known_can_be_kept_for_a_share(tmp_path: Path, base: Path) -> None:
    weights = []
    for name, keep in (("learnt", 0.0), ("kept", 0.25)):
        learn(tmp_path / name, QUESTIONS, base=str(base), keep=keep, max_steps=5)
        model = SentenceTransformer(str(tmp_path / name / "run/model"), device="cpu")
        weights.append(next(model.parameters()))
    before = next(SentenceTransformer(str(base), device="cpu").parameters())
    learnt, kept = weights
    assert not torch.allclose(learnt, before)
    assert torch.allclose(kept, 0.25 * before + 0.75 * learnt, atol=1e-5)


@pytest.mark.long
def test_short_vectors_and_hard_negatives_learn_too(tmp_path: Path, base: Path) -> None:
    rows = [question(thing, want, (f"{thing} : all about a cup",)) for thing, want in BOTH[:10]]
    result = learn(
        tmp_path,
        [*rows, *QUESTIONS[10:]],
        base=str(base),
        dimensions=(8,),
        mine=True,
        device_batch=4,
        learning_rate=0.01,
    )
    assert result["dev"]["recall@5"] > 0.5


@pytest.mark.long
def test_rows_of_one_group_are_kept_apart(tmp_path: Path, base: Path) -> None:
    rows = [
        row.model_copy(update={"group": row.query.split()[-1], "negatives": negatives})
        for row, negatives in zip(QUESTIONS, ([()] * 10 + [("all about a cup",)] * 10), strict=True)
    ]
    seen: list[list[str]] = []

    class Watch(SortingCollator):
        def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
            seen.append([row["group"] for row in features if "group" in row])
            return super().__call__(features)

    write_dataset(tmp_path / "data", rows, rows)
    recipe = encoder.Encoder(
        task="encoder",
        dataset=tmp_path / "data",
        base=str(base),
        batch=20,
        device_batch=20,
        max_tokens=16,
        learning_rate=5e-3,
        max_steps=8,
        apart=True,
    )

    def build(recipe: encoder.Encoder, dataset: Dataset, checkpoints: Path) -> Job:
        job = encoder.build(recipe, dataset, checkpoints)
        job.trainer.data_collator.__class__ = Watch
        return job

    train(recipe, build, tmp_path / "run", silent)
    batches = [groups for groups in seen if groups]
    assert batches
    assert all(len(groups) == len(set(groups)) <= len(THINGS) for groups in batches)


@pytest.mark.long
def test_a_teacher_hands_its_vectors_on(tmp_path: Path, base: Path) -> None:
    teacher = build_encoder(tmp_path / "teacher", TEXTS, hidden_size=32, num_hidden_layers=2)
    learn(
        tmp_path,
        PAIRS,
        base=str(base),
        teacher=str(teacher),
        teacher_weight=1.0,
        device_batch=10,
        dropout=0.0,
        max_steps=60,
        evaluate_every=60,
    )
    taught = SentenceTransformer(str(tmp_path / "run/model"), device="cpu")
    wanted = open_folder(teacher, 16).encode([row.text for row in PAIRS])
    for side in ("text", "target"):
        given = taught.encode([getattr(row, side) for row in PAIRS])
        assert (given * wanted).sum(axis=1).mean() > 0.8


@pytest.mark.parametrize("taught", [False, True])
def test_little_memory_gives_the_same_gradients(base: Path, taught: bool) -> None:
    model = open_folder(base, 16).eval()
    collate = SortingCollator(model.preprocess)
    batch = collate([{"asked": row.query, "found": row.passage} for row in QUESTIONS])
    labels = torch.nn.functional.normalize(torch.rand(20, 32), dim=1) if taught else None
    found = []
    for loss in (Contrast(model, 0.05, 0.3), CachedContrast(model, 0.05, 0.3, 3)):
        model.zero_grad()
        columns = [
            {name.split("_", 1)[1]: value for name, value in batch.items() if name.startswith(side)}
            for side in (("asked",) if taught else ("asked", "found"))
        ]
        value = loss(columns, labels)
        value.backward()
        slopes = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((float(value.detach()), torch.cat(slopes)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)


@pytest.mark.long
def test_a_run_goes_on_from_its_last_checkpoint(tmp_path: Path, base: Path) -> None:
    settings = {"base": str(base), "adapter": {"rank": 4}, "evaluate_every": 2}
    whole = learn(tmp_path / "whole", QUESTIONS, **settings, max_steps=4)
    write_dataset(tmp_path / "data", QUESTIONS, QUESTIONS)
    run = tmp_path / "run"

    recipe = encoder.Encoder(
        task="encoder",
        dataset=tmp_path / "data",
        learning_rate=5e-3,
        batch=20,
        device_batch=20,
        max_tokens=16,
        max_steps=4,
        **settings,
    )
    with pytest.raises(KeyboardInterrupt):
        train(recipe, encoder.build, run, silent, Stop())
    resumed = train(recipe, encoder.build, run, silent)
    assert resumed["dev"]["loss"] == pytest.approx(whole["dev"]["loss"], rel=1e-3)


def test_rows_of_no_pair_are_refused(tmp_path: Path, base: Path) -> None:
    rows: list[Example] = [Label(**ABOUT, lang="en", text="hello", label="greeting")]
    with pytest.raises(Rejected, match="need rows of kind question or parallel"):
        learn(tmp_path, rows, base=str(base))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dimensions": (64,)}, "dimensions: 64 is more than the model's 32"),
        ({"teacher": "english"}, "teacher: its vectors have 384 numbers, those of the model 32"),
    ],
)
def test_what_does_not_fit_the_model_is_named(
    tmp_path: Path, base: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        learn(tmp_path, PAIRS, base=str(base), **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"adversary": {}},
        {"label_smoothing": 0.1},
        {"adapter": {"method": "prefix"}},
        {"mine": True, "hard_negatives": 0},
        {"keep": 0.5, "adapter": {"rank": 4}},
        {"base": "", "new": {"config": {"model_type": "static"}}, "mine": True},
    ],
)
def test_a_recipe_cannot_ask_for_what_an_encoder_has_not(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        encoder.Encoder(**{"task": "encoder", "dataset": tmp_path, "base": "a/b", **settings})
