"""A supervisor as a process of its own, made to be killed: rings for slots, and serves them."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from core import crashpoints
from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from core.nights import Order
from core.turn import WorkspaceId
from dragoman.logs import configure
from tests.workers.nightly.steps import COMMAND, HELD_S
from workers.nightly.child import Limits
from workers.nightly.night import Rhythm, Supervisor
from workers.processes import die_with

HERE = WorkspaceId("here")
RHYTHM = Rhythm(held_s=HELD_S, beat_s=1.0, retry_s=0.0, look_s=0.2)
# The lowest priority may take minutes for what takes a moment, on a busy machine.
LIMITS = Limits(niceness=0)
CHILD = (sys.executable, *COMMAND)


async def main(url: str, data_dir: Path, slots: list[str]) -> None:
    async def order_of(workspace: WorkspaceId, slot: str) -> Order:
        return Order(workspace=workspace, slot=slot, database=url, data_dir=data_dir)

    async with open_database(url) as database:
        nights = SqlNights(database)
        for slot in slots:
            await nights.ring(HERE, slot)
        await Supervisor(nights, order_of, command=CHILD, limits=LIMITS, rhythm=RHYTHM).keep()


def command(
    url: str, data_dir: Path, slots: list[str], *, crash_at: str = "", crash_after: int = 0
) -> tuple[str, ...]:
    """What starts one; it dies with the process whose id is the last argument, if one is given."""
    told: dict[str, Any] = {"url": url, "data_dir": str(data_dir), "slots": slots}
    told |= {"crash_at": crash_at, "crash_after": crash_after}
    return (sys.executable, "-m", "tests.workers.nightly.supervisor", json.dumps(told))


async def start(
    url: str, data_dir: Path, slots: list[str], *, crash_at: str = "", crash_after: int = 0
) -> asyncio.subprocess.Process:
    """Start one, which dies at a passage of a named place; its log goes to stderr."""
    words = command(url, data_dir, slots, crash_at=crash_at, crash_after=crash_after)
    return await asyncio.create_subprocess_exec(*words)


if __name__ == "__main__":
    if sys.argv[2:]:
        die_with(int(sys.argv[2]))
    configure(level="info", form="json")
    given = json.loads(sys.argv[1])
    if given["crash_at"]:
        crashpoints.arm(given["crash_at"], after=given["crash_after"])
    with asyncio.Runner() as runner:
        runner.run(main(given["url"], Path(given["data_dir"]), given["slots"]))
