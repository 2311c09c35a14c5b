"""Trains the trials of a search, in this process or several, until none is left."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import TrialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import Misconfigured, Rejected, Unavailable
from retrieval.writing import Progress
from workers.training.curves import SPEED
from workers.training.search.report import Result, write_report
from workers.training.search.space import changed
from workers.training.search.study import Study, Task, make_study, open_study
from workers.training.start import train_recipe

_LOOK_S = 1.0


def search(path: Path, folder: Path, progress: Progress, *, workers: int = 1) -> Result:
    """Carry out the search in the file `path`, with what other processes do in `folder` already.

    Returns: the content of `result.json`; where others are still at work, as it is by now.

    Raises:
        Rejected: the search is wrong, or none of its trials works.
        Misconfigured: there is no such score, or as `workers.training.run.train`.
        Unavailable: as `workers.training.run.train`.
    """
    study = make_study(path, folder)
    if workers > 1:
        _share_out(study, progress, workers)
    while run_trial(folder):
        progress("trials", _done(study), study.search.trials)
    return write_report(study)


def run_trial(folder: Path) -> bool:
    """Take a trial of the search in `folder`, train it, and report once none is left.

    Returns: whether there was one to take.
    Raises: Rejected, Misconfigured, Unavailable: all trials would end so; this one is put back.
    """
    study = open_study(folder)
    with study.claim() as task:
        if task is None:
            write_report(study)
            return False
        _train(study, task)
    return True


class Reporter(TrainerCallback):
    """Tells a study how a trial does, and ends one that falls behind."""

    def __init__(self, task: Task, score: str) -> None:
        """What was reported before a kill is not reported again."""
        self.began = False
        self._task, self._score = task, score
        self._reported = set(task.reported)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Recipe, data and model fit: what fails now is the settings' fault."""
        self.began = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the score at this percent of all updates.

        Raises:
            optuna.TrialPruned: others were better at that point.
            Misconfigured: runs of this recipe have no such score.
        """
        scores = metrics or {}
        value = scores.get(f"eval_{self._score}")
        # Other prefixes are those of single languages.
        if value is None and "eval_loss" in scores:
            known = (name.removeprefix("eval_") for name in scores if not name.endswith(SPEED))
            raise Misconfigured(
                f"score: a run of this recipe has no {self._score}; choose among"
                f" {', '.join(sorted(known))}"
            )
        percent = round(100 * state.global_step / max(1, state.max_steps))
        if value is None or percent in self._reported:
            return
        self._reported.add(percent)
        self._task.trial.report(value, percent)
        if percent < 100 and self._task.trial.should_prune():
            raise optuna.TrialPruned


def _train(study: Study, task: Task) -> None:
    reporter = Reporter(task, study.search.score)
    try:
        recipe = changed(study.recipe, task.settings)
        result = train_recipe(recipe, task.run, _unseen, reporter)
        study.complete(task, result["dev"][study.search.score])
    except optuna.TrialPruned:
        study.prune(task)
    except (Rejected, Unavailable) as error:
        if not _is_settings_fault(study, reporter, error):
            study.give_back(task)
            raise
        study.fail(task, str(error))
    except BaseException:
        study.give_back(task)
        raise


def _is_settings_fault(study: Study, reporter: Reporter, error: Rejected | Unavailable) -> bool:
    """Whether another trial may do better: it began to learn, or others have."""
    if isinstance(error, Unavailable) and error.dependency != "memory":
        return False
    worked = (TrialState.COMPLETE, TrialState.PRUNED)
    return reporter.began or any(trial.state in worked for trial in study.runs())


def _done(study: Study) -> int:
    return sum(trial.state.is_finished() for trial in study.runs())


def _unseen(stage: str, done: int, total: int) -> None:
    """A trial's own progress is in its run."""


def _share_out(study: Study, progress: Progress, workers: int) -> None:
    """Let so many processes take trials; the first error of one ends this one when all stopped."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(
        workers,
        # A copy of a process that has threads, as torch makes them, may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_become_worker,
        initargs=(threads,),
    ) as pool:
        busy = {pool.submit(_run_all, study.folder) for _ in range(workers)}
        while busy:
            ended, busy = wait(busy, timeout=_LOOK_S)
            progress("trials", _done(study), study.search.trials)
            for future in ended:
                future.result()


def _become_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # The trial at hand is taken up by who comes next.
        os._exit(1)


def _run_all(folder: Path) -> None:
    while run_trial(folder):
        pass
