import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import TypeAdapter
from structlog.testing import capture_logs
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPTBigCodeConfig,
    GPTBigCodeForCausalLM,
    TrainerCallback,
)

from core.errors import DragomanError, Rejected, Unavailable
from core.turn import Author
from retrieval.processor import bfloat16_is_fast
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training import start
from workers.training.dataset.examples import Evidence, Reply, Said
from workers.training.dataset.folder import open_dataset
from workers.training.recipe import read_recipe
from workers.training.tasks import chat

RETURNS = "You can return unused items within 30 days."


def reply(number: int) -> Reply:
    return Reply(
        **{**ABOUT, "group": str(number)},
        lang="de" if number % 2 else "en",
        messages=(Said(author=Author.CUSTOMER, text=f"Can I return item {number}?"),),
        passages=(Evidence(title="Returns", text=RETURNS),),
        reply=f"{RETURNS} [1]",
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and a dataset, ready for recipes beside them."""
    folder = tmp_path_factory.mktemp("shop")
    tiny_model.build(folder / "base")
    write_dataset(folder / "rows", map(reply, range(32)), map(reply, range(100, 108)))
    return folder


def write_recipe(shop: Path, name: str, **settings: Any) -> Path:
    path = shop / f"{name}.yaml"
    common = {"task": "chat", "base": "base", "dataset": "rows", "max_tokens": 1_000}
    quick = {"batch": 16, "device_batch": 8, "epochs": 2, "learning_rate": 0.005}
    path.write_text(yaml.safe_dump(common | quick | settings))
    return path


def run(recipe: Path, folder: Path) -> Mapping[str, Any]:
    return start.start(recipe, folder, silent)


@pytest.mark.long
def test_a_run_learns_and_leaves_a_model_figures_and_curves(shop: Path, tmp_path: Path) -> None:
    short = run(write_recipe(shop, "short", max_steps=1), tmp_path / "short")
    result = run(write_recipe(shop, "long", epochs=6), tmp_path / "long")
    assert result["dev"]["loss"] < short["dev"]["loss"] - 0.5
    assert set(result["languages"]) == {"de", "en"}
    assert result["trained_parameters"] == result["parameters"]
    AutoModelForCausalLM.from_pretrained(tmp_path / "long/model")
    assert AutoTokenizer.from_pretrained(tmp_path / "long/model").chat_template
    kept = {path.name for path in (tmp_path / "long").iterdir()}
    assert {"result.json", "recipe.json", "log.jsonl", "curves.png", "tensorboard"} <= kept
    assert "checkpoints" not in kept


@pytest.mark.long
def test_a_finished_run_only_tells_its_figures(shop: Path, tmp_path: Path) -> None:
    recipe = write_recipe(shop, "twice", max_steps=1)
    first = run(recipe, tmp_path / "run")
    written = (tmp_path / "run/model/model.safetensors").stat().st_mtime_ns
    assert run(recipe, tmp_path / "run") == first
    assert (tmp_path / "run/model/model.safetensors").stat().st_mtime_ns == written


def test_a_folder_belongs_to_one_recipe(shop: Path, tmp_path: Path) -> None:
    run(write_recipe(shop, "mine", max_steps=1), tmp_path / "run")
    with pytest.raises(Rejected, match=r"another recipe \(learning_rate differ\)"):
        run(write_recipe(shop, "mine", max_steps=1, learning_rate=0.1), tmp_path / "run")


def test_rows_that_were_built_anew_are_not_those_of_the_run(shop: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    write_dataset(rows, map(reply, range(16)), map(reply, range(100, 104)))
    recipe = write_recipe(shop, "anew", dataset=str(rows), max_steps=1)
    first = run(recipe, tmp_path / "run")
    write_dataset(rows, map(reply, range(16)), map(reply, range(100, 104)))
    assert run(recipe, tmp_path / "run") == first
    write_dataset(rows, map(reply, range(17)), map(reply, range(100, 104)))
    with pytest.raises(Rejected, match=r"holds a run on other rows, for .*rows was built anew"):
        run(recipe, tmp_path / "run")
    # Nor does one that was killed go on with them.
    (tmp_path / "run/result.json").unlink()
    with pytest.raises(Rejected, match="holds a run on other rows"):
        run(recipe, tmp_path / "run")


def test_a_folder_without_a_recipe_holds_another_run(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/result.json").write_text("{}")
    with pytest.raises(Rejected, match="holds another run; name another folder"):
        run(write_recipe(shop, "searched", max_steps=1), tmp_path / "run")


def test_updates_that_are_counted_take_the_place_of_epochs(shop: Path, tmp_path: Path) -> None:
    lengths = {"epochs": 0.25, "max_steps": 3, "evaluate_every": 3, "warmup": 0.67, "batch": 8}
    result = run(write_recipe(shop, "counted", **lengths), tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert result["updates"] == 3
    assert next(entry["step"] for entry in log if "eval_loss" in entry) == 3
    rates = [entry["learning_rate"] for entry in log if "learning_rate" in entry]
    assert rates.index(max(rates)) == 2


@pytest.mark.long
def test_a_run_older_than_a_setting_has_its_default(shop: Path, tmp_path: Path) -> None:
    recipe = write_recipe(shop, "older", max_steps=1, adversary={})
    first = run(recipe, tmp_path / "run")
    kept = json.loads((tmp_path / "run/recipe.json").read_text())
    del kept["patience"], kept["adversary"]["steps"]
    (tmp_path / "run/recipe.json").write_text(json.dumps(kept))
    assert run(recipe, tmp_path / "run") == first


@pytest.mark.long
def test_the_same_seed_gives_the_same_weights(shop: Path, tmp_path: Path) -> None:
    recipe = write_recipe(shop, "seeded", max_steps=3, adapter={"method": "lora", "rank": 4})
    models = []
    for name in ("a", "b"):
        run(recipe, tmp_path / name)
        models.append((tmp_path / name / "model/model.safetensors").read_bytes())
    assert models[0] == models[1]


@pytest.mark.slow
def test_a_run_killed_between_checkpoints_ends_as_if_it_had_not_been(
    shop: Path, tmp_path: Path
) -> None:
    """One that is only interrupted: test_encoder and test_preference."""
    recipe = write_recipe(shop, "killed", epochs=4, evaluate_every=2)
    whole = run(recipe, tmp_path / "whole")
    victim = [sys.executable, "-m", "tests.workers.training.victim", str(recipe)]
    died = subprocess.run([*victim, str(tmp_path / "killed"), "5"], check=False, timeout=250)
    assert died.returncode == -signal.SIGKILL
    kept = tmp_path / "killed/checkpoints"
    assert {path.name for path in kept.iterdir()} == {"checkpoint-2", "checkpoint-4"}
    # A kill while a checkpoint is written leaves one without its last file.
    (kept / "checkpoint-6").mkdir()
    (kept / "checkpoint-6/model.safetensors").write_bytes(b"half")
    # A power cut leaves one whose files are all there, and not all of each.
    for name, file in (("8", "model.safetensors"), ("10", "optimizer.pt"), ("12", "rng_state.pth")):
        cut = shutil.copytree(kept / "checkpoint-4", kept / f"checkpoint-{name}") / file
        cut.write_bytes(cut.read_bytes()[:-10])
    resumed = run(recipe, tmp_path / "killed")
    assert resumed["updates"] == whole["updates"]
    assert resumed["dev"]["loss"] == pytest.approx(whole["dev"]["loss"], abs=1e-4)


@pytest.mark.slow
def test_two_processes_train_to_the_loss_of_one(shop: Path, tmp_path: Path) -> None:
    """Four processes load everything; that parts of a batch add up, test_labels.py sees in one."""
    recipe = write_recipe(shop, "shared", epochs=2)
    alone = run(recipe, tmp_path / "alone")
    command = [sys.executable, "-m", "dragoman", "train", str(recipe), str(tmp_path / "two")]
    done = subprocess.run(
        [*command, "--processes", "2", "--json"], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    together = json.loads(done.stdout)
    assert together["processes"] == 2
    assert together["updates"] == alone["updates"]
    assert together["dev"]["loss"] == pytest.approx(alone["dev"]["loss"], abs=1e-3)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte; a checkpoint of the tiny model takes more."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    size = ["-o", "size=512k"]
    subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long
def test_a_full_disk_is_told_in_one_line_and_the_run_goes_on_once_there_is_room(
    shop: Path, small_disk: Path
) -> None:
    recipe = write_recipe(shop, "full", max_steps=2)
    with pytest.raises(Unavailable, match="is full; make room and start the same command again"):
        run(recipe, small_disk / "run")
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    # The disk may have become full at the last file of a checkpoint as well.
    unfinished = small_disk / "run/checkpoints/checkpoint-1"
    unfinished.mkdir(parents=True, exist_ok=True)
    (unfinished / "trainer_state.json").write_text("")
    assert run(recipe, small_disk / "run")["updates"] == 2


class Greedy(TrainerCallback):
    """Takes more memory than there is."""

    def __init__(self, take: Callable[[int], object]) -> None:
        self._take = take

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._take(10**15)


@pytest.mark.parametrize("take", [torch.empty, bytearray])
def test_a_lack_of_memory_is_told_in_one_line(
    take: Callable[[int], object], shop: Path, tmp_path: Path
) -> None:
    recipe = read_recipe(write_recipe(shop, "greedy"), TypeAdapter(start.AnyRecipe))
    with pytest.raises(Unavailable, match="the rows do not fit: halve device_batch"):
        start.train_recipe(recipe, tmp_path / "run", silent, Greedy(take))


def test_a_loss_that_is_no_number_ends_the_run(shop: Path, tmp_path: Path) -> None:
    recipe = write_recipe(shop, "nan", learning_rate=1e20, epochs=10, warmup=0.0)
    with pytest.raises(Rejected, match="is not a number: lower learning_rate"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run/model").exists()


def test_two_runs_never_share_a_folder(shop: Path, tmp_path: Path) -> None:
    recipe = write_recipe(shop, "alone", max_steps=1)
    (tmp_path / "run").mkdir()
    with (tmp_path / "run/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Rejected, match="another process trains here now"):
            run(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"learnin_rate": 1}, "learnin_rate: extra inputs are not permitted"),
        ({"base": ""}, "name either a base model or a new one"),
        ({"batch": 3, "device_batch": 2}, "batch: 3 rows cannot be shared out"),
        ({"precision": "float16"}, "precision: float16 needs a GPU"),
        ({"sharded": True}, "sharded: needs several processes with a GPU each"),
        ({"base": "nowhere"}, "nowhere: no such model folder"),
        ({"dataset": "nothing"}, "nothing: holds no dataset"),
        ({"max_tokens": 10}, "its train part has no conversation of at most 10 tokens"),
        ({"task": "chatt"}, "chatt"),
        (
            {"task": "translation", "base": "", "new": {"config": {"model_type": "m2m_100"}}},
            "new: a translator starts from a base",
        ),
        ({"adapter": {"method": "prefix"}, "max_tokens": 2_040}, "is more than the 2032"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(
    settings: dict[str, Any], complaint: str, shop: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(shop, "wrong", **settings)
    with pytest.raises(DragomanError) as caught:
        run(recipe, tmp_path / "run")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_half_the_bits_are_computed_with_only_where_that_is_fast(
    shop: Path, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        run(write_recipe(shop, "halved", precision="bfloat16", max_steps=1), tmp_path / "halved")
    run(write_recipe(shop, "whole", max_steps=1), tmp_path / "whole")
    halved, whole = (
        (tmp_path / name / "model/model.safetensors").read_bytes() for name in ("halved", "whole")
    )
    said = [entry["event"] for entry in logs]
    assert (halved == whole) is ("trains_in_float32" in said) is not bfloat16_is_fast()


@pytest.mark.parametrize("content", ["- a\n- b\n", "task: [", "\xff"])
def test_what_is_no_recipe_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(Rejected, match=r"recipe\.yaml: ") as caught:
        read_recipe(path, TypeAdapter(start.AnyRecipe))
    assert "\n" not in str(caught.value)


def test_a_base_without_a_chat_template_is_no_dialogue_model(shop: Path, tmp_path: Path) -> None:
    mute = tiny_model.build(tmp_path / "mute")
    (mute / "chat_template.jinja").unlink()
    with pytest.raises(Rejected, match="has no chat template"):
        run(write_recipe(shop, "mute", base=str(mute)), tmp_path / "run")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('System role not supported') }}", "(System role not supported)"),
        ("{{ messages", "prompts (unexpected end of template"),
    ],
)
def test_a_template_that_refuses_our_prompts_is_told_in_one_line(
    template: str, said: str, shop: Path, tmp_path: Path
) -> None:
    narrow = tiny_model.build(tmp_path / "narrow")
    (narrow / "chat_template.jinja").write_text(template)
    with pytest.raises(Rejected, match="the base's chat template cannot write") as caught:
        run(write_recipe(shop, "narrow", base=str(narrow)), tmp_path / "run")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_low_rank_weights_begin_where_their_base_is(shop: Path, tmp_path: Path) -> None:
    """What is padded in front moves no position, and only what is learnt is worked out."""
    base = tiny_model.build(tmp_path / "base")
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 1_000}
    marks: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    config = GPTBigCodeConfig(vocab_size=400, initializer_range=0.3, **sizes, **marks)
    GPTBigCodeForCausalLM(config).save_pretrained(base)
    losses, lengths = [], []
    for name, adapter in (("whole", None), ("low", {"method": "lora"})):
        path = write_recipe(shop, name, base=str(base), adapter=adapter)
        recipe = read_recipe(path, TypeAdapter(start.AnyRecipe))
        trainer = chat.build(recipe, open_dataset(shop / "rows"), tmp_path / name).trainer
        batch = next(iter(trainer.get_eval_dataloader()))
        trainer.model.eval()
        with torch.no_grad():
            loss, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
        losses.append(float(loss))
        lengths.append(outputs.logits.shape[1])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert lengths[0] == lengths[1] < batch["input_ids"].shape[1] / 4


@pytest.mark.long
@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "prefix"])
def test_an_adapter_trains_few_weights_beside_the_frozen_ones(
    method: str, shop: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(shop, method, max_steps=3, adapter={"method": method, "rank": 4})
    result = run(recipe, tmp_path / "run")
    assert 0 < result["trained_parameters"] < result["parameters"] / 2
    if method == "prefix":
        assert (tmp_path / "run/model/adapter_config.json").exists()
        return
    # Merged, it is a plain model again.
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "run/model")
    base = AutoModelForCausalLM.from_pretrained(shop / "base")
    changed = [
        name
        for name, weight in merged.named_parameters()
        if not torch.equal(weight, base.get_parameter(name))
    ]
    assert changed
    assert not any("embed" in name for name in changed)
