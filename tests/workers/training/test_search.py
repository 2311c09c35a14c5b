"""Searches that several processes share, and that a kill does not end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from celery import Celery
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from core.errors import Misconfigured, Rejected
from tests import services
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training.dataset.examples import Text
from workers.training.search.report import write_report
from workers.training.search.study import make_study, open_study
from workers.training.search.task import NAME, ring
from workers.training.search.trial import run_trial, search

SPACE: dict[str, Any] = {"learning_rate": {"log": ["1e-5", "3e-2"]}}


def write_search(folder: Path, changes: dict[str, Any] | None = None, /, **settings: Any) -> Path:
    texts = [f"You can return item {at} within {at + 10} days, unused." for at in range(12)]
    rows = [Text(**ABOUT, lang="en", paragraphs=(text,)) for text in texts]
    write_dataset(folder / "data", rows, rows[:4])
    tiny_model.build(folder / "base")
    base = {
        "task": "causal",
        "dataset": "data",
        "base": "base",
        "max_tokens": 32,
        "batch": 4,
        "device_batch": 4,
        # Evaluated once: each time draws the curves anew.
        "max_steps": 2,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**base, **(changes or {})}))
    path = folder / "search.yaml"
    content = {"task": "search", "recipe": "recipe.yaml", "space": SPACE, "trials": 4}
    path.write_text(yaml.safe_dump({**content, **settings}))
    return path


@pytest.mark.long
def test_the_best_recipe_is_written_and_its_model_kept(tmp_path: Path) -> None:
    space = {**SPACE, "weight_decay": {"range": [0, 0.1]}, "batch": {"choices": [4, 8]}}
    path = write_search(tmp_path, space=space, trials=3)
    result = search(path, tmp_path / "out", silent)
    values = [trial["value"] for trial in result["trials"]]
    assert result["best"]["value"] == min(values)
    best = yaml.safe_load((tmp_path / "out/best.yaml").read_text())
    assert best["learning_rate"] == result["best"]["settings"]["learning_rate"]
    assert best["dataset"] == str(tmp_path / "data")
    models = list((tmp_path / "out/trials").glob("*/model"))
    assert models == [tmp_path / "out" / result["best"]["run"] / "model"]
    assert (tmp_path / "out/search.png").stat().st_size > 5_000


@pytest.mark.long
def test_the_same_search_draws_the_same_settings(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"max_steps": 1}, trials=1)
    first, second = (search(path, tmp_path / name, silent) for name in ("a", "b"))
    assert [t["settings"] for t in first["trials"]] == [t["settings"] for t in second["trials"]]


def test_a_trial_that_falls_behind_is_pruned(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"max_steps": 4, "evaluate_every": 2}, trials=6)
    study = make_study(path, tmp_path / "out")
    for at in range(5):
        study.journal.add_trial(
            optuna.create_trial(
                value=0.1,
                params={"learning_rate": 1e-3},
                distributions={"learning_rate": FloatDistribution(1e-5, 3e-2, log=True)},
                intermediate_values={50: 0.1},
                user_attrs={"run": f"{at:04}"},
            )
        )
    assert run_trial(tmp_path / "out")
    assert study.runs()[-1].state is TrialState.PRUNED
    assert not (tmp_path / "out/trials/0005/checkpoints").exists()
    assert write_report(study)["trials"][-1]["state"] == "pruned"


@pytest.mark.long
def test_settings_that_break_the_loss_end_their_trial_alone(tmp_path: Path) -> None:
    path = write_search(tmp_path, space={"learning_rate": {"choices": [1e-3, 1e30]}}, trials=3)
    result = search(path, tmp_path / "out", silent)
    faults = [trial["fault"] for trial in result["trials"] if trial["state"] == "fail"]
    assert faults
    assert all("not a number" in fault for fault in faults)
    assert result["best"]["settings"] == {"learning_rate": 1e-3}


def test_a_missing_dataset_ends_the_search_and_uses_up_no_trial(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"dataset": "nowhere", "max_steps": 1}, trials=1)
    with pytest.raises(Rejected, match="nowhere: holds no dataset"):
        search(path, tmp_path / "out", silent)
    (tmp_path / "nowhere").symlink_to("data")
    assert search(path, tmp_path / "out", silent)["best"]["run"] == "trials/0000"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"space": {"learning_rat": {"range": [0, 1]}}}, "space: learning_rat: extra inputs"),
        ({"space": {"learning_rate": {"log": [0, 1]}}}, "under log it is above 0"),
        ({"space": {"learning_rate": {"range": [1, 0]}}}, "give the lower bound first"),
        ({"space": {"batch": {"choices": [4], "range": [1, 2]}}}, "give one of log"),
        ({"space": {}}, "space: "),
        ({"recipe": "no.yaml"}, "no.yaml: No such file"),
        ({"trails": 3}, "trails: extra inputs"),
    ],
)
def test_a_wrong_search_names_what_is_wrong(
    tmp_path: Path, settings: dict[str, Any], fault: str
) -> None:
    path = write_search(tmp_path, **settings)
    with pytest.raises(Rejected, match=f"(?i){fault}"):
        search(path, tmp_path / "out", silent)


def test_an_unknown_score_names_those_there_are(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"max_steps": 1}, score="bleu")
    with pytest.raises(Misconfigured, match="no bleu; choose among loss, perplexity"):
        search(path, tmp_path / "out", silent)
    assert len(list((tmp_path / "out/trials").glob("*.lock"))) == 1


@pytest.mark.long
def test_a_folder_holds_one_search_that_may_grow(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"max_steps": 1}, trials=1)
    search(path, tmp_path / "out", silent)
    path = write_search(tmp_path, {"max_steps": 1}, trials=2)
    assert len(search(path, tmp_path / "out", silent)["trials"]) == 2
    path = write_search(tmp_path, {"max_steps": 1}, seed=7)
    with pytest.raises(Rejected, match="holds another search"):
        search(path, tmp_path / "out", silent)


@pytest.mark.slow
def test_a_killed_trial_is_taken_up_with_its_settings_and_checkpoint(tmp_path: Path) -> None:
    """A run that is taken up without a search: test_encoder."""
    path = write_search(tmp_path, {"max_steps": 12, "evaluate_every": 3}, trials=1)
    folder = tmp_path / "out"
    code = (
        "import sys, pathlib; from workers.training.search.trial import search;"
        "search(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), lambda *_: None)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, path, folder])
    run = folder / "trials/0000"
    deadline = time.monotonic() + 250
    while not list(run.glob("checkpoints/*/trainer_state.json")):
        assert victim.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    began = json.loads((run / "recipe.json").read_text())["learning_rate"]
    seen = (run / "log.jsonl").read_text().count("\n")
    assert run_trial(folder)
    trials = open_study(folder).runs()
    assert [trial.params["learning_rate"] for trial in trials] == [began]
    # Those of before the kill were not thrown away: the log goes on from them.
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps[seen] > 1
    assert not run_trial(folder)


def test_a_trial_that_keeps_killing_its_process_is_given_up(tmp_path: Path) -> None:
    path = write_search(tmp_path, {"max_steps": 1}, trials=1)
    search_folder = tmp_path / "out"
    study = make_study(path, search_folder)
    for _ in range(3):
        # As after a kill: the lock is free, the record says "running".
        with study.claim() as task:
            assert task is not None
    with pytest.raises(Rejected, match="its process died 3 times"):
        run_trial(search_folder)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_share_the_trials(tmp_path: Path) -> None:
    path = write_search(tmp_path, trials=4)
    _check_shared(search(path, tmp_path / "out", silent, workers=2), 4)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_celery_workers_share_the_trials_and_one_may_die(tmp_path: Path) -> None:
    url = os.environ.get("DRAGOMAN_TEST_BROKER_URL", "redis://127.0.0.1:6379/0")
    if not services.answers(url):
        services.missing("a broker", "set DRAGOMAN_TEST_BROKER_URL or start Redis")
    folder = tmp_path / "out"
    changes = {"max_steps": 12, "evaluate_every": 3}
    make_study(write_search(tmp_path, changes, trials=3), folder)
    queue = f"search-{os.getpid()}"
    app = Celery("sender", broker=url)
    app.conf.task_default_queue = queue
    command = [sys.executable, "-m", "celery", "-A", "tests.workers.training.search_worker"]
    command += ["worker", "--pool", "solo", "--loglevel", "warning"]
    env = {**os.environ, "DRAGOMAN_TEST_BROKER_URL": url, "DRAGOMAN_TEST_QUEUE": queue}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen([*command, "-n", name], env=env))
            for name in ("a@%h", "b@%h")
        ]
        for worker in workers:
            stack.callback(worker.kill)
        assert ring(app, folder) == 3
        _wait(lambda: len(list(folder.glob("trials/*/checkpoints/*/trainer_state.json"))) > 0)
        workers[0].kill()
        # Redis would give the dead worker's message to the other one an hour later.
        app.send_task(NAME, (str(folder),))
        app.send_task(NAME, (str(folder),))
        _wait((folder / "result.json").exists)
        _wait(lambda: all(t.state.is_finished() for t in open_study(folder).runs()))
    with app.connection_for_write() as connection:
        connection.default_channel.queue_purge(queue)
    _check_shared(write_report(open_study(folder)), 3)


def _check_shared(result: Any, trials: int) -> None:
    assert [trial["state"] for trial in result["trials"]] == ["complete"] * trials
    assert len({trial["run"] for trial in result["trials"]}) == trials
    assert len({trial["settings"]["learning_rate"] for trial in result["trials"]}) == trials


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)
