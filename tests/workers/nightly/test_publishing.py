"""What passed the gate goes into service once, whatever happens on the way."""

import asyncio
import json
import multiprocessing
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core import crashpoints
from core.adapters.accounts import Accounts, NewAccount
from core.adapters.canaries import Canaries
from core.adapters.database import Database, open_database
from core.adapters.documents import Document, Documents
from core.adapters.erasures import Erasures
from core.adapters.in_service import InService
from core.adapters.ledger import Person
from core.adapters.night_files import FORGOTTEN
from core.adapters.nights import SqlNights
from core.adapters.versions import Version, Versions
from core.errors import LeaseLost, Rejected, Unavailable
from core.nights import (
    Ended,
    Order,
    Step,
    StepResult,
    VersionKind,
    VersionState,
    served_folder,
    version_folder,
)
from core.staff import Role
from core.turn import WorkspaceId
from retrieval.encoders import BASE
from retrieval.knowledge import silent
from retrieval.opening import open_retriever
from retrieval.snapshot import versions, workspace_folder
from tests.databases import sqlite_at
from tests.patience import PATIENCE_S
from tests.versions import KEY, build_encoder
from tests.workers.nightly.publishing_victim import publish_and_die
from workers.nightly.curating import curate
from workers.nightly.old_versions import tidy
from workers.nightly.publishing import OVERTAKEN, publish
from workers.training.dataset.folder import Manifest, write_manifest

# Its processes begin with torch loaded.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([publish_and_die.__module__])
SHOP, OTHER = WorkspaceId("shop"), WorkspaceId("other")
ENCODER = VersionKind.ENCODER
RETURNS = Document(id="returns", title="Returns", text="You may send a parcel back.", language="en")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def database(tmp_path: Path, data: Path) -> AsyncIterator[Database]:
    """With one article, indexed by the encoder of the settings."""
    base = build_encoder(data / "base", seed=0)
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as opened:
        async with open_retriever(opened, data, encoder=base, key=KEY) as retrieval:
            await retrieval.knowledge.put(SHOP, [RETURNS])
        yield opened


async def night(database: Database, data: Path, slot: str, *, passed: bool = True) -> Order:
    """A night whose candidate has been judged against what serves now."""
    order = Order(
        workspace=SHOP,
        slot=slot,
        database=f"sqlite:///{data.parent / 'dragoman.db'}",
        data_dir=data,
        encoder=str(data / "base"),
        signing_key=KEY,
    )
    await SqlNights(database).ring(SHOP, slot)
    order.dataset.mkdir(parents=True)
    write_manifest(order.dataset, Manifest(created="2027-01-31", seed=1, files={}))
    folder = version_folder(data, SHOP, order.version_name(ENCODER))
    build_encoder(folder, seed=int(slot[-2:]))
    gate = StepResult(
        ended=Ended.DONE if passed else Ended.REFUSED,
        figures={
            "kinds": ["encoder"],
            "encoder": {"turns": 40, "in_service": await live(database)},
        },
    )
    gate.keep(order.result(Step.EVALUATE))
    return order


async def live(database: Database) -> str:
    return (await InService(database).live(SHOP, ENCODER)).name


async def version(database: Database, order: Order) -> Version:
    found = await Versions(database).get(SHOP, order.version_name(ENCODER))
    assert found is not None
    return found


async def test_a_step_whose_night_was_lost_puts_nothing_into_service(
    database: Database, data: Path
) -> None:
    order = await night(database, data, "2027-01-31")
    rows = SqlNights(database)
    zombie = await rows.take(holder="zombie", held_s=-1.0)
    heir = await rows.take(holder="heir", held_s=60.0)
    assert zombie
    assert heir
    with pytest.raises(LeaseLost):
        await publish(replace(order, fence=zombie.fence))
    assert await live(database) == BASE
    assert (await publish(replace(order, fence=heir.fence))).ended is Ended.DONE
    assert await live(database) == order.version_name(ENCODER)


async def test_a_night_that_passed_the_gate_serves(database: Database, data: Path) -> None:
    order = await night(database, data, "2027-01-31")
    assert (await publish(order)).ended is Ended.DONE
    made = await version(database, order)
    assert (made.state, made.slot, made.parent) == (VersionState.LIVE, "2027-01-31", None)
    assert made.metrics["turns"] == 40
    assert set(made.manifest.files) > {"model.safetensors", "calibration.json", "modules.json"}
    standing = await Documents(database).standing(SHOP, ())
    assert standing.pointer is not None
    assert (await live(database), made.index) == (made.name, standing.pointer.name)
    # Once more changes nothing, not even after a rollback.
    await InService(database).roll_back(SHOP, ENCODER, to=BASE)
    assert (await publish(order)).ended is Ended.DONE
    assert await live(database) == BASE
    following = await night(database, data, "2027-02-01")
    await publish(following)
    assert (await version(database, following)).parent is None


async def test_what_did_not_pass_the_gate_is_not_even_registered(
    database: Database, data: Path
) -> None:
    order = await night(database, data, "2027-01-31", passed=False)
    result = await publish(order)
    assert (result.ended, result.reason) == (Ended.REFUSED, "it did not pass the gate")
    order.result(Step.EVALUATE).unlink()
    assert (await publish(order)).ended is Ended.REFUSED
    assert await Versions(database).list(SHOP) == ()
    assert await live(database) == BASE


async def test_where_a_person_decides_it_waits_and_goes_live_with_what_was_added_since(
    database: Database, data: Path
) -> None:
    order = replace(await night(database, data, "2027-01-31"), approve=True)
    for _ in range(2):
        assert (await publish(order)).ended is Ended.DONE
    assert await live(database) == BASE
    waiting = await version(database, order)
    assert waiting.state is VersionState.READY
    assert waiting.index is not None
    person = await Accounts(database).create(
        SHOP, NewAccount(name="Ada", role=Role.ADMIN, language="en")
    )
    news = Document(id="news", title="News", text="A new subject.", language="en")
    async with open_retriever(database, data, encoder=data / "base", key=KEY) as retrieval:
        await retrieval.knowledge.put(SHOP, [news])
        name = waiting.name
        assert await retrieval.succession.publish(SHOP, name, progress=silent, account=person)
        found = await retrieval.retriever.search(SHOP, "a new subject", language="en")
    assert (found.encoder.partition("@")[0], found.passages[0].document) == (name, "news")
    assert (await version(database, order)).account == "Ada"


async def test_with_a_canary_share_it_is_tried_first_and_the_next_night_takes_its_place(
    database: Database, data: Path
) -> None:
    first, second = [
        replace(await night(database, data, slot), canary_share=0.2)
        for slot in ("2027-01-31", "2027-02-01")
    ]
    # Once more changes nothing.
    for _ in range(2):
        assert (await publish(first)).ended is Ended.DONE
    tried = await version(database, first)
    standing = await Documents(database).standing(SHOP, ())
    assert standing.canary is not None
    assert (standing.canary.name, standing.canary.index) == (tried.name, tried.index)
    assert (standing.canary.share, tried.state) == (0.2, VersionState.CANARY)
    assert await live(database) == BASE
    assert (await publish(second)).ended is Ended.DONE
    assert await live(database) == BASE
    [running] = await Canaries(database).running(SHOP)
    assert running.name == second.version_name(ENCODER)
    replaced = await version(database, first)
    assert (replaced.state, replaced.reason) == (
        VersionState.RETIRED,
        f"{running.name} took its place as the canary",
    )
    assert version_folder(data, SHOP, running.name).is_dir()


async def test_a_candidate_that_cannot_be_loaded_is_refused_in_one_line(
    database: Database, data: Path
) -> None:
    order = await night(database, data, "2027-01-31")
    folder = version_folder(data, SHOP, order.version_name(ENCODER))
    (folder / "model.safetensors").write_bytes(b"not weights")
    result = await publish(order)
    assert result.ended is Ended.REFUSED
    assert "\n" not in result.reason
    assert (await version(database, order)).state is VersionState.REFUSED
    assert await live(database) == BASE


@pytest.mark.parametrize("approve", [False, True])
async def test_who_was_overtaken_while_judged_does_not_go_live(
    database: Database, data: Path, approve: bool
) -> None:
    first = await night(database, data, "2027-01-31")
    second = replace(await night(database, data, "2027-02-01"), approve=approve)
    assert (await publish(first)).ended is Ended.DONE
    # Once more comes to the same.
    for _ in range(2):
        result = await publish(second)
        assert (result.ended, result.reason) == (Ended.REFUSED, OVERTAKEN)
    assert await live(database) == first.version_name(ENCODER)
    left = await version(database, second)
    assert (left.state, left.reason, left.parent) == (VersionState.REFUSED, OVERTAKEN, None)


async def test_what_was_judged_against_a_version_that_was_rolled_back_does_not_go_live(
    database: Database, data: Path
) -> None:
    first = await night(database, data, "2027-01-31")
    await publish(first)
    second = await night(database, data, "2027-02-01")
    await InService(database).roll_back(SHOP, ENCODER, to=BASE)
    assert (await publish(second)).reason == OVERTAKEN
    assert await live(database) == BASE
    assert (await version(database, second)).parent == first.version_name(ENCODER)


async def test_after_somebody_went_back_the_next_one_waits_for_a_person(
    database: Database, data: Path
) -> None:
    first = await night(database, data, "2027-01-31")
    await publish(first)
    await InService(database).roll_back(SHOP, ENCODER, to=BASE)
    second = await night(database, data, "2027-02-01")
    name = second.version_name(ENCODER)
    # Once more comes to the same.
    for _ in range(2):
        result = await publish(second)
        assert (result.ended, result.figures["waiting"]) == (Ended.DONE, [name])
        assert result.reason == (
            f"{name} waits for a person, since {first.version_name(ENCODER)} is retired"
            " (rolled back)"
        )
    assert await live(database) == BASE
    assert (await version(database, second)).state is VersionState.READY
    async with open_retriever(database, data, encoder=data / "base", key=KEY) as retrieval:
        await retrieval.succession.publish(SHOP, name, progress=silent)
    third = await night(database, data, "2027-02-02")
    assert (await publish(third)).figures["waiting"] == []
    assert await live(database) == third.version_name(ENCODER)


@pytest.mark.long
async def test_who_is_overtaken_while_it_is_put_into_service_does_not_go_live(
    database: Database, data: Path
) -> None:
    first = await night(database, data, "2027-01-31")
    second = await night(database, data, "2027-02-01")
    killed = await _killed(second, "version_added")
    assert killed == -signal.SIGKILL
    await publish(first)
    result = await publish(second)
    assert (result.ended, result.reason) == (Ended.REFUSED, OVERTAKEN)
    assert await live(database) == first.version_name(ENCODER)


async def _killed(order: Order, place: str) -> int | None:
    process = FORKS.Process(target=publish_and_die, args=(order.to_json(), place))
    process.start()
    await asyncio.to_thread(process.join, PATIENCE_S)
    return process.exitcode


@pytest.mark.long
@pytest.mark.parametrize(
    "place", [name for name in crashpoints.VERSION_NAMES if name != "index_built"]
)
async def test_killed_anywhere_it_goes_on_and_publishes_once(
    database: Database, data: Path, place: str
) -> None:
    order = await night(database, data, "2027-01-31")
    assert await _killed(order, place) == -signal.SIGKILL
    # Whatever stands now can serve.
    async with open_retriever(database, data, encoder=data / "base", key=KEY) as retrieval:
        found = await retrieval.retriever.search(SHOP, "send a parcel back", language="en")
        assert found.passages[0].document == "returns"
        assert found.encoder.partition("@")[0] in ("base", order.version_name(ENCODER))
    assert (await publish(order)).ended is Ended.DONE
    assert await live(database) == order.version_name(ENCODER)
    states = [each.state for each in await Versions(database).list(SHOP)]
    assert sorted(states) == [VersionState.LIVE, VersionState.RETIRED]


@pytest.mark.long
async def test_killed_while_it_makes_ready_it_is_ready_once(database: Database, data: Path) -> None:
    order = replace(await night(database, data, "2027-01-31"), approve=True)
    assert await _killed(order, "index_built") == -signal.SIGKILL
    assert (await publish(order)).ended is Ended.DONE
    assert (await version(database, order)).state is VersionState.READY


@contextmanager
def full_disk(at_bytes: int) -> Iterator[None]:
    """No file grows beyond that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_leaves_the_old_pair_in_service(database: Database, data: Path) -> None:
    order = await night(database, data, "2027-01-31")
    indexes = workspace_folder(data, SHOP)
    before = versions(indexes)
    standing = await Documents(database).standing(SHOP, ())
    with full_disk(100), pytest.raises(Unavailable) as told:
        await publish(order)
    assert "\n" not in str(told.value)
    assert versions(indexes) == before
    assert await Documents(database).standing(SHOP, ()) == standing
    assert (await publish(order)).ended is Ended.DONE
    assert await live(database) == order.version_name(ENCODER)


async def test_the_last_three_and_what_may_serve_are_kept(database: Database, data: Path) -> None:
    slots = [f"2027-02-{day:02d}" for day in range(1, 6)]
    waiting = replace(await night(database, data, "2027-01-31"), approve=True)
    await publish(waiting)
    left = version_folder(data, SHOP, "encoder-2027-01-01")
    left.mkdir()
    os.utime(left, (0, 0))
    for slot in slots:
        order = await night(database, data, slot)
        for workspace in (SHOP, OTHER):
            served_folder(data, workspace, order.version_name(ENCODER)).mkdir(parents=True)
        assert (await publish(order)).ended is Ended.DONE
        await tidy(database, order)
    kept = {path.name for path in version_folder(data, SHOP, "").iterdir()}
    assert kept == {"encoder-2027-01-31", *(f"encoder-{slot}" for slot in slots[-3:])}
    served = {path.name for path in served_folder(data, SHOP, "").iterdir()}
    assert served == {f"encoder-{slot}" for slot in slots[-3:]}
    others = {path.name for path in served_folder(data, OTHER, "").iterdir()}
    assert others == {f"encoder-{slot}" for slot in slots}, "another's may still write"
    rows = {each.name: each.index for each in await Versions(database).list(SHOP)}
    assert rows[f"encoder-{slots[0]}"] is None
    indexes = set(versions(workspace_folder(data, SHOP)))
    assert {index for index in rows.values() if index} <= indexes
    assert len(indexes) <= len({index for index in rows.values() if index}) + 2


async def test_what_the_gate_refused_leaves_no_files_behind(database: Database, data: Path) -> None:
    refused = await night(database, data, "2027-01-31", passed=False)
    other = await night(database, data, "2027-02-01")
    assert (await publish(refused)).ended is Ended.REFUSED
    await tidy(database, refused)
    kept = [path.name for path in version_folder(data, SHOP, "").iterdir()]
    assert kept == [other.version_name(ENCODER)], "a night that goes on still needs its own"


async def test_of_those_that_wait_for_a_person_the_newest_does(
    database: Database, data: Path
) -> None:
    first, second = [
        replace(await night(database, data, slot), approve=True)
        for slot in ("2027-01-31", "2027-02-01")
    ]
    for order in (first, second):
        assert (await publish(order)).ended is Ended.DONE
        await tidy(database, order)
    passed_over, waiting = await version(database, first), await version(database, second)
    assert waiting.state is VersionState.READY
    assert (passed_over.state, passed_over.index) == (VersionState.REFUSED, None)
    assert passed_over.reason == f"{waiting.name} took its place"
    assert [path.name for path in version_folder(data, SHOP, "").iterdir()] == [waiting.name]
    standing = await Documents(database).standing(SHOP, ())
    assert standing.pointer is not None
    assert set(versions(workspace_folder(data, SHOP))) == {standing.pointer.name, waiting.index}
    async with open_retriever(database, data, encoder=data / "base", key=KEY) as retrieval:
        assert await retrieval.succession.publish(SHOP, waiting.name, progress=silent)
        with pytest.raises(Rejected):
            await retrieval.succession.publish(SHOP, passed_over.name, progress=silent)


async def test_what_saw_somebody_erased_leaves_service_though_no_night_makes_another(
    database: Database, data: Path
) -> None:
    order = await night(database, data, "2027-01-31")
    await publish(order)
    erasures = Erasures(database, KEY.encode(), data)
    who = Person(workspace=SHOP, channel="web", id="visitor-1")
    mark = json.dumps({"customer": who.hash(KEY.encode())})
    (order.folder / FORGOTTEN).write_text(f"{mark}\n")
    name = order.version_name(ENCODER)
    assert (await erasures.erase(who)).versions_in_service == (name,)
    await SqlNights(database).ring(SHOP, "2027-02-01")
    result = await curate(replace(order, slot="2027-02-01"))
    assert (result.ended, result.figures["stepped_back"]) == (Ended.SKIPPED, [name])
    assert await live(database) == BASE
    assert (await version(database, order)).state is VersionState.REFUSED
    assert not version_folder(data, SHOP, name).exists()
    async with open_retriever(database, data, encoder=data / "base", key=KEY) as retrieval:
        found = await retrieval.retriever.search(SHOP, "send a parcel back", language="en")
    assert (found.encoder.partition("@")[0], found.passages[0].document) == ("base", "returns")
