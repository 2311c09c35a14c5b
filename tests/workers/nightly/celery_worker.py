"""A Celery worker with a beat of its own, whose nights have the tests' small steps."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from core.adapters.database import open_database
from core.adapters.nights import SqlNights
from dragoman.logs import configure
from tests.workers.nightly import supervisor
from workers.celery_app import Queue, Work, build_app, start_worker

EVERY_S = 0.5


def write_slots(data_dir: Path, *slots: str) -> None:
    """Have the bells ring for these."""
    (data_dir / "slots").write_text("\n".join(slots))


async def start(broker: str, url: str, data_dir: Path) -> asyncio.subprocess.Process:
    """Start one; its log goes to stderr."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.nightly.celery_worker"),
        json.dumps({"broker": broker, "url": url, "data_dir": str(data_dir)}),
        stdout=asyncio.subprocess.DEVNULL,
    )


def main(broker: str, url: str, data_dir: Path) -> None:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Mapping[Queue, Work]]:
        async with open_database(url, pool_size=1) as database:
            nights = SqlNights(database)

            async def ring() -> None:
                # How often it was rung for, by whichever bell.
                with (data_dir / "rung").open("a") as file:
                    file.write(".")
                for slot in (data_dir / "slots").read_text().split():
                    await nights.ring(supervisor.HERE, slot)

            yield {Queue.TRAINING: ring}

    app = build_app(
        broker,
        opening,
        every_s={Queue.TRAINING: EVERY_S},
        keeper=supervisor.command(url, data_dir, []),
    )
    start_worker(app, [Queue.TRAINING], beat=True, concurrency=1)


if __name__ == "__main__":
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"
    configure(level="info", form="json")
    told = json.loads(sys.argv[1])
    main(told["broker"], told["url"], Path(told["data_dir"]))
