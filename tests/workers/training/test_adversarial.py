from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import LlamaForCausalLM, TrainingArguments

from tests.workers import tiny_model
from workers.training.adversarial import AdversarialTrainer
from workers.training.recipe import Adversary

ROWS = [
    {"input_ids": [9, 20, 31, 42], "labels": [9, 20, 31, 42]},
    {"input_ids": [50, 61, 72, 83], "labels": [50, 61, 72, 83]},
]


class Watched(LlamaForCausalLM):  # type: ignore[no-untyped-call]  # no stubs
    """Notes the embeddings and the loss of each pass."""

    seen: list[tuple[torch.Tensor, float]]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        caught: list[torch.Tensor] = []
        layer = self.model.layers[0]
        handle = layer.register_forward_pre_hook(
            lambda module, args, kwargs: caught.append((args or (kwargs["hidden_states"],))[0]),
            with_kwargs=True,
        )
        given = super().forward(*args, **kwargs)
        handle.remove()
        self.seen.append((caught[0].detach().clone(), given.loss.item()))
        return given


def one_step(folder: Path, adversary: Adversary | None) -> Watched:
    model = Watched.from_pretrained(tiny_model.build(folder / "base"))
    model.seen = []
    trainer = AdversarialTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
        ),
        train_dataset=Dataset.from_list(ROWS),
    )
    trainer.adversary = adversary
    trainer.train()
    return model


@pytest.mark.parametrize("steps", [1, 3])
def test_the_change_stays_in_its_ball_and_raises_the_loss(steps: int, tmp_path: Path) -> None:
    seen = one_step(tmp_path, Adversary(epsilon=0.3, steps=steps)).seen
    # One clean pass, one for each step up the loss, one against the change.
    assert len(seen) == steps + 2
    (clean, clean_loss), (changed, changed_loss) = seen[0], seen[-1]
    lengths = clean.flatten(1).norm(dim=1)
    moved = (changed - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, 0.3 * lengths, rtol=1e-3, atol=0)
    assert changed_loss > clean_loss + 1e-4


def test_without_an_adversary_a_step_is_one_pass(tmp_path: Path) -> None:
    assert len(one_step(tmp_path, None).seen) == 1
