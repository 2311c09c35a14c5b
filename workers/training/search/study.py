"""Hands out the trials of a search to processes that share its folder.

search.json   what is searched; another search needs another folder
journal.log   optuna's record of all trials
trials/       a run for each of them, and the lock that its process holds
best.yaml     the best recipe; result.json, search.png: all of them

A trial whose lock is free although it should run is one that was killed. It is handed out again
with the same settings and the same run, which goes on from its last checkpoint.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from core.errors import Rejected
from workers.training.curves import LOWER_IS_BETTER
from workers.training.recipe import Recipe
from workers.training.search.space import Search, Setting, parse_recipe, read_search, settings_of

SEARCH = "search.json"
# A trial is given up once it has died so often: it may be what kills its process.
_DEATHS = 3
_RUN, _DIED, _FAULT = "run", "died", "fault"
_PRUNERS: Mapping[str, optuna.pruners.BasePruner] = {
    "none": optuna.pruners.NopPruner(),
    "median": optuna.pruners.MedianPruner(),
    # Resources are percents of a run.
    "hyperband": optuna.pruners.HyperbandPruner(min_resource=10, max_resource=100),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One trial, with the run that it is to train."""

    trial: Trial
    run: Path
    settings: Mapping[str, Setting]
    reported: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A search in its folder."""

    folder: Path
    search: Search
    recipe: Recipe

    @property
    def journal(self) -> optuna.Study:
        """The record as it is now.

        Trials are drawn one by one by processes that come and go, so each draw has a seed of its
        own: that of the search and the number of the trial.
        """
        storage = JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))
        study = optuna.create_study(
            storage=storage,
            study_name="search",
            load_if_exists=True,
            pruner=_PRUNERS[self.search.pruner],
            direction="minimize" if self.search.score.endswith(LOWER_IS_BETTER) else "maximize",
        )
        seed = self.search.seed + len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return study

    @contextmanager
    def claim(self) -> Iterator[Task | None]:
        """A trial that is this process's until the block ends; None if none is left to do."""
        with ExitStack() as held:
            with self.locked():
                journal = self.journal
                self._revive(journal)
                task = self._next(journal) if self._is_left(journal) else None
                if task is not None:
                    held.enter_context(_held(task.run))
            yield task

    def complete(self, task: Task, value: float) -> None:
        """Keep the score of a trial, and the model of the best one only."""
        journal = self.journal
        journal.tell(task.trial.number, value)
        best = journal.best_trial.user_attrs[_RUN]
        for trial in journal.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if trial.user_attrs[_RUN] != best:
                shutil.rmtree(self._run(trial) / "model", ignore_errors=True)

    def prune(self, task: Task) -> None:
        """Keep that a trial fell behind; nothing goes on from its checkpoints."""
        self.journal.tell(task.trial.number, state=TrialState.PRUNED)
        shutil.rmtree(task.run / "checkpoints", ignore_errors=True)

    def fail(self, task: Task, fault: str) -> None:
        """Keep that these settings do not work."""
        task.trial.set_user_attr(_FAULT, fault)
        self.journal.tell(task.trial.number, state=TrialState.FAIL)
        shutil.rmtree(task.run / "checkpoints", ignore_errors=True)

    def give_back(self, task: Task) -> None:
        """Let another process, or another day, do this trial."""
        journal = self.journal
        _again(journal, journal.get_trials(deepcopy=False)[task.trial.number], died=False)

    def runs(self) -> list[FrozenTrial]:
        """The last trial of each run, in order."""
        last = {_name(trial): trial for trial in self.journal.get_trials(deepcopy=False)}
        return [last[name] for name in sorted(last)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among the processes of this search, for a moment."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _next(self, journal: optuna.Study) -> Task:
        trial = journal.ask()
        run = self._run(trial)
        trial.set_user_attr(_RUN, run.name)
        settings = {name: span.suggest(trial, name) for name, span in self.search.space.items()}
        reported = journal.get_trials(deepcopy=False)[trial.number].intermediate_values
        return Task(trial=trial, run=run, settings=settings, reported=dict(reported))

    def _is_left(self, journal: optuna.Study) -> bool:
        trials = journal.get_trials(deepcopy=False)
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        return waiting or len({_name(trial) for trial in trials}) < self.search.trials

    def _revive(self, journal: optuna.Study) -> None:
        for trial in journal.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            with suppress(BlockingIOError), _held(self._run(trial)):
                _again(journal, trial, died=True)

    def _run(self, trial: FrozenTrial | Trial) -> Path:
        return self.folder / "trials" / _name(trial)


def open_study(folder: Path) -> Study:
    """The search that a folder holds.

    Raises: Rejected: it holds none.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        kept = json.loads((folder / SEARCH).read_bytes())
    except OSError as error:
        raise Rejected(f"{folder}: holds no search ({error.strerror})") from error
    return Study(
        folder=folder,
        search=Search.model_validate(kept["search"]),
        recipe=parse_recipe(kept["recipe"]),
    )


def make_study(path: Path, folder: Path) -> Study:
    """The search of the file `path` in `folder`, which may hold the beginning of it.

    Raises: Rejected: the file is wrong, or the folder holds another search.
    """
    search, recipe = read_search(path)
    content = {"search": search.model_dump(mode="json"), "recipe": settings_of(recipe)}
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    if (folder / SEARCH).exists():
        kept = json.loads((folder / SEARCH).read_bytes())
        # More trials of the same search are welcome.
        kept["search"]["trials"] = search.trials
        if kept != content:
            raise Rejected(f"{folder} holds another search; name another folder, or remove it")
    unfinished = folder / "search.part"
    unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    unfinished.rename(folder / SEARCH)
    return open_study(folder)


def _name(trial: FrozenTrial | Trial) -> str:
    name: str = trial.user_attrs.get(_RUN, f"{trial.number:04}")
    return name


def _again(journal: optuna.Study, trial: FrozenTrial, *, died: bool) -> None:
    """End a trial and put the same settings, with all that was learnt of them, up again."""
    deaths = trial.user_attrs.get(_DIED, 0) + died
    if deaths < _DEATHS:
        journal.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                system_attrs={"fixed_params": trial.params},
                user_attrs={**trial.user_attrs, _RUN: _name(trial), _DIED: deaths},
                intermediate_values=trial.intermediate_values,
            )
        )
    journal.tell(trial.number, state=TrialState.FAIL)


@contextmanager
def _held(run: Path) -> Iterator[IO[str]]:
    """Hold a trial.

    Raises: BlockingIOError: a living process does.
    """
    with run.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock


def fault_of(trial: FrozenTrial) -> str:
    """Why a trial failed; empty of others."""
    if trial.state is not TrialState.FAIL:
        return ""
    return str(trial.user_attrs.get(_FAULT, f"its process died {_DEATHS} times"))
