"""A training run in a folder of its own: started, resumed after a kill, measured, saved.

recipe.json   what it does; another recipe needs another folder
data.json     the hashes of the dataset; one that was built anew needs another folder
log.jsonl     one line a log entry, as it goes
curves.png    loss and scores over updates; tensorboard/ has them in detail
checkpoints/  the last two and the best; gone once the run is finished
model/        what was learnt, as transformers loads it
result.json   figures; written last, so that its presence means "finished"
"""

import errno
import fcntl
import json
import os
import resource
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from safetensors import SafetensorError, safe_open
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging as transformers_logging

from core.errors import DragomanError, Rejected, Unavailable
from retrieval.writing import Progress
from workers.training.curves import SPEED
from workers.training.dataset.folder import Dataset, Part, open_dataset
from workers.training.finished import RESULT, finished
from workers.training.job import Build, Job
from workers.training.kept import RECIPE, check_kept, keep_to, write_json
from workers.training.loading import count_parameters
from workers.training.ranks import RankBudget, gives_out_ranks
from workers.training.recipe import Recipe
from workers.training.watching import Watcher

# How safetensors and torch's own writer tell of a full disk.
_FULL_DISK = ("No space left", "PytorchStreamWriter", "inline_container")
# How torch tells that a CPU has no more memory; of a GPU's it has an error of its own.
_FULL_MEMORY = "DefaultCPUAllocator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where a run keeps what."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Snapshots to go on from."""
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        """What was learnt."""
        return self.folder / "model"


def train(
    recipe: Recipe, build: Build, folder: Path, progress: Progress, *callbacks: TrainerCallback
) -> Mapping[str, Any]:
    """Carry the recipe out in `folder`, from its last checkpoint if there is one.

    Every process of a distributed run calls this; the first one alone writes.

    Returns: the content of `result.json`.

    Raises:
        Rejected: the recipe, the data or what came of them is at fault.
        Misconfigured: the base model is not to be had, or not safe to load.
        Unavailable: disk or memory gave out; once there is room, the same call goes on.
    """
    run = Run(folder=folder)
    with _faults(run), _alone(run) as first:
        dataset = open_dataset(recipe.dataset)
        if (known := finished(folder, recipe, dataset)) is not None:
            return known
        if first:
            _claim(run, recipe, dataset)
        _silence()
        # Before any weight is drawn.
        set_seed(recipe.seed)
        job = build(recipe, dataset, run.checkpoints)
        if gives_out_ranks(job.trainer.model):
            job.trainer.add_callback(RankBudget())
        for callback in (Watcher(folder, progress), *callbacks):
            job.trainer.add_callback(callback)
        started_s = time.monotonic()
        job.trainer.remove_callback(PrinterCallback)
        job.trainer.train(resume_from_checkpoint=_last_checkpoint(run))
        took_s = time.monotonic() - started_s
        result = _figures(job, recipe, dataset, took_s)
        # Every process holds a part of them, and gives it here.
        weights = [_gathered(job)] if recipe.sharded else []
        if first:
            _save(run, job, result, *weights)
        job.trainer.accelerator.wait_for_everyone()
        return result


def _silence() -> None:
    """The libraries draw bars of their own, and report each head that begins at random."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no stubs
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # no stubs
    datasets.disable_progress_bars()


def _claim(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """Make the folder this recipe's, and clear away what a kill left half written."""
    if (run.folder / RECIPE).exists():
        check_kept(run.folder, recipe, dataset)
    run.checkpoints.mkdir(exist_ok=True)
    keep_to(run.folder, recipe, dataset)
    for checkpoint in run.checkpoints.glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint)


def _last_checkpoint(run: Run) -> str | None:
    found: str | None = get_last_checkpoint(str(run.checkpoints))  # type: ignore[no-untyped-call]  # no stubs
    return found


def _is_whole(checkpoint: Path) -> bool:
    """Whether all of it is there.

    The Trainer writes the state last: a disk may be full by then. After a power cut any file may
    lack its end.
    """
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
        for path in checkpoint.rglob("*.safetensors"):
            # Opening compares the size with what the header tells.
            with safe_open(path, framework="pt"):
                pass
    except (FileNotFoundError, ValueError, SafetensorError):
        return False
    # torch writes zip archives, whose directory is at their end.
    return all(zipfile.is_zipfile(path) for path in checkpoint.rglob("*.pt*"))


def _figures(job: Job, recipe: Recipe, dataset: Dataset, took_s: float) -> dict[str, Any]:
    """Scores on the dev rows, all and by language, with what they cost."""
    trainer = job.trainer
    trained, parameters = count_parameters(trainer.model)
    scores = _scores(trainer.evaluate(), "eval")
    languages = {}
    for tag, rows in job.languages.items():
        prefix = f"eval_{tag}"
        of_language = trainer.evaluate(rows, metric_key_prefix=prefix)
        languages[tag] = {"rows": len(rows), **_scores(of_language, prefix)}
    return {
        "task": recipe.model_dump()["task"],
        "rows": _rows(trainer.train_dataset),
        "updates": trainer.state.global_step,
        "trained_parameters": trained,
        "parameters": parameters,
        # Of this call: a resumed run does not count what came before.
        "took_s": round(took_s, 1),
        "peak_memory_mb": _peak_memory_mb(),
        "dev": scores,
        "languages": languages,
        "data": dataset.manifest.files[Part.TRAIN].sha256,
        "processes": trainer.args.world_size,
        "torch": torch.__version__,
    }


def _rows(train: Any) -> int:
    """Of a table, or of several that an encoder learns from."""
    return sum(map(len, train.values())) if isinstance(train, dict) else len(train)


def _scores(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The scores among the figures of an evaluation, without its speed."""
    # trl puts `eval_` before its own, whatever the prefix.
    found = {
        name.removeprefix(f"{prefix}_").removeprefix("eval_"): value
        for name, value in metrics.items()
    }
    return {name: round(v, 5) for name, v in found.items() if not name.endswith(SPEED)}


def _peak_memory_mb() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _gathered(job: Job) -> Mapping[str, torch.Tensor]:
    weights: Mapping[str, torch.Tensor] = job.trainer.accelerator.get_state_dict(job.trainer.model)
    return weights


def _save(
    run: Run, job: Job, result: Mapping[str, Any], *weights: Mapping[str, torch.Tensor]
) -> None:
    """The model under another name first: one that is there is whole."""
    unfinished = run.model.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    job.save(unfinished, *weights)
    shutil.rmtree(run.model, ignore_errors=True)
    unfinished.rename(run.model)
    write_json(run.folder / RESULT, result)
    shutil.rmtree(run.checkpoints)


@contextmanager
def _alone(run: Run) -> Iterator[bool]:
    """Hold the folder against a second run; True in the first process of a distributed one."""
    if int(os.environ.get("RANK", "0")) > 0:
        yield False
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Rejected(f"{run.folder}: another process trains here now") from error
        yield True


@contextmanager
def _faults(run: Run) -> Iterator[None]:
    """Say in one line what gave out; the libraries have many names for each."""
    try:
        yield
    except DragomanError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_large() from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(run) from error
        raise Unavailable("disk", f"{error.filename}: {error.strerror}") from error
    except Exception as error:
        if any(words in str(error) for words in _FULL_DISK):
            raise _full(run) from error
        if _FULL_MEMORY in str(error):
            raise _too_large() from error
        raise


def _too_large() -> Unavailable:
    return Unavailable(
        "memory", "the rows do not fit: halve device_batch, or set checkpointing: true"
    )


def _full(run: Run) -> Unavailable:
    return Unavailable(
        "disk",
        f"{run.folder} is full; make room and start the same command again, which goes on from"
        " the last checkpoint",
    )
