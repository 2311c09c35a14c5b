"""How commands run and print: results to stdout, everything else to stderr."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from dragoman.settings import Settings, load

T = TypeVar("T")

FAILED = 1
WRONG_USE = 2
# A bar that flashes up and is gone tells nothing.
BAR_AFTER_S = 2.0

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys.")]
OfWorkspace = Annotated[
    str, typer.Option("--workspace", help="Another workspace than DRAGOMAN_WORKSPACE.")
]

# Controls, and what turns the rest of a line round.
_CODES = (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_STEERING = {code: None for code in _CODES if chr(code) not in "\n\t"}


class _Plain(Console):
    """Shows text as it is, in tables too: what customers wrote neither styles nor steers it."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(text.translate(_STEERING), **options)


out = _Plain()
err = _Plain(stderr=True)


def readable(text: str) -> str:
    """A text of the command line, where a shell passes on any bytes.

    Raises: typer.BadParameter: it is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("not UTF-8; see which encoding your terminal uses") from None
    return text


def run_async(work: Callable[[Settings], Coroutine[Any, Any, T]], *, quiet: bool = True) -> T:
    """Run a coroutine with the settings; a command logs errors only, the desk all it is set to."""
    from dragoman.logs import configure

    settings = load()
    configure(level="error" if quiet else settings.log_level, form=settings.log_format)
    # uvloop serves about half as many messages again as asyncio's own loop.
    import uvloop

    with for_us_alone(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work(settings))


@contextmanager
def for_us_alone() -> Iterator[None]:
    """Let nobody else on this machine read the files that come about, whoever made their folder."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def print_json(value: object) -> None:
    """One JSON text a line."""
    print(json.dumps(value, ensure_ascii=False))  # noqa: T201 - the result of a command


def print_plain(text: str) -> None:
    """A line of a result."""
    out.print(text)


def complain(text: str) -> None:
    """One line on stderr."""
    err.print(f"dragoman: {text}")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar by stage on stderr, once the work takes longer than two seconds."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    # Into a file, rich would write an empty line instead of bars.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        stages: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total, visible=False)
            task = stages[stage]
            bars.update(task, completed=done, total=total)
            seen_s = bars.tasks[task].elapsed or 0.0
            bars.update(task, visible=seen_s > BAR_AFTER_S and done < total)

        yield show
