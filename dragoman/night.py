"""`python -m dragoman.night`: a step of a night as a process of its own, or whole nights.

A step is told its order on stdin, keeps its result in the night's folder, and says in its last line
why it could not.
"""

import asyncio
import fcntl
import inspect
import os
import pkgutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from structlog.processors import ExceptionRenderer

from core.errors import DragomanError, Misconfigured, Unavailable
from core.nights import NightState, Order, Step, StepResult
from dragoman.console import FAILED, AsJson, complain, print_json, print_plain, run_async
from dragoman.logs import configure
from dragoman.settings import Settings
from workers.nightly.child import DISK_FULL, is_full, trace_of
from workers.processes import die_with, die_with_silence

# What a step needs (torch among it) is imported when it is carried out.
STEPS: Mapping[Step, str] = {
    Step.CURATE: "workers.nightly.curating:curate",
    Step.TRAIN: "workers.nightly.training:train",
    Step.EVALUATE: "workers.nightly.gate:evaluate",
    Step.PUBLISH: "workers.nightly.publishing:publish",
}


def command(steps: Mapping[Step, str] = STEPS) -> typer.Typer:
    """The command line; a test has steps of its own."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
    for step, function in steps.items():
        app.command(str(step), help=f"Carry out the step {step}.")(_command_of(step, function))
    app.command("run")(run)
    app.command("keep")(keep)
    return app


def run(
    slot: Annotated[
        str, typer.Option(help="Name of the night; the time of day if you give none.")
    ] = "",
    workspace: Annotated[str, typer.Option(help="Another than DRAGOMAN_WORKSPACE.")] = "",
    as_json: AsJson = False,
) -> None:
    """Learn now, step by step, and wait for the end."""
    from dragoman.learning import learn_now

    night = run_async(lambda settings: learn_now(settings, workspace, slot), quiet=False)
    if as_json:
        print_json(asdict(night))
    else:
        print_plain(f"{night.slot}: {night.state}" + (f" ({night.reason})" if night.reason else ""))
    if night.state is NightState.FAILED:
        raise typer.Exit(FAILED)


def keep(parent: Annotated[int, typer.Option(help="Process to die with.")] = 0) -> None:
    """Carry out nights that are due, for ever, as a worker does beside its queues."""
    from dragoman.learning import carry_nights

    async def work(settings: Settings) -> None:
        stop = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await carry_nights(settings, stop)

    if parent:
        die_with(parent)
    run_async(work, quiet=False)


def _command_of(step: Step, function: str) -> Any:
    def carry_out(
        parent: int = 0, patience_s: float = 0.0, niceness: int = 0, gpu_share: float = 1.0
    ) -> None:
        if parent:
            die_with(parent)
        # What an error says may be a customer's words.
        errors = ExceptionRenderer(lambda info: trace_of(info[1]))
        configure(level="info", form="json", errors=errors)
        order = Order.from_json(sys.stdin.buffer.readline().decode())
        if patience_s:
            die_with_silence(patience_s)
        _give_way(niceness)
        if step is Step.TRAIN and gpu_share < 1:
            _share_gpu(gpu_share)
        try:
            _carry_out(function, order, step)
        except Exception as error:  # noqa: BLE001 - this is the edge of the process
            _say_why(error)

    return carry_out


def _carry_out(function: str, order: Order, step: Step) -> None:
    """Call the step, and keep its result; another process may be at the same night."""
    # It was led by somebody who lost the night, and ends soon.
    with (order.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if order.result(step).exists():
            return
        result = pkgutil.resolve_name(function)(order)
        if inspect.iscoroutine(result):
            with asyncio.Runner() as runner:
                result = runner.run(result)
        assert isinstance(result, StepResult)
        result.keep(order.result(step))


def _say_why(error: Exception) -> NoReturn:
    """End with a line for people, and a code that says whether another start may help."""
    code = os.EX_SOFTWARE
    if is_full(error):
        code = DISK_FULL
    elif isinstance(error, ImportError):
        error = Misconfigured(f"{error}: nights need more packages, pip install 'dragoman[train]'")
        code = os.EX_CONFIG
    elif isinstance(error, Unavailable):
        code = os.EX_TEMPFAIL
    elif isinstance(error, DragomanError):
        code = os.EX_CONFIG if isinstance(error, Misconfigured) else os.EX_DATAERR
    # A full disk may hold the log as well.
    with suppress(OSError):
        if code == os.EX_SOFTWARE:
            sys.stderr.write(trace_of(error))
        # What an unforeseen error says may be a customer's words.
        told = type(error).__name__ if code == os.EX_SOFTWARE else " ".join(str(error).split())
        print(told, file=sys.stderr, flush=True)  # noqa: T201 - the last words of a process
    sys.exit(code)


def _give_way(niceness: int) -> None:
    """Leave the processor to who serves customers, and be the first to go if memory runs out."""
    os.nice(niceness)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def _share_gpu(share: float) -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)


def main() -> None:
    """Run the command; what it cannot do ends in one line on stderr and an exit code."""
    try:
        command()()
    except DragomanError as error:
        complain(str(error))
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
