"""An encoder is exchanged with its index while people search."""

import asyncio
import gc
import os
import shutil
import threading
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.database import Database, open_database
from core.adapters.documents import Document
from core.adapters.in_service import InService
from core.adapters.lines import details
from core.adapters.versions import Versions
from core.errors import Rejected
from core.nights import VersionKind, VersionState, version_folder
from core.pipeline import Pipeline
from core.turn import Address, Channel, ConversationId, Found, Turn, TurnId, WorkspaceId
from retrieval.encoders import BASE
from retrieval.knowledge import silent
from retrieval.opening import Retrieval, open_retriever
from tests.databases import sqlite_at
from tests.fakes.encoder import FakeEncoder
from tests.fakes.ports import FakeDetector
from tests.patience import PATIENCE_S, until
from tests.versions import KEY, add_version, build_encoder

SHOP, OTHER = WorkspaceId("shop"), WorkspaceId("other")
RETURNS = Document(
    id="returns",
    title="Returns",
    text="You may send a parcel back within thirty days.",
    language="en",
)
SHIPPING = Document(
    id="shipping", title="Shipping", text="Express delivery takes two working days.", language="en"
)
NEWS = Document(id="news", title="News", text="A new subject.", language="en")
QUESTION = "send a parcel back"


@asynccontextmanager
async def opened(
    database: Database, data: Path, clock_s: Callable[[], float] = time.monotonic
) -> AsyncIterator[Retrieval]:
    async with open_retriever(
        database, data, encoder=FakeEncoder(), key=KEY, clock_s=clock_s
    ) as retrieval:
        yield retrieval


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        yield database


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def shop(sqlite: Database, data: Path) -> AsyncIterator[Retrieval]:
    """Two articles, and candidates e1 and e2."""
    async with opened(sqlite, data) as retrieval:
        await retrieval.knowledge.put(SHOP, [RETURNS, SHIPPING])
        for seed, name in enumerate(("e1", "e2"), start=1):
            await add_version(sqlite, data, name, seed=seed, workspace=SHOP)
        yield retrieval


async def ask(retrieval: Retrieval, question: str = QUESTION) -> Found:
    return await retrieval.retriever.search(SHOP, question, language="en")


async def publish(retrieval: Retrieval, name: str) -> None:
    assert await retrieval.succession.publish(SHOP, name, progress=silent)


def encoder_of(found: Found) -> str:
    """The version that a result is stamped with; the fake one is that of the settings."""
    return found.encoder.partition("@")[0]


async def threshold(retrieval: Retrieval) -> float:
    return (await retrieval.calibration_of(SHOP)).threshold(0.8)


async def test_encoder_index_and_threshold_are_exchanged_as_one(
    shop: Retrieval, sqlite: Database
) -> None:
    before = await ask(shop)
    assert (encoder_of(before), await threshold(shop)) == ("fake", 0.8)
    await publish(shop, "e1")
    after = await ask(shop)
    assert encoder_of(after) == "e1"
    assert after.index != before.index
    assert after.passages[0].document == "returns"
    assert await threshold(shop) == pytest.approx(0.301)
    await publish(shop, "e2")
    assert await threshold(shop) == pytest.approx(0.302)
    states = {each.name: each.state for each in await Versions(sqlite).list(SHOP)}
    assert states == {
        "e1": VersionState.RETIRED,
        "e2": VersionState.LIVE,
        BASE: VersionState.RETIRED,
    }


async def test_a_reply_is_stamped_with_what_found_it(shop: Retrieval) -> None:
    await publish(shop, "e1")
    turn = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=SHOP, channel=Channel.WEB, place="v1"),
        text="May I send a parcel back?",
    )
    served = await Pipeline(FakeDetector(), shop.retriever).answer(turn, _unseen)
    told = details(turn, served)
    assert str(told["encoder"]).startswith("e1@")
    assert told["index"] == (await ask(shop)).index


async def _unseen(text: str) -> None:
    """Nobody watches."""


async def test_articles_are_encoded_by_what_serves(shop: Retrieval) -> None:
    await publish(shop, "e1")
    await shop.knowledge.put(SHOP, [NEWS])
    found = await ask(shop, "a new subject")
    assert (encoder_of(found), found.passages[0].document) == ("e1", "news")


async def test_going_back_takes_seconds_and_indexes_behind_it_what_was_added_since(
    shop: Retrieval,
) -> None:
    await ask(shop)
    await publish(shop, "e1")
    await publish(shop, "e2")
    await shop.knowledge.put(SHOP, [NEWS])
    started = time.perf_counter()
    assert (await shop.succession.roll_back(SHOP)).name == "e1"
    assert time.perf_counter() - started < 5
    await until(lambda: _serves(shop, "e1"))
    assert (await ask(shop)).passages[0].document == "returns"
    assert [p.document for p in (await ask(shop, "a new subject")).passages[:1]] != ["news"]
    assert await shop.knowledge.catch_up(SHOP)
    found = await ask(shop, "a new subject")
    assert (encoder_of(found), found.passages[0].document) == ("e1", "news")
    assert not await shop.knowledge.catch_up(SHOP)
    # And on to the one that ships, then forward to a named one.
    assert (await shop.succession.roll_back(SHOP)).name == BASE
    with pytest.raises(Rejected, match="no encoder to roll back to"):
        await shop.succession.roll_back(SHOP)
    assert (await shop.succession.roll_back(SHOP, "e2")).name == "e2"
    await until(lambda: _serves(shop, "e2"))


async def _serves(retrieval: Retrieval, name: str) -> bool:
    return encoder_of(await ask(retrieval)) == name


async def test_another_process_exchanges_behind_its_searches(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    async with opened(sqlite, data) as there:
        assert await _serves(there, "fake")
        await publish(shop, "e1")
        # It notices with a search, which still ends with the old pair.
        assert await _serves(there, "fake")
        await until(lambda: _serves(there, "e1"))


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


def _flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


HARMS: dict[str, Callable[[Path], object]] = {
    "truncated": _truncate,
    "a bit": _flip_a_bit,
    "added": lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\x80\x04"),
    "missing": lambda folder: (folder / "modules.json").unlink(),
    "calibration": lambda folder: (folder / "calibration.json").write_text("{}"),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
async def test_a_changed_folder_never_serves(
    shop: Retrieval, sqlite: Database, data: Path, harm: Callable[[Path], object]
) -> None:
    async with opened(sqlite, data) as there:
        assert await _serves(there, "fake")
        await publish(shop, "e1")
        harm(version_folder(data, SHOP, "e1"))
        with capture_logs() as logs:
            for _ in range(3):
                assert await _serves(there, "fake")
                await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        [told] = [entry for entry in logs if entry["event"] == "index_refused"]
        assert told["reason"].startswith("e1: ")
        assert "\n" not in told["reason"]
    # A process that starts now has no old pair: it goes back to the one before.
    async with opened(sqlite, data) as restarted:
        assert await _serves(restarted, "fake")
    harm(version_folder(data, SHOP, "e2"))
    with pytest.raises(Rejected, match=r"^e2: "):
        await shop.succession.publish(SHOP, "e2", progress=silent)
    # Nor can anybody go back to it.
    await shop.succession.roll_back(SHOP)
    with pytest.raises(Rejected, match=r"^e1: "):
        await shop.succession.roll_back(SHOP, "e1")


async def test_a_version_serves_its_own_workspace_only(shop: Retrieval) -> None:
    await shop.knowledge.put(OTHER, [RETURNS])
    await publish(shop, "e1")
    assert await _serves(shop, "e1")
    found = await shop.retriever.search(OTHER, QUESTION, language="en")
    assert encoder_of(found) == "fake"
    with pytest.raises(Rejected, match="no encoder is called e2"):
        await shop.succession.publish(OTHER, "e2", progress=silent)


async def test_an_encoder_that_no_snapshot_uses_is_let_go(sqlite: Database, data: Path) -> None:
    base = build_encoder(data / "base", seed=9)
    async with open_retriever(sqlite, data, encoder=base, key=KEY) as retrieval:
        await retrieval.knowledge.put(SHOP, [RETURNS])
        for seed, name in enumerate(("e1", "e2"), start=1):
            await add_version(sqlite, data, name, seed=seed, workspace=SHOP)
        first = weakref.ref(retrieval.encoder)
        await publish(retrieval, "e1")
        served = await retrieval._shelf.current(SHOP)
        assert served is not None
        second = weakref.ref(served.fitted.encoder)
        del served
        gc.collect()
        assert first() is None
        assert second() is not None
        await publish(retrieval, "e2")
        gc.collect()
        assert second() is None
        await retrieval.succession.roll_back(SHOP, BASE)
        await until(lambda: _serves(retrieval, "base"))


async def test_a_search_that_is_given_up_leaves_what_it_was_loading_to_the_next(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    await publish(shop, "e1")
    async with opened(sqlite, data) as there:
        with capture_logs() as logs:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await ask(there)
            await until(lambda: "index_in_service" in [entry["event"] for entry in logs])
            assert await _serves(there, "e1")
        assert [entry["event"] for entry in logs].count("encoder_loaded") == 1


async def test_who_goes_back_to_the_first_encoder_waits_for_it_with_the_one_that_serves(
    sqlite: Database, data: Path, tmp_path: Path
) -> None:
    """Its disk is slow: a file of it cannot be read before customers were answered meanwhile."""
    base = build_encoder(tmp_path / "base", seed=9)
    async with (
        open_retriever(sqlite, data, encoder=base, key=KEY) as here,
        open_retriever(sqlite, data, encoder=base, key=KEY) as there,
    ):
        await here.knowledge.put(SHOP, [RETURNS])
        await add_version(sqlite, data, "e1", seed=1, workspace=SHOP)
        await publish(here, "e1")
        gc.collect()
        await there.succession.roll_back(SHOP)
        answered = threading.Event()
        reading = asyncio.create_task(asyncio.to_thread(_slow, base / "modules.json", answered))
        await until(lambda: (base / "modules.json").is_fifo())
        with capture_logs() as logs:
            for _ in range(3):
                assert await _serves(here, "e1")
            answered.set()
            assert await reading
            await until(lambda: "index_in_service" in [entry["event"] for entry in logs])
        # It is loaded already; from here on it could not be.
        shutil.rmtree(base)
        assert await _serves(here, "base")


def _slow(path: Path, answered: threading.Event) -> bool:
    """Let a file be read only once customers were answered; False if they wait in vain."""
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    with path.open("wb") as pipe:
        in_time = answered.wait(PATIENCE_S / 4)
        path.unlink()
        path.write_bytes(content)
        pipe.write(content)
    return in_time


async def test_who_goes_back_while_another_publishes_is_not_overruled(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    await publish(shop, "e1")
    async with opened(sqlite, data) as there:
        assert await _serves(there, "e1")

        def back(stage: str, done: int, total: int) -> None:
            """Called while the index of e2 is being built."""
            if stage == "encoding" and done == total and not going:
                going.append(asyncio.create_task(there.succession.roll_back(SHOP)))

        going: list[asyncio.Task[object]] = []
        published = await shop.succession.publish(SHOP, "e2", progress=back, instead_of="e1")
        await asyncio.gather(*going)
        assert not published
        assert (await InService(sqlite).live(SHOP, VersionKind.ENCODER)).name == BASE
        for retrieval in (shop, there):
            await until(partial(_serves, retrieval, "fake"))


@pytest.mark.parametrize(
    ("swaps", "backs", "a_second"),
    [(5, 2, 0), pytest.param(50, 10, 50, marks=pytest.mark.slow)],
)
async def test_no_search_fails_while_versions_come_and_go(
    sqlite: Database, data: Path, swaps: int, backs: int, a_second: int
) -> None:
    """Searches in one process, swaps in another; `a_second` searches, or as many as will go."""
    seen: Counter[tuple[str, str]] = Counter()
    took_s: list[float] = []
    done = asyncio.Event()
    async with opened(sqlite, data) as here, opened(sqlite, data) as there:
        await there.knowledge.put(SHOP, [RETURNS, SHIPPING])
        names = [f"e{n}" for n in range(swaps)]
        for seed, name in enumerate(names):
            await add_version(sqlite, data, name, seed=seed, workspace=SHOP)

        async def search() -> None:
            started = time.perf_counter()
            found = await ask(here)
            took_s.append(time.perf_counter() - started)
            assert found.passages[0].document == "returns"
            seen[encoder_of(found), found.index] += 1

        async def customers() -> None:
            async with asyncio.TaskGroup() as group:
                while not done.is_set():
                    if a_second:
                        group.create_task(search())
                        await asyncio.sleep(1 / a_second)
                    else:
                        await asyncio.gather(search(), search(), search())

        asking = asyncio.create_task(customers())
        rolled = 0
        for number, name in enumerate(names):
            await publish(there, name)
            await until(partial(_seen, seen, name, asking))
            if rolled < backs and number % (swaps // backs) == 1:
                target = await there.succession.roll_back(SHOP)
                seen.pop(next((key for key in seen if key[0] == target.name), ("", "")), 0)
                await until(partial(_seen, seen, target.name, asking))
                rolled += 1
        done.set()
        await asking
    assert rolled == backs
    assert {encoder for encoder, _ in seen} <= {"fake", *names}
    ordered = sorted(took_s)
    print(
        f"{len(took_s)} searches, 0 failed, {swaps} swaps, {rolled} rollbacks,"
        f" p50 {ordered[len(ordered) // 2] * 1e3:.1f} ms, worst {ordered[-1] * 1e3:.0f} ms"
    )


def _seen(seen: Counter[tuple[str, str]], wanted: str, asking: asyncio.Task[None]) -> bool:
    if asking.done():
        asking.result()
    return any(encoder == wanted for encoder, _ in seen)
