import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from pydantic import TypeAdapter
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, LlamaForCausalLM, TrainerCallback, TrainingArguments

from core.errors import Rejected
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.adversarial import AdversarialTrainer
from workers.training.dataset.examples import Label
from workers.training.recipe import Adversary, EmbeddingAdversary, TypoAdversary, read_recipe
from workers.training.run import train
from workers.training.start import AnyRecipe
from workers.training.tasks import labels

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
    seen = one_step(tmp_path, EmbeddingAdversary(epsilon=0.3, steps=steps)).seen
    # One clean pass, one for each step up the loss, one against the change.
    assert len(seen) == steps + 2
    (clean, clean_loss), (changed, changed_loss) = seen[0], seen[-1]
    lengths = clean.flatten(1).norm(dim=1)
    moved = (changed - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, 0.3 * lengths, rtol=1e-3, atol=0)
    assert changed_loss > clean_loss + 1e-4


def test_without_an_adversary_a_step_is_one_pass(tmp_path: Path) -> None:
    assert len(one_step(tmp_path, None).seen) == 1


TEXTS = {
    "refund": ("money back please", "refund my money", "i want my money"),
    "delivery": ("where is my parcel", "parcel is late", "no parcel yet"),
}
LABELS = [
    Label(**ABOUT, lang="en", text=text, label=label)
    for label, texts in TEXTS.items()
    for text in texts
]
RECIPES: TypeAdapter[Any] = TypeAdapter(AnyRecipe)
TYPOS = {"against": "typos", "tries": 3, "typos": 1.0}


Row = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of a classifier: the tokens of each row, and what it made of them."""

    rows: list[Row]
    logits: torch.Tensor
    learns: bool


class Watching(TrainerCallback):
    """Notes each pass that an update takes; may die after so many updates."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.passes: list[Pass] = []
        self._dies_after, self._updates = dies_after, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["model"].register_forward_hook(self._note, with_kwargs=True)

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self._updates = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._updates = False
        if state.global_step == self._dies_after:
            raise KeyboardInterrupt

    def _note(self, model: Any, args: Any, given: Mapping[str, Any], output: Any) -> None:
        if not self._updates:
            return
        learns = torch.is_grad_enabled()
        # What is compared is not compared by what dropout leaves out.
        assert model.training == learns
        read = zip(given["input_ids"].tolist(), given["attention_mask"].tolist(), strict=True)
        rows = [tuple(ids[: sum(mask)]) for ids, mask in read]
        self.passes.append(Pass(rows=rows, logits=output.logits.detach(), learns=learns))


def recipe_of(folder: Path, **settings: Any) -> labels.Labels:
    if not (folder / "base").exists():
        build_encoder(folder / "base", [row.text for row in LABELS])
        write_dataset(folder / "data", LABELS, LABELS)
    return labels.Labels(
        **{
            "task": "labels",
            "dataset": folder / "data",
            "base": str(folder / "base"),
            "batch": len(LABELS),
            "device_batch": len(LABELS),
            "max_tokens": 16,
            "max_steps": 1,
            "epochs": 1_000,
            "evaluate_every": 2,
            "learning_rate": 1e-3,
            "adversary": TYPOS,
            **settings,
        }
    )


def learn(recipe: labels.Labels, run: Path, dies_after: int | None = None) -> list[Pass]:
    watching = Watching(dies_after)
    with suppress(KeyboardInterrupt):
        train(recipe, labels.build, run, silent, watching)
    return watching.passes


def labels_of(rows: list[Row], folder: Path) -> torch.Tensor:
    """The numbers of the labels of rows as they were before any error."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    known = {tuple(tokenizer(row.text)["input_ids"]): row.label for row in LABELS}
    return torch.tensor([sorted(TEXTS).index(known[row]) for row in rows])


def test_of_texts_with_typing_errors_the_worst_are_learnt(tmp_path: Path) -> None:
    clean, *tries, worst = learn(recipe_of(tmp_path), tmp_path / "run")
    assert [one.learns for one in (clean, *tries, worst)] == [True, False, False, False, True]
    gold = labels_of(clean.rows, tmp_path)
    losses = torch.stack([cross_entropy(one.logits, gold, reduction="none") for one in tries])
    chosen = losses.argmax(dim=0).tolist()
    assert worst.rows == [tries[at].rows[row] for row, at in enumerate(chosen)]
    # By chance alone all of a batch would not come from one try, nor stay as they were.
    assert len(set(chosen)) > 1
    assert worst.rows != clean.rows


@pytest.mark.long
def test_the_gradients_of_the_clean_and_of_the_worst_texts_add_up(tmp_path: Path) -> None:
    # In words as short as these there are no errors, so that both passes read the same.
    rows = [row.model_copy(update={"text": text}) for row in LABELS for text in ("my", "is at")]
    recipe = recipe_of(tmp_path, dropout=0.0)
    write_dataset(tmp_path / "data", rows, rows)
    learn(recipe, tmp_path / "twice")
    learn(recipe.model_copy(update={"adversary": None}), tmp_path / "once")
    twice, once = (slope(tmp_path / name) for name in ("twice", "once"))
    assert twice == pytest.approx(2 * once, rel=1e-4)


def slope(run: Path) -> float:
    first = json.loads((run / "log.jsonl").read_text().splitlines()[0])
    return float(first["grad_norm"])


def versions(passes: Sequence[Pass]) -> dict[Row, set[Row]]:
    """The mistyped versions of each row among the passes of one update."""
    clean, *tries, _ = passes
    return {row: {one.rows[at] for one in tries} for at, row in enumerate(clean.rows)}


@pytest.mark.long
def test_each_epoch_has_other_errors_and_each_seed_as_well(tmp_path: Path) -> None:
    seen = learn(recipe_of(tmp_path, max_steps=2), tmp_path / "run")
    first, second = versions(seen[:5]), versions(seen[5:])
    other = versions(learn(recipe_of(tmp_path, seed=1), tmp_path / "other"))
    assert first.keys() == second.keys() == other.keys()
    assert all(first[row] != second[row] and first[row] != other[row] for row in first)


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on_with_the_same_errors(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, max_steps=4)
    whole = learn(recipe, tmp_path / "whole")
    learn(recipe, tmp_path / "stopped", dies_after=3)
    resumed = learn(recipe, tmp_path / "stopped")
    # From the checkpoint after two updates.
    assert [one.rows for one in resumed] == [one.rows for one in whole[10:]]
    weights = [
        (tmp_path / name / "model/model.safetensors").read_bytes() for name in ("whole", "stopped")
    ]
    assert weights[0] == weights[1]


@pytest.mark.long
def test_parts_of_a_batch_meet_the_same_errors_as_the_whole(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dropout": 0.0, "max_steps": 2, "adapter": {"rank": 4}}
    settings |= {"class_weights": "balanced", "label_smoothing": 0.1}
    learn(recipe_of(tmp_path, **settings), tmp_path / "whole")
    learn(recipe_of(tmp_path, **settings, device_batch=2), tmp_path / "parts")
    whole, parts = (
        json.loads((tmp_path / name / "result.json").read_text())["dev"]["loss"]
        for name in ("whole", "parts")
    )
    assert parts == pytest.approx(whole, rel=1e-3)


def written(folder: Path, task: str, adversary: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    recipe = {"task": task, "dataset": "data", "base": "x/y", "adversary": adversary}
    if task == "distillation":
        recipe["teacher"] = "x/z"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.mark.parametrize(
    "task",
    [
        "causal",
        "chat",
        "distillation",
        "encoder",
        "masked",
        "preference",
        "tokens",
        "translation",
    ],
)
def test_where_rows_are_not_a_text_and_its_label_typos_are_refused(
    task: str, tmp_path: Path
) -> None:
    path = written(tmp_path, task, {"against": "typos"})
    with pytest.raises(Rejected, match="only the task labels learns against typos") as caught:
        read_recipe(path, RECIPES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("adversary", "meant"),
    [
        ({}, EmbeddingAdversary()),
        ({"epsilon": 0.2}, EmbeddingAdversary(epsilon=0.2)),
        ({"against": "embeddings", "steps": 2}, EmbeddingAdversary(steps=2)),
        ({"against": "typos"}, TypoAdversary(against="typos", tries=4, typos=0.2)),
    ],
)
def test_without_a_name_an_adversary_is_one_against_embeddings(
    adversary: dict[str, Any], meant: Adversary, tmp_path: Path
) -> None:
    assert read_recipe(written(tmp_path, "labels", adversary), RECIPES).adversary == meant


@pytest.mark.parametrize(
    ("adversary", "complaint"),
    [
        ({"tries": 4}, r"tries: extra inputs are not permitted"),
        ({"against": "typos", "epsilon": 0.1}, r"epsilon: extra inputs are not permitted"),
        ({"against": "typos", "tries": 0}, r"tries: input should be greater than or equal to 1"),
        ({"against": "letters"}, r"adversary: .*'embeddings', 'typos'"),
    ],
)
def test_a_setting_of_the_other_adversary_is_refused(
    adversary: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match=complaint):
        read_recipe(written(tmp_path, "labels", adversary), RECIPES)
