"""Curates one order again and again, killed at one after the other of its steps on the disk.

Prints a line a round: at which step it died, whether a set was there, and the hash of what the next
start made.
"""

import asyncio
import os
import shutil
import signal
import sys
from typing import Any

from core.nights import Order
from workers.nightly.curating import curate
from workers.nightly.snapshot import frozen

_STEPS = frozenset({"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"})


def main(order: Order, stride: int) -> None:
    """Go on until a round is not killed any more."""
    step = 1 - stride
    while True:
        step += stride
        shutil.rmtree(order.folder, ignore_errors=True)
        status = _in_a_child(order, step)
        there = frozen(order) is not None
        again = _in_a_child(order, 0)
        made = frozen(order)
        assert again == 0
        assert made is not None
        killed = os.WIFSIGNALED(status)
        print(step, int(killed), int(there), made["data_sha256"], flush=True)
        if not killed:
            return


def _in_a_child(order: Order, step: int) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    if step:
        _die_at(order, step)
    with asyncio.Runner() as runner:
        runner.run(curate(order))
    os._exit(0)


def _die_at(order: Order, step: int) -> None:
    left = step

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in _STEPS or not str(arguments[0]).startswith(str(order.folder)):
            return
        # Looking whether something is there changes nothing.
        if event == "open" and str(arguments[1]) in ("r", "rb"):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    main(Order.from_json(sys.stdin.read()), int(sys.argv[1]))
