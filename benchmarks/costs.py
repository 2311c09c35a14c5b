"""What one turn, one question, one passage and one open window cost; `scale` reckons with it.

Run: .venv/bin/python -m benchmarks.costs, which writes `costs.json` beside this file.
"""

import asyncio
import contextlib
import datetime
import gc
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
import structlog

from benchmarks.__main__ import machine
from benchmarks.calibration import quiet
from benchmarks.retrieval import MadeUp, made_up_sentences, made_up_vectors
from benchmarks.subjects import echo
from bots.web.port import WebPort
from core.adapters.database import Database, open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.transcript import Transcript
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.flood import Allowance
from core.serving import Pace, Station
from core.turn import Address, Channel, Inbound, Parcel, WorkspaceId
from deploy.programs import keeping
from deploy.services import lets_in, own_postgres
from retrieval.encoder import open_encoder
from retrieval.snapshot import load
from retrieval.writing import Content, write
from tests.services import free_port

FILE = Path(__file__).with_name("costs.json")
WORKSPACE = WorkspaceId("costs")
TURNS, CONVERSATIONS, AT_ONCE = 2_000, 400, 32
# As long as a customer's question and a reply with its source are.
TEXT = "How long does it take until the money for an item that I returned is back on my card? " * 2
QUESTIONS = 200
SMALL, SMALL_PASSAGES, LARGE_PASSAGES = 40, 200, 50_000
READS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Measured on one machine; seconds are of one core.

    `turn` is what the delivery does around an answer: it is kept, served and sent. `look` is what
    an open window asks for when nothing has happened.
    """

    machine: str
    measured_on: str
    turn_commits: float
    turn_wal_bytes: float
    turn_stored_bytes: float
    turn_database_s: float
    turn_web_s: float
    look_database_s: float
    look_web_s: float
    question_s: float
    passage_bytes: float
    workspace_bytes: float
    replica_bytes: float

    @classmethod
    def read(cls) -> "Costs":
        """What the last measurement found."""
        return cls(**json.loads(FILE.read_text()))


class Server:
    """What a PostgreSQL server says of itself, and the kernel of its processes."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def commits(self) -> int:
        """Transactions that ended well."""
        await self._connection.execute("select pg_stat_force_next_flush()")
        found = "select xact_commit from pg_stat_database where datname = current_database()"
        return int(await self._connection.fetchval(found))

    async def wal_bytes(self) -> int:
        """What was written to the log ahead of the tables."""
        return int(await self._connection.fetchval("select pg_current_wal_lsn() - '0/0'::pg_lsn"))

    async def stored_bytes(self) -> int:
        """The tables and their indexes."""
        return int(await self._connection.fetchval("select pg_database_size(current_database())"))

    async def busy_s(self) -> float:
        """Processor seconds of those who serve this database, ours left out."""
        rows = await self._connection.fetch(
            "select pid from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid()"
        )
        return sum(_busy_s(row["pid"]) for row in rows)


def _busy_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    """A server of its own: others write to the log of one that is shared."""
    with tempfile.TemporaryDirectory(prefix="dragoman-costs-") as told:
        folder = Path(told)
        # PostgreSQL may run as another user.
        os.chmod(folder, 0o755)  # noqa: PTH101 - pathlib is not for a coroutine
        program, url = own_postgres(folder, free_port())
        async with keeping([program], folder / "log") as kept:
            await kept["postgresql"].ready(60)
            await lets_in(url)
            yield url


class Windows(WebPort):
    """The way out, on which customers wait for their replies."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        super().__init__()
        self.answered: dict[str, asyncio.Event] = {}

    async def send(self, parcel: Parcel) -> str:
        """Tell who waits."""
        self.answered[parcel.address.place].set()
        return await super().send(parcel)


def _delivery(database: Database, web: Windows) -> Delivery:
    station = Station(
        turns=SqlTurns(database),
        outbox=SqlOutbox(database),
        answer=echo,
        ports={Channel.WEB: web},
        presences={Channel.WEB: web},
        pace=Pace(gather_s=0.0),
        default_language="en",
    )
    return Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=station,
        allowance=Allowance(burst=10**6, per_minute=10**6, clock_s=lambda: 0.0),
    )


def _address(number: int) -> Address:
    place = f"visitor-{number % CONVERSATIONS}.1"
    return Address(workspace=WORKSPACE, channel=Channel.WEB, place=place)


async def _serve(delivery: Delivery, web: Windows, first: int, count: int) -> None:
    """Let customers ask, each after the last reply: who writes faster is answered all at once."""
    numbers = iter(range(first, first + count))

    async def customer() -> None:
        for number in numbers:
            address = _address(number)
            web.answered[address.place] = asyncio.Event()
            await delivery.accept(
                Inbound(
                    address=address,
                    event_id=f"e{number}",
                    customer=f"c{number % CONVERSATIONS}",
                    text=TEXT,
                )
            )
            await web.answered[address.place].wait()

    await asyncio.gather(*(customer() for _ in range(AT_ONCE)))


async def of_turns() -> dict[str, float]:
    """Serve turns whose answers cost nothing, on PostgreSQL, and look at both sides."""
    async with _database() as url, open_database(url) as database:
        connection = await asyncpg.connect(url)
        server, web = Server(connection), Windows()
        delivery = _delivery(database, web)
        async with delivery:
            await _serve(delivery, web, 0, CONVERSATIONS)
            before = await _state(server)
            await _serve(delivery, web, CONVERSATIONS, TURNS)
            # Counters of the server are written with a delay.
            await asyncio.sleep(2)
            after = await _state(server)
        found = {name: (after[name] - before[name]) / TURNS for name in before}
        found |= await _of_looks(database, server)
        await connection.close()
    return found


async def _state(server: Server) -> dict[str, float]:
    return {
        "turn_commits": await server.commits(),
        "turn_wal_bytes": await server.wal_bytes(),
        "turn_stored_bytes": await server.stored_bytes(),
        "turn_database_s": await server.busy_s(),
        "turn_web_s": time.process_time(),
    }


async def _of_looks(database: Database, server: Server) -> dict[str, float]:
    """What an open window costs each time that it asks for what is new."""
    transcript = Transcript(database)
    before_s, ours_s = await server.busy_s(), time.process_time()
    for number in range(READS):
        await transcript.lines(_address(number), 10**9, changed_after=time.time())
    return {
        "look_database_s": (await server.busy_s() - before_s) / READS,
        "look_web_s": (time.process_time() - ours_s) / READS,
    }


async def of_questions() -> dict[str, float]:
    """Encode questions one by one, as they come in."""
    encoder = open_encoder(None, threads=1)
    await encoder.questions(["warm"])
    replica_bytes = resident_bytes()
    began_s = time.process_time()
    for number in range(QUESTIONS):
        await encoder.questions([f"{number}: {TEXT[:86]}"])
    return {
        "question_s": (time.process_time() - began_s) / QUESTIONS,
        "replica_bytes": replica_bytes,
    }


def of_passages() -> dict[str, float]:
    """Memory of small snapshots and of a large one: two equations, two unknowns."""
    with tempfile.TemporaryDirectory() as folder:
        small = _loaded_bytes(Path(folder) / "small", SMALL, SMALL_PASSAGES)
        large = _loaded_bytes(Path(folder) / "large", 1, LARGE_PASSAGES)
    passage = (large - small / SMALL) / (LARGE_PASSAGES - SMALL_PASSAGES)
    return {
        "passage_bytes": passage,
        "workspace_bytes": max(0.0, small / SMALL - passage * SMALL_PASSAGES),
    }


def _loaded_bytes(folder: Path, count: int, passages: int) -> float:
    """How much memory so many snapshots take in a process that has done nothing else."""
    vectors = made_up_vectors(passages)
    content = Content(
        language="en",
        passages=MadeUp(passages),
        vectors=vectors,
        sentences=made_up_sentences(vectors),
    )
    name = write(folder, [content], workspace=WORKSPACE, encoder="e", progress=quiet)
    command = [sys.executable, "-m", "benchmarks.costs", str(folder), name, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _load(folder: Path, name: str, count: int) -> float:
    """Load snapshots, search each once, and say by how much this process has grown."""
    question = made_up_vectors(1)[0]
    # What the first one brings along is there once, whatever their number.
    kept = [load(folder, name, workspace=WORKSPACE, encoder="e")]
    kept[0].shards[0].nearest(question, 10)
    kept.clear()
    gc.collect()
    before = resident_bytes()
    for _ in range(count):
        kept.append(load(folder, name, workspace=WORKSPACE, encoder="e"))
        shard = kept[-1].shards[0]
        shard.closeness(shard.nearest(question, 10)[0], question)
    return resident_bytes() - before


def resident_bytes() -> float:
    """The memory of this process, pages of mapped files included: an index is one."""
    pages = Path("/proc/self/statm").read_text().split()
    return float(int(pages[1]) * resource.getpagesize())


def main() -> None:
    """Measure, write down, print."""
    # What is printed is the result; logs go beside it.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    found: dict[str, float] = {}
    # The memory first: later on this process has some to spare.
    parts: tuple[Callable[[], object], ...] = (of_passages, of_turns, of_questions)
    with asyncio.Runner() as runner:
        for part in parts:
            made = part()
            found |= made if isinstance(made, dict) else runner.run(made)  # type: ignore[arg-type]  # one of both
    costs = Costs(
        machine=machine(),
        measured_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        **found,
    )
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(asdict(costs), indent=1))
    FILE.write_text(json.dumps(asdict(costs), indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(_load(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
    else:
        main()
