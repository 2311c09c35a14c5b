"""Where a run tells how it goes: TensorBoard, the curves, Weights & Biases."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training.curves import draw_curves
from workers.training.dataset.examples import Text
from workers.training.run import train
from workers.training.tasks import causal

# As much of the client as the Trainer calls; the true one wants its service, or a disk of its own.
WANDB = """
import json, os

run = None


def _keep(**entry):
    with open(os.environ["TRACKED"], "a") as file:
        file.write(json.dumps(entry, default=str) + chr(10))


class _Config(dict):
    def update(self, *args, allow_val_change=False):
        super().update(*args)


config = _Config()
summary = {}


class _Run:
    id, name, url, summary = "1", "run", "", summary

    def _label(self, code):
        pass


def init(**settings):
    global run
    run = _Run()
    _keep(init=settings, project=os.environ["WANDB_PROJECT"], mode=os.environ.get("WANDB_MODE"))


def log(metrics, **more):
    _keep(log=metrics)


def define_metric(*args, **more):
    pass


def finish():
    _keep(finish=True)
"""


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client that writes what it is told to the file returned."""
    package = tmp_path / "site" / "wandb"
    (package / "sdk" / "lib").mkdir(parents=True)
    for folder in (package / "sdk", package / "sdk" / "lib"):
        (folder / "__init__.py").touch()
    (package / "__init__.py").write_text(WANDB)
    (package / "sdk/lib/config_util.py").write_text("class ConfigError(Exception):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKED", str(tmp_path / "tracked.jsonl"))
    return tmp_path / "tracked.jsonl"


def learn(tmp_path: Path) -> Any:
    rows = [Text(**ABOUT, lang="en", paragraphs=("You can return unused items.",))] * 8
    write_dataset(tmp_path / "data", rows, rows[:2])
    recipe = causal.Causal(
        task="causal",
        dataset=tmp_path / "data",
        base=str(tiny_model.build(tmp_path / "base")),
        max_tokens=16,
        batch=4,
        device_batch=4,
        max_steps=2,
    )
    return train(recipe, causal.build, tmp_path / "returns", silent)


def test_a_keyed_client_hears_of_the_run_by_its_folders_name(
    tmp_path: Path, wandb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    learn(tmp_path)
    entries = [json.loads(line) for line in wandb.read_text().splitlines()]
    begun = next(entry for entry in entries if "init" in entry)
    assert begun["init"]["name"] == "returns"
    assert begun["project"] == "dragoman"
    assert any("eval/loss" in entry.get("log", {}) for entry in entries)


def test_a_client_without_a_key_is_left_alone(
    tmp_path: Path, wandb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    learn(tmp_path)
    assert not wandb.exists()
    assert list((tmp_path / "returns/tensorboard").rglob("events.out.tfevents.*"))
    assert (tmp_path / "returns/curves.png").stat().st_size > 5_000


def test_curves_draw_what_a_resume_logs_twice_once(tmp_path: Path) -> None:
    history = [{"step": step, "loss": 1 / step} for step in (1, 2, 3, 2, 3, 4)]
    draw_curves(history, tmp_path / "twice.png")
    draw_curves(sorted(history, key=lambda entry: entry["step"]), tmp_path / "once.png")
    assert (tmp_path / "twice.png").read_bytes() == (tmp_path / "once.png").read_bytes()


def test_a_run_that_has_logged_nothing_yet_has_an_empty_picture(tmp_path: Path) -> None:
    draw_curves([], tmp_path / "none.png")
    assert (tmp_path / "none.png").exists()
