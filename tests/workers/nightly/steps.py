"""Small steps for a night, told by files beside its folder what to do; run as its child process.

`<data>/do/<step>` holds a line for each start: what is done before the step ends, in a word; with
"judge" in front of it, while a candidate is judged.
`<data>/started` gets a line for each start, `<data>/published` one for each night in service.
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import structlog

from core.errors import Rejected, Unavailable
from core.nights import Ended, Order, Step, StepResult, VersionKind
from dragoman.night import command
from workers.nightly.cuts import counted

# How long a lease of the tests lasts.
HELD_S = 6.0
JUDGE = "judge"
WORDS = "the words of a customer"
COMMAND = ("-m", "tests.workers.nightly.steps")

log = structlog.get_logger()


def plan(data_dir: Path, step: Step, *words: str) -> None:
    """Have the starts of a step do this, one after the other."""
    folder = data_dir / "do"
    folder.mkdir(exist_ok=True)
    (folder / step).write_text("\n".join(words))


def starts(data_dir: Path, slot: str = "") -> list[str]:
    """Each start of a step so far, as slot and step, in order."""
    told = (data_dir / "started").read_text() if (data_dir / "started").exists() else ""
    return [line for line in told.splitlines() if line.startswith(slot)]


def commits(data_dir: Path) -> list[str]:
    """The slots of the nights that were published, each as often as it was."""
    path = data_dir / "published"
    return path.read_text().splitlines() if path.exists() else []


def _eat() -> None:
    eaten = bytearray(b"food") * 100_000_000
    time.sleep(600)
    del eaten


def _fill_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _reject() -> None:
    raise Rejected("the recipe is wrong")


def _fail() -> None:
    raise Unavailable("database", "went away")


def _stumble() -> None:
    words = WORDS
    try:
        int(words)
    except ValueError:
        log.exception("step_stumbles")
    raise ValueError(words)


_DEEDS: Mapping[str, Callable[[], object]] = {
    "": lambda: None,
    "hang": lambda: time.sleep(600),
    "nap": lambda: time.sleep(1.5 * HELD_S),
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "eat": _eat,
    "full": _fill_disk,
    "reject": _reject,
    "unavailable": _fail,
    "bug": _stumble,
}
_RESULTS: Mapping[str, StepResult] = {
    "skip": StepResult(ended=Ended.SKIPPED, reason="too few conversations"),
    "refuse": StepResult(ended=Ended.REFUSED, reason="worse in German"),
}


def doubled(data_dir: Path) -> list[str]:
    """The slots at which two processes were at the same time."""
    path = data_dir / "doubled"
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def _watched(order: Order) -> Iterator[None]:
    """Note if another process that is alive is at the same night."""
    path = order.data_dir / f"busy-{order.slot}"
    with suppress(OSError, ValueError):
        os.kill(int(path.read_text()), 0)
        with (order.data_dir / "doubled").open("a") as file:
            file.write(f"{order.slot}\n")
    path.write_text(str(os.getpid()))
    yield
    path.unlink(missing_ok=True)


def _do(order: Order, step: Step) -> StepResult:
    with _watched(order):
        return _done(order, step)


def _done(order: Order, step: Step) -> StepResult:
    with (order.data_dir / "started").open("a") as file:
        file.write(f"{order.slot} {step}\n")
    start = sum(line == f"{order.slot} {step}" for line in starts(order.data_dir))
    path = order.data_dir / "do" / step
    words = path.read_text().split("\n") if path.exists() else []
    word = words[start - 1] if start <= len(words) else ""
    if word in _RESULTS:
        return _RESULTS[word]
    judging = word.startswith(JUDGE)
    with counted(order, VersionKind.ENCODER) if judging else nullcontext():
        _DEEDS[word.removeprefix(JUDGE).strip()]()
    if step is Step.PUBLISH and order.slot not in commits(order.data_dir):
        with (order.data_dir / "published").open("a") as file:
            file.write(f"{order.slot}\n")
    return StepResult(ended=Ended.DONE, figures={"start": start})


def curate(order: Order) -> StepResult:
    return _do(order, Step.CURATE)


async def train(order: Order) -> StepResult:
    return _do(order, Step.TRAIN)


def evaluate(order: Order) -> StepResult:
    return _do(order, Step.EVALUATE)


async def publish(order: Order) -> StepResult:
    return _do(order, Step.PUBLISH)


if __name__ == "__main__":
    command({step: f"tests.workers.nightly.steps:{step}" for step in Step})()
