"""A night with real child processes: carried on, cut off, given up, and ended once."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from core.adapters.database import Database, Now, open_database
from core.adapters.nights import SqlNights
from core.adapters.tables import nights as nights_table
from core.crashpoints import NIGHT_NAMES
from core.errors import Misconfigured
from core.nights import (
    Ended,
    Night,
    NightState,
    Order,
    Step,
    StepResult,
    VersionKind,
    report_name,
    version_folder,
)
from core.turn import WorkspaceId
from tests.databases import sqlite_at
from tests.patience import until
from tests.workers.nightly import supervisor
from tests.workers.nightly.steps import HELD_S, WORDS, commits, doubled, plan, starts
from tests.workers.nightly.supervisor import CHILD, HERE, LIMITS, RHYTHM
from workers.nightly import child
from workers.nightly.child import Limits
from workers.nightly.night import STARTS, Supervisor
from workers.nightly.old_nights import KEPT

SLOT = "2027-01-31"


class World:
    """A database with one night that is due, and whoever carries it out."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self.database = database
        self.data_dir = data_dir
        self.rows = SqlNights(database)
        self.order = Order(workspace=HERE, slot=SLOT, database="", data_dir=data_dir)

    async def order_of(self, workspace: WorkspaceId, slot: str) -> Order:
        return self.order

    def supervisor(self, limits: Limits = LIMITS) -> Supervisor:
        return Supervisor(self.rows, self.order_of, command=CHILD, limits=limits, rhythm=RHYTHM)

    async def carry(self, limits: Limits = LIMITS) -> Night:
        """Carry it on until nothing is due."""
        while await self.supervisor(limits).carry_one():
            pass
        return await self.night()

    async def night(self) -> Night:
        (night,) = await self.rows.list(HERE)
        return night

    def ended(self, *steps: Step) -> None:
        """Let them have ended before."""
        self.order.folder.mkdir(parents=True)
        for step in steps:
            StepResult(ended=Ended.DONE, figures={"found": 1}).keep(self.order.result(step))

    def child(self) -> int:
        """The process id of the running step, 0 if there is none."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
                at_home = (path.parent / "fd/1").resolve().is_relative_to(self.data_dir)
            except OSError:
                continue
            if b"tests.workers.nightly.steps" in words and at_home:
                return int(path.parent.name)
        return 0

    def was_started(self, times: int) -> bool:
        return len(starts(self.data_dir)) >= times

    def is_judging(self, times: int) -> bool:
        """Whether a candidate is being judged after so many starts that count, this one too."""
        mark = self.order.folder / "judging-encoder"
        return mark.exists() and mark.stat().st_size == times

    async def until_started(self, step: Step) -> int:
        await until(lambda: f"{SLOT} {step}" in starts(self.data_dir))
        return self.child()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        world = World(database, tmp_path)
        await world.rows.ring(HERE, SLOT)
        yield world


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.long
async def test_a_night_goes_through_each_step_once(world: World) -> None:
    night = await world.carry()
    assert night.state is NightState.PUBLISHED
    assert starts(world.data_dir) == [f"{SLOT} {step}" for step in Step]
    assert night.figures == {step: {"start": 1} for step in Step}
    assert night.ended_at is not None
    assert not await world.supervisor().carry_one()


async def test_a_step_whose_result_is_there_is_not_done_again(world: World) -> None:
    world.ended(Step.CURATE, Step.TRAIN)
    night = await world.carry()
    assert night.state is NightState.PUBLISHED
    assert starts(world.data_dir) == [f"{SLOT} {Step.EVALUATE}", f"{SLOT} {Step.PUBLISH}"]
    assert night.figures[Step.CURATE] == {"found": 1}


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        ("skip", NightState.SKIPPED, "too few conversations"),
        ("refuse", NightState.REFUSED, "worse in German"),
    ],
)
async def test_a_step_may_end_the_night(
    world: World, word: str, state: NightState, reason: str
) -> None:
    plan(world.data_dir, Step.CURATE, word)
    night = await world.carry()
    assert (night.state, night.reason) == (state, reason)
    assert len(starts(world.data_dir)) == 1


@pytest.mark.long
async def test_a_night_waits_where_a_person_decides(world: World) -> None:
    world.order = replace(world.order, approve=True)
    assert (await world.carry()).state is NightState.WAITING


@pytest.mark.long
@pytest.mark.parametrize(
    ("word", "limits", "says"),
    [
        ("die", LIMITS, "killed, most likely because the machine was out of memory"),
        ("eat", Limits(niceness=0, memory_bytes=120_000_000), "used more than 120 MB of memory"),
        ("hang", Limits(niceness=0, time_s=3), "longer than 0 minutes"),
        ("full", LIMITS, "the disk that holds .* is full"),
        ("unavailable", LIMITS, "database: went away"),
        ("bug", LIMITS, "train: ValueError$"),
    ],
)
async def test_what_cut_a_step_off_is_told_in_a_line(
    world: World, word: str, limits: Limits, says: str
) -> None:
    world.ended(Step.CURATE)
    plan(world.data_dir, Step.TRAIN, word)
    assert await world.supervisor(limits).carry_one()
    night = await world.night()
    assert night.state is NightState.TRAINING
    assert re.search(says, night.reason), night.reason
    assert "\n" not in night.reason


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kernel tells of a container's memory: 100 MB, of which 10 MB are left."""
    folder = tmp_path / "cgroup"
    folder.mkdir()
    (folder / "memory.max").write_text("100000000\n")
    (folder / "memory.current").write_text("90000000\n")
    (folder / "memory.stat").write_text("anon 90000000\ninactive_file 0\n")
    monkeypatch.setattr(child, "CGROUP", folder)
    return folder


def test_pages_of_files_are_free_memory(container: Path) -> None:
    assert child.free_memory() == 10_000_000
    (container / "memory.stat").write_text(
        "anon 14000000\nfile 70000000\ninactive_file 40000000\nactive_file 30000000\n"
        "slab_reclaimable 5000000\nslab_unreclaimable 1000000\nslab 6000000\n"
    )
    assert child.free_memory() == 85_000_000


@pytest.mark.parametrize("most", ["max\n", None])
def test_a_container_without_a_limit_has_what_the_machine_has(
    container: Path, most: str | None
) -> None:
    path = container / "memory.max"
    path.unlink() if most is None else path.write_text(most)
    found = child.free_memory()
    assert found is not None
    assert found > 100_000_000


async def test_where_no_memory_is_free_a_step_gets_none(world: World, container: Path) -> None:
    (container / "memory.current").write_text("100000000\n")
    world.ended(Step.CURATE)
    plan(world.data_dir, Step.TRAIN, "hang")
    assert await world.supervisor().carry_one()
    assert (await world.night()).reason == "train: it used more than 0 MB of memory"


@pytest.mark.long
async def test_a_step_that_was_cut_off_starts_again(world: World) -> None:
    world.ended(Step.CURATE)
    plan(world.data_dir, Step.TRAIN, "die", "full")
    night = await world.carry()
    assert (night.state, night.reason) == (NightState.PUBLISHED, "")
    assert night.figures[Step.TRAIN] == {"start": 3}


async def test_a_step_that_never_comes_to_its_end_is_given_up(world: World) -> None:
    world.ended(Step.CURATE, Step.TRAIN)
    plan(world.data_dir, Step.EVALUATE, *["bug"] * 9)
    night = await world.carry()
    assert (night.state, night.reason) == (NightState.FAILED, "evaluate: ValueError")
    assert starts(world.data_dir).count(f"{SLOT} {Step.EVALUATE}") == STARTS
    assert commits(world.data_dir) == []
    log = (world.order.folder / "evaluate.log").read_text()
    assert "in _stumble" in log
    assert '"event": "step_stumbles"' in log
    assert WORDS not in log


async def test_what_no_start_can_mend_fails_at_once(world: World) -> None:
    plan(world.data_dir, Step.CURATE, "reject")
    night = await world.carry()
    assert (night.state, night.reason) == (NightState.FAILED, "curate: the recipe is wrong")
    assert len(starts(world.data_dir)) == 1


async def test_a_night_without_an_order_fails(world: World) -> None:
    async def no_order(workspace: WorkspaceId, slot: str) -> Order:
        raise Misconfigured("there is no key")

    await Supervisor(world.rows, no_order, command=CHILD, rhythm=RHYTHM).carry_one()
    night = await world.night()
    assert (night.state, night.reason) == (NightState.FAILED, "there is no key")


async def test_a_folder_that_cannot_be_made_is_told(world: World) -> None:
    (world.data_dir / "nights").write_text("a file")
    await world.supervisor().carry_one()
    assert "Not a directory" in (await world.night()).reason


@pytest.fixture
def full_disk(world: World) -> Iterator[Callable[[], None]]:
    """No room is left where nights are kept, until this is called."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = world.data_dir / "nights"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield filler.unlink
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long
async def test_a_full_disk_is_told_though_nothing_can_be_written(
    world: World, full_disk: Callable[[], None]
) -> None:
    await world.supervisor().carry_one()
    told = f"curate: the disk that holds {world.order.folder} is full"
    assert (await world.night()).reason == told
    full_disk()
    assert (await world.carry()).state is NightState.PUBLISHED


@pytest.mark.long
async def test_a_lease_is_renewed_while_a_step_runs(world: World) -> None:
    world.ended(Step.CURATE, Step.TRAIN, Step.EVALUATE)
    plan(world.data_dir, Step.PUBLISH, "nap")
    night = await world.carry()
    assert night.state is NightState.PUBLISHED
    assert len(starts(world.data_dir)) == 1


@pytest.mark.long
async def test_a_supervisor_that_lost_a_night_ends_its_child(world: World) -> None:
    world.ended(Step.CURATE)
    plan(world.data_dir, Step.TRAIN, "hang")
    losing = asyncio.create_task(world.supervisor().carry_one())
    pid = await world.until_started(Step.TRAIN)
    await world.database.write(
        lambda c: c.execute(update(nights_table).values(held_until=Now() - 1))
    )
    other = await world.rows.take(holder="another", held_s=60)
    assert other is not None
    assert await losing
    assert not alive(pid)
    assert (await world.night()).state is NightState.TRAINING


@pytest.mark.long
async def test_a_supervisor_that_is_told_to_stop_leaves_the_night_to_others(
    world: World,
) -> None:
    plan(world.data_dir, Step.CURATE, *["hang"] * STARTS)
    for number in range(STARTS):
        stopping = asyncio.create_task(world.supervisor().carry_one())
        await until(partial(world.was_started, number + 1))
        pid = world.child()
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        assert not alive(pid)
    assert (await world.carry()).state is NightState.PUBLISHED


@pytest.mark.parametrize("told", [True, False])
async def test_a_candidate_is_not_to_blame_for_stops_that_were_asked_for(
    world: World, told: bool
) -> None:
    world.ended(Step.CURATE, Step.TRAIN)
    plan(world.data_dir, Step.EVALUATE, *["judge hang"] * 2, "judge")
    for number in range(2):
        stopping = asyncio.create_task(world.supervisor().carry_one())
        await until(partial(world.is_judging, times=1 if told else number + 1))
        pid = world.child()
        assert pid
        if told:
            stopping.cancel()
        else:
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(stopping, return_exceptions=True)
    night = await world.carry()
    if told:
        assert night.state is NightState.PUBLISHED
    else:
        assert night.state is NightState.FAILED
        assert "cut off 2 times, most likely for want of memory" in night.reason


PLACES = [
    (name, after)
    for name in NIGHT_NAMES
    # Of the steps there are four, and of the ways between them three; it is taken once.
    for after in range(1, {"night_taken": 1, "night_moved_on": 3}.get(name, 4) + 1)
]
QUICK = ("night_step_started", 4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "after"),
    [QUICK, *(pytest.param(*place, marks=pytest.mark.slow) for place in PLACES if place != QUICK)],
)
async def test_a_supervisor_may_die_anywhere(world: World, name: str, after: int) -> None:
    url = f"sqlite:///{world.data_dir / 'dragoman.db'}"
    victim = await supervisor.start(url, world.data_dir, [], crash_at=name, crash_after=after)
    assert await victim.wait() == -signal.SIGKILL

    async def carried() -> bool:
        return (await world.carry()).state is NightState.PUBLISHED

    await until(carried)
    assert commits(world.data_dir) == [SLOT]
    assert doubled(world.data_dir) == []
    # The step that ran then is started again, and nothing else.
    again = len(starts(world.data_dir)) - len(Step)
    assert again <= (name == "night_step_started")


async def test_what_a_night_worked_with_is_cleared_away(world: World) -> None:
    world.ended(*Step)
    weights = world.order.run(VersionKind.ENCODER) / "trained/model/model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    curve = weights.parents[1] / "curves.png"
    curve.touch()
    old = world.order.folder.parent / "2026-01-01"
    serving = replace(world.order, slot="2026-01-02")
    page = report_name(VersionKind.ENCODER)
    for night in (old, serving.folder):
        names = "data/train.jsonl", "held_out.jsonl", "origins.jsonl", "sample.html", "train.json"
        for name in (*names, page):
            (night / name).parent.mkdir(parents=True, exist_ok=True)
            (night / name).touch()
        os.utime(night, (0, 0))
    made = serving.version_name(VersionKind.ENCODER)
    version_folder(world.data_dir, HERE, made).mkdir(parents=True)
    for number in range(KEPT - 1):
        (world.order.folder.parent / f"by-hand-{number}").mkdir()
    assert (await world.carry()).state is NightState.PUBLISHED
    assert not weights.exists()
    assert curve.exists()
    assert sorted(path.name for path in old.iterdir()) == [page, "train.json"]
    # What may still serve can be asked for whom it had learnt from.
    left = sorted(path.name for path in serving.folder.iterdir())
    assert left == ["origins.jsonl", page, "train.json"]


@pytest.mark.parametrize(
    ("word", "state"), [("refuse", NightState.REFUSED), ("reject", NightState.FAILED)]
)
async def test_a_candidate_that_was_let_through_nowhere_goes_with_its_night(
    world: World, word: str, state: NightState
) -> None:
    world.ended(Step.CURATE, Step.TRAIN)
    plan(world.data_dir, Step.EVALUATE, word)
    for kind in VersionKind:
        folder = version_folder(world.data_dir, HERE, world.order.version_name(kind))
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
    other = version_folder(world.data_dir, HERE, "encoder-2027-01-31-120000")
    other.mkdir()
    assert (await world.carry()).state is state
    assert list(other.parent.iterdir()) == [other], "of a night that may be under way"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_no_child_outlives_the_lease_of_who_started_it(
    world: World, number: signal.Signals
) -> None:
    """One that stands still cannot renew; it finds the night gone when it goes on."""
    world.ended(Step.CURATE)
    plan(world.data_dir, Step.TRAIN, "hang")
    url = f"sqlite:///{world.data_dir / 'dragoman.db'}"
    process = await supervisor.start(url, world.data_dir, [])
    try:
        pid = await world.until_started(Step.TRAIN)
        os.kill(process.pid, number)
        killed_s = time.monotonic()
        await until(lambda: not alive(pid))
        assert number is signal.SIGKILL or time.monotonic() - killed_s < HELD_S + 2

        async def carried() -> bool:
            return (await world.carry()).state is NightState.PUBLISHED

        await until(carried)
        if number is signal.SIGSTOP:
            os.kill(process.pid, signal.SIGCONT)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert starts(world.data_dir).count(f"{SLOT} {Step.TRAIN}") == 2
    assert commits(world.data_dir) == [SLOT]
