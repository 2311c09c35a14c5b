"""The night's encoder: made from the base, calibrated, and whole or not there."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import DragomanError, Unavailable
from core.nights import Ended, Order, Step, VersionKind, version_folder
from core.turn import Author
from retrieval.calibration import read_calibration
from retrieval.encoder import CALIBRATION, open_encoder
from tests.workers.nightly import shop
from tests.workers.training.small import write_dataset
from workers.nightly import training
from workers.nightly.dialogue import make_dialogue
from workers.nightly.encoder import make_encoder
from workers.nightly.gate import evaluate
from workers.training.dataset.examples import Evidence, Reply, Said
from workers.training.dataset.folder import open_dataset


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Order:
    return shop.make_home(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def order(home: Order, tmp_path: Path) -> Order:
    return replace(home, data_dir=tmp_path / "data")


def candidate(order: Order) -> Path:
    name = order.version_name(VersionKind.ENCODER)
    return version_folder(order.data_dir, order.workspace, name)


@pytest.mark.long
def test_the_encoder_learns_what_customers_say(order: Order) -> None:
    shop.curate(order, shop.rows(8, 1))
    figures = make_encoder(order, open_dataset(order.dataset), **shop.SETTINGS)
    assert figures is not None
    assert figures["learnt"]
    assert figures["calibrated"]
    assert figures["training"]["dev"]["recall@1"] > 0.9
    encoder = open_encoder(candidate(order))
    assert read_calibration(candidate(order) / CALIBRATION).encoder == encoder.id
    assert not list(candidate(order).parent.glob("*.part"))
    written = (candidate(order) / "model.safetensors").stat().st_mtime_ns
    again = make_encoder(order, open_dataset(order.dataset), **shop.SETTINGS)
    assert again == figures
    assert (candidate(order) / "model.safetensors").stat().st_mtime_ns == written


def test_few_questions_tell_only_how_far_to_trust_the_base(order: Order) -> None:
    shop.curate(order, shop.rows(5, 1, plainly=True))
    result = training.train(order)
    assert result.ended is Ended.DONE
    assert result.figures["kinds"] == ["encoder"]
    assert not result.figures["encoder"]["learnt"]
    base = Path(order.encoder) / "model.safetensors"
    assert (candidate(order) / "model.safetensors").read_bytes() == base.read_bytes()
    assert read_calibration(candidate(order) / CALIBRATION).figures


def test_a_base_in_a_hub_s_cache_is_taken_over_whole(order: Order, tmp_path: Path) -> None:
    """There a model's files are links to others, by a way that starts in their own folder."""
    blobs, snapshot = tmp_path / "hub/blobs", tmp_path / "hub/snapshots/0123abcd"
    blobs.mkdir(parents=True)
    for number, path in enumerate(one for one in Path(order.encoder).rglob("*") if one.is_file()):
        link = snapshot / path.relative_to(order.encoder)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, blobs / str(number))
        link.symlink_to(os.path.relpath(blobs / str(number), link.parent))
    order = replace(order, encoder=str(snapshot))
    shop.curate(order, shop.rows(5, 1, plainly=True))
    assert training.train(order).ended is Ended.DONE
    whole = candidate(order)
    assert not any(path.is_symlink() for path in whole.rglob("*"))
    weights = (whole / "model.safetensors").read_bytes()
    assert weights == (snapshot / "model.safetensors").read_bytes()


def test_a_night_with_hardly_a_question_is_skipped(order: Order) -> None:
    shop.curate(order, shop.rows(1, 1))
    write_dataset(order.dataset, shop.rows(1, 1)[:2], shop.rows(1, 2)[:1])
    result = training.train(order)
    assert result.ended is Ended.SKIPPED
    assert "too few questions" in result.reason
    assert not candidate(order).exists()


def test_a_night_without_a_dataset_or_a_database_says_so_in_one_line(order: Order) -> None:
    with pytest.raises(DragomanError, match="holds no dataset"):
        training.train(order)
    shop.curate(order, shop.rows(3, 1))
    gone = replace(order, database="sqlite:////nowhere/dragoman.db")
    with pytest.raises(DragomanError) as caught:
        training.train(gone)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_night_killed_while_it_learns_goes_on(order: Order) -> None:
    shop.curate(order, shop.rows(8, 1))
    victim = [sys.executable, "-m", "tests.workers.nightly.victim", "60"]
    died = subprocess.run(victim, input=order.to_json(), text=True, check=False, timeout=110)
    assert died.returncode == -signal.SIGKILL
    trained = order.run(VersionKind.ENCODER) / "trained"
    assert (trained / "checkpoints/checkpoint-50/trainer_state.json").exists()
    assert not candidate(order).exists()
    figures = make_encoder(order, open_dataset(order.dataset), **shop.SETTINGS)
    assert figures is not None
    assert figures["training"]["updates"] == 100
    log = [line for line in (trained / "log.jsonl").read_text().splitlines() if line]
    assert len(log) >= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for what is read, but for no checkpoint."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long
def test_a_full_disk_is_told_in_one_line_and_the_night_goes_on_once_there_is_room(
    order: Order, small_disk: Path
) -> None:
    shop.curate(order, shop.rows(8, 1))
    run = order.run(VersionKind.ENCODER)
    run.mkdir(parents=True)
    (run / "trained").symlink_to(small_disk / "trained")
    (small_disk / "trained").mkdir()
    short = shop.SETTINGS | {"max_steps": 2, "evaluate_every": 1}
    with pytest.raises(Unavailable, match="is full; make room") as caught:
        make_encoder(order, open_dataset(order.dataset), **short)
    assert "\n" not in str(caught.value)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert make_encoder(order, open_dataset(order.dataset), **short) is not None


def test_a_base_that_is_not_safe_makes_nothing(order: Order, tmp_path: Path) -> None:
    shop.curate(order, shop.rows(3, 1))
    shutil.copytree(order.encoder, tmp_path / "base")
    (tmp_path / "base/weights.bin").write_bytes(b"")
    with pytest.raises(DragomanError, match="pickled weights can run code"):
        training.train(replace(order, encoder=str(tmp_path / "base")))
    assert not candidate(order).exists()


def replies(numbers: range) -> list[Reply]:
    return [
        Reply(
            lang="en",
            group=f"conversation:{1_000 + number}",
            source="conversations",
            licence="own",
            messages=(Said(author=Author.CUSTOMER, text=f"May I return item {number}?"),),
            passages=(Evidence(title="returns", text="Our return goods within thirty days."),),
            reply="Within thirty days [1].",
        )
        for number in numbers
    ]


def test_a_model_that_only_points_is_left_as_it_is(order: Order, tmp_path: Path) -> None:
    """People do not show it by their replies how to point."""
    shop.curate(order, shop.rows(5, 1, plainly=True))
    write_dataset(order.dataset, [*replies(range(100))], [*replies(range(100, 110))])
    (tmp_path / "points").mkdir()
    (tmp_path / "points/config.json").write_text('{"only_points": true}')
    curated = open_dataset(order.dataset)
    assert make_dialogue(replace(order, model=str(tmp_path / "points")), curated) is None


@pytest.mark.long
async def test_a_model_that_cannot_be_trained_does_not_take_the_encoder_with_it(
    order: Order, tmp_path: Path
) -> None:
    shop.curate(order, shop.rows(5, 1, plainly=True))
    rows = shop.rows(5, 1, plainly=True)
    dev = shop.rows(5, 2)
    write_dataset(order.dataset, [*rows, *replies(range(100))], [*dev, *replies(range(100, 110))])
    (tmp_path / "no-model").mkdir()
    unfit = replace(order, model=str(tmp_path / "no-model"))
    result = await asyncio.to_thread(training.train, unfit)
    assert result.figures["kinds"] == ["encoder"]
    reason = result.figures["failed"]["dialogue"]
    assert "no-model" in reason
    result.keep(unfit.result(Step.TRAIN))
    judged = await evaluate(unfit, safety=shop.safety(unfit))
    assert judged.figures["dialogue"]["reason"] == reason
    assert f"dialogue: {reason}" in judged.reason
