"""A child process of ours: what it inherits, what it uses, and that it never outlives us."""

import asyncio
import ctypes
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

_SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "KEY", "DATABASE", "BROKER", "DRAGOMAN_")
_PR_SET_PDEATHSIG = 1


def inherited() -> dict[str, str]:
    """Our environment without what a child has no business to know."""
    return {
        name: value
        for name, value in os.environ.items()
        if not any(part in name.upper() for part in _SECRET_NAMES)
    }


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when the parent dies; it may have died already.

    The parent must have started us on a thread that lives as long as itself.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def die_with_silence(patience_s: float) -> None:
    """End this process once its parent has said nothing on our stdin for so long.

    That is so where the parent is dead, and where it stands still: what it held for us may be
    somebody else's by now.
    """

    def listen() -> None:
        while select.select([0], [], [], patience_s)[0] and os.read(0, 4096):
            pass
        os.write(2, b"the parent has gone silent\n")
        os._exit(os.EX_TEMPFAIL)

    threading.Thread(target=listen, daemon=True).start()


async def end_group(process: asyncio.subprocess.Process, *, patience_s: float = 3.0) -> None:
    """End a child that was started in a session of its own, with all that it started."""
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await process.wait()
                break
    # What it started may have been deaf to the first signal.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def memory_of(pid: int) -> int:
    """Bytes that a process and all that it started have to themselves; 0 where no /proc tells."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of a program, in parentheses, may hold anything.
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(_private(member) for member in family)


def _private(pid: int) -> int:
    """Without the pages of files, which the kernel takes back when it needs them."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
