"""Programs kept running side by side, each with a log of its own."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.errors import Unavailable
from workers.processes import end_group

log = structlog.get_logger()

PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
# One that has run for so long did not fail at its start.
STEADY_S = 20.0
STOP_S = 30.0
_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command to keep running; `ready` is the host and port where it takes connections."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    """Whose process it is to be; empty for ours."""
    folder: Path | None = None
    ready: tuple[str, int] | None = None
    path: str = ""
    """Where it answers 200 over HTTP once it is ready; empty if a connection is all it takes."""

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        if self.ready is None:
            return ""
        return f"{'http://' if self.path else ''}{self.ready[0]}:{self.ready[1]}"


class Kept:
    """A program that is started again whenever it ends."""

    def __init__(self, program: Program, logs: Path) -> None:
        """Nothing is started yet. Its output goes to a file in `logs`."""
        self.program = program
        self.log_file = logs / f"{program.name}.log"
        self.starts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now; None while it is about to be started again."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    def start(self) -> None:
        """Begin to keep it running."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to finish, and end it if it does not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None:
            await end_group(self._process, patience_s=STOP_S)

    async def ready(self, patience_s: float) -> None:
        """Wait until it serves.

        Raises: Unavailable: it does not within so long; the last lines of its log say why.
        """
        try:
            async with asyncio.timeout(patience_s):
                while not await is_ready(self.program):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unavailable(self.program.name, f"not ready; {self.last_words()}") from None

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        with suppress(OSError):
            lines = self.log_file.read_text("utf-8", "replace").strip().splitlines()[-_LINES:]
            return " | ".join(lines) + f" (see {self.log_file})"
        return f"see {self.log_file}"

    async def _keep(self) -> None:
        pause_s = PAUSE_S
        while True:
            began_s = time.monotonic()
            with self.log_file.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *_bound_to_us(self.program),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **self.program.env},
                    cwd=self.program.folder,
                    start_new_session=True,
                )
            self.starts += 1
            code = await self._process.wait()
            log.warning("program_ended", program=self.program.name, code=code)
            # What it started itself is of no use without it.
            await end_group(self._process)
            lasted = time.monotonic() - began_s > STEADY_S
            pause_s = PAUSE_S if lasted else min(LONGEST_PAUSE_S, pause_s * 2)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def keeping(programs: Sequence[Program], logs: Path) -> AsyncIterator[Mapping[str, Kept]]:
    """Keep programs running for the length of the block."""
    await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
    kept = {program.name: Kept(program, logs) for program in programs}
    try:
        for each in kept.values():
            each.start()
        yield kept
    finally:
        await asyncio.gather(*(each.stop() for each in kept.values()))


async def is_ready(program: Program) -> bool:
    """Whether it takes a connection, and answers 200 if it speaks HTTP."""
    if program.ready is None:
        return True
    return await answers(*program.ready, path=program.path)


async def answers(host: str, port: int, *, path: str = "", within_s: float = 5.0) -> bool:
    """Whether a connection is taken there, and a GET of `path`, if one is named, gets a 200."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                if not path:
                    return True
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _bound_to_us(program: Program) -> tuple[str, ...]:
    """Its command, which the kernel ends should we be killed (Linux)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return program.command
    user = (f"--reuid={program.user}", f"--regid={program.user}", "--clear-groups")
    return (setpriv, *(user if program.user else ()), "--pdeathsig", "KILL", *program.command)
