"""Students that learn what their teacher would say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from core.errors import Rejected
from core.turn import Author
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training.dataset.examples import Reply, Said
from workers.training.recipe import read_recipe
from workers.training.run import train
from workers.training.start import AnyRecipe
from workers.training.tasks import distillation

SMALLER = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}


def rows(count: int) -> list[Reply]:
    return [
        Reply(
            **ABOUT,
            lang="en",
            messages=(Said(author=Author.CUSTOMER, text=f"May I return item {at}?"),),
            reply="You can return unused items within 30 days.",
        )
        for at in range(count)
    ]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A model that is certain, if of nonsense, so that there is something to learn from it."""
    folder = tiny_model.build(tmp_path / "teacher")
    model = LlamaForCausalLM.from_pretrained(folder)
    model.lm_head.weight.data.mul_(40)
    model.save_pretrained(folder)
    write_dataset(tmp_path / "data", rows(4), rows(2))
    return folder


def distil(tmp_path: Path, teacher: Path, **settings: Any) -> Any:
    recipe = distillation.Distillation.model_validate(
        {
            "task": "distillation",
            "dataset": tmp_path / "data",
            "teacher": str(teacher),
            "new": {"config": SMALLER},
            "learning_rate": 1e-2,
            "batch": 4,
            "max_tokens": 1_000,
            "max_steps": 10,
            "evaluate_every": 10,
            **settings,
        }
    )
    return train(recipe, distillation.build, tmp_path / f"run-{recipe.soft}", silent)


def divergence(student: Path, teacher: Path) -> float:
    """The distance of the two over some tokens, the student's as it was saved."""
    tokens = AutoTokenizer.from_pretrained(student)(
        "You can return unused items", return_tensors="pt"
    )
    with torch.no_grad():
        mine, other = (
            AutoModelForCausalLM.from_pretrained(folder)(**tokens).logits.log_softmax(-1)
            for folder in (student, teacher)
        )
    apart = torch.nn.functional.kl_div(mine, other, reduction="sum", log_target=True)
    return float(apart / tokens["input_ids"].shape[1])


@pytest.mark.long
def test_a_student_comes_nearer_to_its_teacher_than_without_one(
    tmp_path: Path, teacher: Path
) -> None:
    result = distil(tmp_path, teacher, soft=0.99, temperature=1.0)
    distil(tmp_path, teacher, soft=0.0)
    taught, alone = (divergence(tmp_path / f"run-{soft}/model", teacher) for soft in (0.99, 0.0))
    assert taught < alone
    assert result["parameters"] < 20_000


def test_the_loss_is_that_of_rows_and_teacher_in_shares(tmp_path: Path, teacher: Path) -> None:
    recipe = distillation.Distillation.model_validate(
        {
            "task": "distillation",
            "dataset": tmp_path / "data",
            "teacher": str(teacher),
            "base": str(teacher),
            "batch": 4,
            "max_tokens": 1_000,
        }
    )
    from workers.training.dataset.folder import open_dataset

    trainer = distillation.build(recipe, open_dataset(tmp_path / "data"), tmp_path).trainer
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, dict(batch))
    trainer.model.eval()
    # A student that is its own teacher has nothing to learn from it.
    alone = trainer.compute_loss(trainer.model, dict(batch))
    torch.testing.assert_close(loss, 0.3 * alone)


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path, teacher: Path) -> None:
    other = tiny_model.build(tmp_path / "other")
    settings = (other / "tokenizer.json").read_text().replace("<|system|>", "<|rules|>")
    (other / "tokenizer.json").write_text(settings)
    with pytest.raises(Rejected, match="teacher: has other tokens than the base"):
        distil(tmp_path, teacher, base=str(other), new=None)


def test_rows_that_the_student_has_no_positions_for_are_refused(
    tmp_path: Path, teacher: Path
) -> None:
    with pytest.raises(Rejected, match="max_tokens: 1000 is more than the 64"):
        distil(tmp_path, teacher, new={"config": SMALLER | {"max_position_embeddings": 64}})


def test_a_recipe_without_a_teacher_says_so(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("task: distillation\ndataset: data\nbase: model\n")
    with pytest.raises(Rejected, match="teacher: field required"):
        read_recipe(path, TypeAdapter(AnyRecipe))
