"""Dialogue models that learn which replies people preferred."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, TrainerCallback

from core.errors import Rejected
from core.turn import Author
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training.dataset.examples import Evidence, Reply, Said
from workers.training.dataset.folder import open_dataset
from workers.training.job import Job
from workers.training.recipe import read_recipe
from workers.training.run import train
from workers.training.tasks import preference

GOOD, BAD = "You can return items [1]", "No."


def row(at: int, **more: Any) -> Reply:
    asked = Said(author=Author.CUSTOMER, text=f"Question {at}?")
    return Reply(
        **{
            **ABOUT,
            "lang": ("de", "en")[at % 2],
            "messages": (asked,),
            "passages": (Evidence(text="You can return unused items within 30 days."),),
            "reply": GOOD,
            **more,
        }
    )


def pair(at: int) -> Reply:
    return row(at, rejected=BAD)


def thumb(at: int) -> Reply:
    """Three of four are liked."""
    return row(at, rating="up") if at % 4 else row(at, reply=BAD, rating="down")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("base"))


def recipe(folder: Path, base: Path, rows: list[Reply], **settings: Any) -> preference.Preference:
    write_dataset(folder / "data", rows, rows)
    return preference.Preference(
        **{
            "task": "preference",
            "dataset": folder / "data",
            "base": str(base),
            "batch": 4,
            "device_batch": 4,
            "max_tokens": 1_000,
            "epochs": 1,
            "learning_rate": 3e-3,
            **settings,
        }
    )


def learn(folder: Path, base: Path, rows: list[Reply], **settings: Any) -> Any:
    return train(recipe(folder, base, rows, **settings), preference.build, folder / "run", silent)


def built(wanted: preference.Preference) -> Job:
    folder = wanted.dataset.parent / "run" / "checkpoints"
    return preference.build(wanted, open_dataset(wanted.dataset), folder)


@pytest.mark.long
def test_dpo_rewards_the_reply_above_the_rejected_one(tmp_path: Path, base: Path) -> None:
    result = learn(tmp_path, base, [pair(at) for at in range(8)])
    assert result["dev"]["rewards/accuracies"] == 1
    assert result["dev"]["rewards/margins"] > 0
    rewards = {f"rewards/{name}" for name in ("chosen", "rejected", "accuracies", "margins")}
    assert set(result["dev"]) == {"loss", *rewards}
    assert set(result["languages"]) == {"de", "en"}
    assert result["languages"]["de"]["rewards/margins"] > 0
    assert result["trained_parameters"] == result["parameters"]


@pytest.mark.long
def test_kto_rewards_liked_replies_above_disliked_ones(tmp_path: Path, base: Path) -> None:
    adapter = {"method": "lora", "rank": 4}
    rows = [thumb(at) for at in range(8)]
    result = learn(tmp_path, base, rows, method="kto", adapter=adapter, learning_rate=3e-2)
    assert result["dev"]["rewards/margins"] > 0
    # The base without its adapter is what the model is tied to; there is no second one.
    assert result["parameters"] < 1.3 * 37_344
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert not hasattr(model, "peft_config")


class Interrupted(TrainerCallback):
    """Ends a run after its second update."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt


@pytest.mark.long
def test_an_interrupted_run_goes_on_to_the_same_rewards(tmp_path: Path, base: Path) -> None:
    settings = {"adapter": {"method": "lora"}, "evaluate_every": 2, "max_steps": 3, "batch": 2}
    wanted = recipe(tmp_path, base, [pair(at) for at in range(4)], **settings)
    whole = train(wanted, preference.build, tmp_path / "whole", silent)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, preference.build, tmp_path / "run", silent, Interrupted())
    resumed = train(wanted, preference.build, tmp_path / "run", silent)
    assert resumed["dev"] == pytest.approx(whole["dev"], abs=1e-4)


def test_the_rarer_rating_weighs_more(tmp_path: Path, base: Path) -> None:
    rows = [thumb(at) for at in range(8)]
    trainer = built(recipe(tmp_path, base, rows, method="kto")).trainer
    assert (trainer.desirable_weight, trainer.undesirable_weight) == (1, 3)


def test_full_weights_are_tied_to_a_second_copy_of_the_base(tmp_path: Path, base: Path) -> None:
    trainer = built(recipe(tmp_path, base, [pair(at) for at in range(4)])).trainer
    assert trainer.ref_model is not None
    assert trainer.ref_model is not trainer.model


def test_what_a_row_asks_is_what_production_asks(tmp_path: Path, base: Path) -> None:
    wanted = recipe(tmp_path, base, [pair(at) for at in range(4)])
    trainer = built(wanted).trainer
    shown = trainer.processing_class.decode(trainer.train_dataset[0]["prompt_ids"])
    assert "Say only what the numbered sources say." in shown
    assert shown.endswith("<|assistant|>")


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([pair(0)], {"batch": 4}, r"1 replies beside a rejected one, fewer than the 4 of a batch"),
        ([thumb(at) for at in range(4)], {}, r"train part has no reply beside a rejected one"),
        ([pair(at) for at in range(4)], {"method": "kto"}, r"has no reply with a rating"),
        (
            [row(at, rating="up") for at in range(4)],
            {"method": "kto"},
            r'replies rated "up" alone; kto needs some of both ratings',
        ),
        (
            [pair(at) for at in range(4)],
            {"max_tokens": 20},
            r"no reply beside a rejected one of at most 20 tokens with its conversation",
        ),
        ([pair(at) for at in range(4)], {"max_tokens": 3_000}, r"3000 is more than the 2048"),
    ],
)
def test_data_that_teaches_no_preference_is_refused(
    tmp_path: Path, base: Path, rows: list[Reply], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(Rejected, match=message):
        built(recipe(tmp_path, base, rows, **settings))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dropout: 0.1", "dropout: learning from preferences knows no such setting"),
        ("adversary: {}", "adversary: learning from preferences knows no such setting"),
        ("method: kto\ndevice_batch: 1", "kto compares the rows of a batch, at least 2"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"task: preference\ndataset: data\nbase: base\n{line}\n")
    with pytest.raises(Rejected, match=message):
        read_recipe(path, TypeAdapter(preference.Preference))
