"""A dialogue model is exchanged while replies are being written."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.database import Database, open_database
from core.adapters.generator import HttpGenerator
from core.adapters.in_service import InService
from core.adapters.pointers import Pointer
from core.adapters.sealing import Manifest, seal
from core.adapters.versions import Made, Versions, base_name
from core.nights import VersionKind, version_folder
from core.turn import Passage, WorkspaceId
from dragoman.dialogues import Dialogues
from dragoman.settings import Settings
from tests.databases import sqlite_at
from tests.fakes.model import FakeModel, fake_model
from tests.patience import until

SHOP, OTHER = WorkspaceId("shop"), WorkspaceId("other")
KIND = VersionKind.DIALOGUE
KEY = "dGhlIGluc3RhbGxhdGlvbidzIHNlYWxpbmcga2V5ISE="
PASSAGE = Passage(id="p", document="d", title="Returns", text="You have 30 days.", language="en")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as opened:
        yield opened


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    async with fake_model() as server:
        yield server


async def publish(database: Database, name: str, folder: Path | None = None) -> None:
    """Put a version into service, sealed if it has a folder."""
    manifest = Manifest(files={}, signature="")
    if folder is not None:
        manifest = await asyncio.to_thread(seal, folder, workspace=SHOP, key=KEY)
    made = Made(
        kind=KIND,
        name=name,
        slot="",
        parent=None,
        manifest=manifest,
        data_sha256="d",
        code_version="1",
        metrics={},
    )
    await Versions(database).add(SHOP, made)
    service = InService(database)
    live = (await service.live(SHOP, KIND)).name
    await service.publish(SHOP, name, instead_of=live)


async def written(generator: HttpGenerator) -> str:
    pieces = generator.write("How long?", [PASSAGE], language="en", history=())
    return "".join([piece async for piece in pieces])


async def test_a_name_is_exchanged_and_who_began_with_the_old_one_ends_with_it(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    settings = Settings(data_dir=tmp_path, model_url=fake.url, workspace="shop", secret_key=KEY)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base, drained_s=0.2)
        await dialogues.look()
        assert dialogues.of(SHOP) is base
        await publish(database, "d1")
        await dialogues.look()
        first = dialogues.of(SHOP)
        assert (first.model, dialogues.of(OTHER)) == ("d1", base)
        pieces = first.write("How long?", [PASSAGE], language="en", history=())
        begun = await anext(pieces)
        await publish(database, "d2")
        await dialogues.look()
        assert begun + "".join([piece async for piece in pieces]) == "You have 30 days. [1]"
        assert await written(dialogues.of(SHOP)) == "You have 30 days. [1]"
        streamed = [asked["model"] for asked in fake.asked if asked.get("stream")]
        assert streamed == ["d1", "d2"]
        await until(lambda: not dialogues._going)
        await InService(database).roll_back(SHOP, KIND, to=base_name(KIND))
        await dialogues.look()
        assert dialogues.of(SHOP) is base
        await dialogues.close()


async def test_a_server_that_loads_folders_is_asked_for_a_version_by_its_path(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    from tests.workers.tiny_model import build

    base_folder = tmp_path / "base"
    base_folder.mkdir()
    settings = Settings(
        data_dir=tmp_path, model=str(base_folder), model_url=fake.url, workspace="shop",
        secret_key=KEY,
    )  # fmt: skip
    folder = version_folder(tmp_path, SHOP, "d1")
    folder.parent.mkdir(parents=True)
    await publish(database, "d1", await asyncio.to_thread(build, folder))
    async with HttpGenerator(fake.url, model=str(base_folder)) as base:
        dialogues = Dialogues(database, settings, base)
        await dialogues.look()
        assert dialogues.of(SHOP).model == "d1"
        assert await written(dialogues.of(SHOP)) == "You have 30 days. [1]"
        assert {asked["model"] for asked in fake.asked} == {str(folder)}
        await dialogues.close()


async def test_what_its_server_cannot_write_with_is_tried_again_after_a_minute(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    now_s = 0.0
    settings = Settings(data_dir=tmp_path, model_url=fake.url, workspace="shop", secret_key=KEY)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base, clock_s=lambda: now_s)
        await publish(database, "d1")
        fake.strict, fake.name = True, "another"
        for at_s in (0.0, 1.0, 59.0):
            now_s = at_s
            await dialogues.look()
        assert dialogues.of(SHOP) is base
        assert len(fake.asked) == 1, "what is damaged is not loaded again and again"
        fake.strict, now_s = False, 61.0
        await dialogues.look()
        assert dialogues.of(SHOP).model == "d1"
        await dialogues.close()


async def test_what_cannot_be_started_here_is_tried_ever_more_seldom(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    now_s = 0.0
    settings = Settings(data_dir=tmp_path, model="folder", workspace="shop", secret_key=KEY)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base, clock_s=lambda: now_s)
        await publish(database, "d1")
        tried = []
        with capture_logs() as logs:
            for minute in range(8 * 60):
                now_s, before = minute * 60.0, len(logs)
                await dialogues.look()
                tried += [minute] if len(logs) > before else []
        assert tried == [0, 1, 3, 7, 15, 31, 63, *range(123, 480, 60)]
        await dialogues.close()


async def test_a_version_that_cannot_be_served_leaves_the_old_one(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    settings = Settings(data_dir=tmp_path, model="folder", workspace="shop", secret_key=KEY)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base)
        folder = version_folder(tmp_path, SHOP, "d1")
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        await publish(database, "d1", folder)
        (folder / "config.json").write_text('{"auto_map": 1}')
        for _ in range(2):
            await dialogues.look()
        assert dialogues.of(SHOP) is base
        assert await written(base)
        await dialogues.close()


async def test_what_finds_no_room_on_the_disk_leaves_the_old_one(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    settings = Settings(data_dir=tmp_path, model="folder", workspace="shop", secret_key=KEY)
    (tmp_path / "served").write_text("no folder can be made here")
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base)
        folder = version_folder(tmp_path, SHOP, "d1")
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        await publish(database, "d1", folder)
        with capture_logs() as logs:
            await dialogues.look()
        assert [each["event"] for each in logs] == ["model_refused"]
        assert dialogues.of(SHOP) is base
        await dialogues.close()


async def test_a_pointer_is_followed_whatever_goes_wrong_on_the_way(
    database: Database, tmp_path: Path, fake: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.dialogues.LOOK_S", 0.01)
    settings = Settings(data_dir=tmp_path, model_url=fake.url, workspace="shop", secret_key=KEY)
    live = InService.live
    tripped = False

    async def trip_once(self: InService, workspace: WorkspaceId, kind: VersionKind) -> Pointer:
        nonlocal tripped
        if not tripped:
            tripped = True
            raise KeyError("gone")
        return await live(self, workspace, kind)

    await publish(database, "d1")
    monkeypatch.setattr(InService, "live", trip_once)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base)
        following = asyncio.create_task(dialogues.keep())
        await until(lambda: dialogues.of(SHOP).model == "d1")
        following.cancel()
        await dialogues.close()


@pytest.mark.slow
async def test_a_second_server_takes_over_and_the_first_one_ends(
    database: Database, tmp_path: Path, fake: FakeModel
) -> None:
    from tests.workers.tiny_model import build

    settings = Settings(data_dir=tmp_path, model="folder", workspace="shop", secret_key=KEY)
    async with HttpGenerator(fake.url, model="base") as base:
        dialogues = Dialogues(database, settings, base, drained_s=0.1)
        pids = []
        for name in ("d1", "d2"):
            folder = version_folder(tmp_path, SHOP, name)
            folder.parent.mkdir(parents=True, exist_ok=True)
            await publish(database, name, build(folder))
            await dialogues.look()
            assert dialogues.of(SHOP).model == name
            pids.append(_served(name))
        await until(lambda: not dialogues._going)
        assert not _alive(pids[0])
        assert _alive(pids[1])
        await dialogues.close()
        assert not _alive(pids[1])


def _served(name: str) -> int:
    """The process that serves the folder of this name."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = path.read_bytes()
        except OSError:
            continue
        if b"serve" in told and f"/{name}\0".encode() in told:
            return int(path.parent.name)
    raise AssertionError(f"nothing serves {name}")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
