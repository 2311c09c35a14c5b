"""A step of a night as a child process: started, watched, and ended where it goes too far."""

import asyncio
import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from core.nights import Order, Step
from workers.processes import end_group, inherited, memory_of

# What a child says by its exit code; its last words are on its log's last line.
FOR_GOOD = (os.EX_DATAERR, os.EX_CONFIG)
DISK_FULL = os.EX_IOERR

LOOK_S = 1.0
# The memory that a step may take of what is free when it starts.
SHARE_OF_FREE = 0.7
# What a container is told of its memory; one that has no limit finds none there.
CGROUP = Path("/sys/fs/cgroup")
_TAKEN_BACK = frozenset({"inactive_file", "active_file", "slab_reclaimable"})
_LAST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one step may go.

    Attributes:
        memory_bytes: What its processes may have to themselves; 0 for a share of what is free.
        time_s: How long one start of it may take.
        niceness: Of 19 it has what the processes that serve customers leave.
        threads: Of each library that computes.
        gpu_share: Of a GPU's memory, so that a model server beside it keeps its own.
    """

    memory_bytes: int = 0
    time_s: float = 4 * 3600.0
    niceness: int = 19
    threads: int = 1
    gpu_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a step did not come to its end, in one line; another start `helps`, or never will."""

    reason: str
    helps: bool = True


class Child:
    """One start of a step. It ends by itself once `beat` has not been called for long."""

    def __init__(
        self, process: asyncio.subprocess.Process, order: Order, step: Step, limits: Limits
    ) -> None:
        """Watch a process that was started; use `start`."""
        self._process = process
        self._folder = order.folder
        self._log = log_file(order, step)
        # What an earlier start said is not what this one says.
        self._said_before = self._log.stat().st_size
        self._deadline_s = time.monotonic() + limits.time_s
        self._limits = limits
        self._memory = limits.memory_bytes or _share_of(free_memory())
        self._went_too_far = ""

    @classmethod
    async def start(
        cls, command: Sequence[str], order: Order, step: Step, limits: Limits, *, patience_s: float
    ) -> Self:
        """Start `command` with the step's name; call this on the main thread.

        Raises: OSError: the night's folder cannot be written.
        """
        order.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log_file(order, step).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                *(str(step), "--parent", str(os.getpid()), "--patience-s", str(patience_s)),
                *("--niceness", str(limits.niceness), "--gpu-share", str(limits.gpu_share)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={
                    **inherited(),
                    "OMP_NUM_THREADS": str(limits.threads),
                    "TOKENIZERS_PARALLELISM": "false",
                },
                start_new_session=True,
            )
            child = cls(process, order, step, limits)
        child._say(order.to_json())
        return child

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def beat(self) -> None:
        """Let it live on: the lease under which it runs was renewed just now."""
        self._say("")

    async def ended(self, within_s: float) -> bool:
        """Wait for its end that long at most, and bring it about if it goes too far."""
        deadline_s = time.monotonic() + within_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_S, left_s)):
                    await self._process.wait()
                    return True
            self._went_too_far = await self._too_far()
            if self._went_too_far:
                await self.stop()
                return True
        return False

    async def stop(self) -> None:
        """End it, and whatever it started."""
        await end_group(self._process)

    def fault(self) -> Fault | None:
        """Why it ended as it did; None if it came to its end."""
        code = self._process.returncode
        if self._went_too_far:
            return Fault(reason=self._went_too_far)
        if code == 0:
            return None
        if code == DISK_FULL:
            return Fault(reason=f"the disk that holds {self._folder} is full")
        if code == -signal.SIGKILL:
            return Fault(reason="it was killed, most likely because the machine was out of memory")
        if code is None or code < 0:
            return Fault(reason=f"it was ended by {signal.Signals(-(code or 0)).name}")
        reason = self._last_words() or f"it ended with code {code}; see {self._log}"
        return Fault(reason=reason, helps=code not in FOR_GOOD)

    async def _too_far(self) -> str:
        if time.monotonic() > self._deadline_s:
            return f"it took longer than {self._limits.time_s / 60:,.0f} minutes"
        most = self._memory
        if most is not None and await asyncio.to_thread(memory_of, self.pid) > most:
            return f"it used more than {most / 1e6:,.0f} MB of memory"
        return ""

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        # One that has ended already cannot be told anything.
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(f"{line}\n".encode())

    def _last_words(self) -> str:
        try:
            said = self._log.read_bytes()[self._said_before :]
        except FileNotFoundError:
            # An erasure took it away.
            return ""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:_LAST_WORDS] if lines else ""


def log_file(order: Order, step: Step) -> Path:
    """Where all starts of a step write what they have to say."""
    return order.folder / f"{step}.log"


def is_full(error: BaseException) -> bool:
    """Whether an error, or what led to it, says that a disk is full."""
    cause: BaseException | None = error
    known: set[int] = set()
    while cause is not None and id(cause) not in known:
        known.add(id(cause))
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        # Libraries that write by themselves put the system's words into an error of their own.
        if full or "No space left" in str(cause) or "disk is full" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def trace_of(error: BaseException, known: frozenset[int] = frozenset()) -> str:
    """Where an error came about, and then what led to it, without what they say.

    That may be a customer's words.
    """
    # Errors can be each other's cause.
    known |= {id(error)}
    within = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    led_to_it = [*within, error.__cause__ or error.__context__]
    where = traceback.format_tb(error.__traceback__)
    further = [trace_of(one, known) for one in led_to_it if one and id(one) not in known]
    return "".join([f"{type(error).__name__}\n", *where, *further])


def free_memory() -> int | None:
    """Bytes that may be taken here, within what a container is allowed; None if nobody tells."""
    if sys.platform != "linux":
        return None
    free = _meminfo("MemAvailable")
    with suppress(OSError, ValueError):
        most = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text()) - _taken_back()
        free = min(free, max(0, most - used))
    return free


def _taken_back() -> int:
    """The part of what a container uses that the kernel frees on demand, pages of files above all.

    MemAvailable leaves it out as well.
    """
    stat = (line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    return sum(int(size) for name, size in stat if name in _TAKEN_BACK)


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _share_of(free: int | None) -> int | None:
    return None if free is None else int(SHARE_OF_FREE * free)
