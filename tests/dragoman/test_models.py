"""Versions from a terminal."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from core.adapters.database import Database, open_database
from core.adapters.documents import Document
from core.adapters.erasures import Erasures
from core.adapters.in_service import InService
from core.adapters.ledger import Ledger, Person
from core.adapters.night_files import FORGOTTEN
from core.adapters.sealing import seal
from core.adapters.versions import Versions, base_name
from core.errors import Rejected
from core.nights import VersionKind, VersionState, version_folder
from core.turn import WorkspaceId
from dragoman.models import Models
from retrieval.knowledge import silent
from retrieval.opening import Retrieval, open_retriever
from retrieval.writing import Progress
from tests.core.adapters.test_versions import made
from tests.databases import sqlite_at
from tests.desk import command, environment
from tests.versions import KEY, add_version, build_encoder

pytestmark = pytest.mark.long

SHOP = WorkspaceId("shop")
DIALOGUE = VersionKind.DIALOGUE
RETURNS = Document(id="returns", title="Returns", text="You may send a parcel back.", language="en")
NEWS = Document(id="news", title="News", text="A new subject.", language="en")


async def published(database: Database, data: Path, base: Path, canary_share: float) -> None:
    """e1 and then e2 go live, an article is added, and e3 waits for a person, or is a canary."""
    async with open_retriever(database, data, encoder=base, key=KEY) as retrieval:
        await retrieval.knowledge.put(SHOP, [RETURNS])
        for seed, (name, parent) in enumerate((("e1", None), ("e2", "e1"), ("e3", "e2")), 1):
            await add_version(database, data, name, seed=seed, workspace=SHOP, parent=parent)
            if name != "e3":
                assert await retrieval.succession.publish(SHOP, name, progress=silent)
        await retrieval.knowledge.put(SHOP, [NEWS])
        if canary_share:
            await retrieval.succession.publish(SHOP, "e3", progress=silent, share=canary_share)
            return
        await retrieval.succession.prepare(SHOP, "e3", silent)
    await Versions(database).ready(SHOP, "e3")


@asynccontextmanager
async def shop(tmp_path: Path, *, canary_share: float = 0.0) -> AsyncIterator[dict[str, str]]:
    """The environment of commands on these versions."""
    base = build_encoder(tmp_path / "base", seed=0)
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await published(database, tmp_path, base, canary_share)
        yield environment(tmp_path, secret_key=KEY, encoder=base, workspace="shop", demo=False)


async def test_a_desk_that_stops_waits_only_so_long_for_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.models.STOP_S", 0.1)
    ended: list[WorkspaceId] = []

    class Knowledge:
        async def catch_up(self, workspace: WorkspaceId, progress: Progress) -> bool:
            if workspace == "broken":
                raise KeyError("gone")
            try:
                await asyncio.sleep(600)
            finally:
                ended.append(workspace)
            return True

    retrieval = cast(Retrieval, SimpleNamespace(knowledge=Knowledge(), succession=None))
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        models = Models(database, retrieval, tmp_path, key=KEY)
        with capture_logs() as logs:
            for workspace in (SHOP, WorkspaceId("broken")):
                models.catch_up_behind(workspace)
            await asyncio.sleep(0)
            assert [(each["event"], each["workspace"]) for each in logs] == [
                ("index_not_caught_up", "broken")
            ]
            await models.close()
    assert ended == [SHOP]


@asynccontextmanager
async def dialogues(tmp_path: Path) -> AsyncIterator[tuple[Database, Models]]:
    """dialogue-1, -2 and -3, each in service after the one before."""
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        live = base_name(DIALOGUE)
        for name in (f"dialogue-{number}" for number in (1, 2, 3)):
            folder = version_folder(tmp_path, SHOP, name)
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
            parent = live if live != base_name(DIALOGUE) else None
            row = replace(
                made(name, kind=DIALOGUE),
                manifest=seal(folder, workspace=SHOP, key=KEY),
                parent=parent,
            )
            await Versions(database).add(SHOP, row)
            await InService(database).publish(SHOP, name, instead_of=live)
            live = name
        retrieval = cast(Retrieval, SimpleNamespace())
        yield database, Models(database, retrieval, tmp_path, key=KEY)


async def test_a_rollback_passes_over_what_was_deleted(tmp_path: Path) -> None:
    async with dialogues(tmp_path) as (_, models):
        shutil.rmtree(version_folder(tmp_path, SHOP, "dialogue-2"))
        assert (await models.roll_back(SHOP, kind=DIALOGUE)).name == "dialogue-1"
        assert (await models.roll_back(SHOP, kind=DIALOGUE)).name == base_name(DIALOGUE)
        with pytest.raises(Rejected, match="no dialogue model to roll back to"):
            await models.roll_back(SHOP, kind=DIALOGUE)


@pytest.mark.parametrize("how", ["roll back", "promote"])
async def test_what_had_seen_somebody_who_was_erased_goes_once_it_is_replaced(
    tmp_path: Path, how: str
) -> None:
    async with dialogues(tmp_path) as (database, models):
        who = Person(workspace=SHOP, channel="web", id="visitor-1")
        mark = who.hash(KEY.encode())
        night = tmp_path / "nights" / SHOP / "3"
        night.mkdir(parents=True)
        (night / FORGOTTEN).write_text(json.dumps({"customer": mark}) + "\n")
        erasures = Erasures(database, KEY.encode(), tmp_path)
        assert not (await erasures.erase(who)).complete
        if how == "promote":
            await models.promote(SHOP, "dialogue-2")
        else:
            await models.roll_back(SHOP, kind=DIALOGUE)
        assert await Ledger(database, tmp_path).waiting(SHOP) == ()
        assert not version_folder(tmp_path, SHOP, "dialogue-3").exists()
        with pytest.raises(Rejected, match="dialogue-3 is refused"):
            await models.promote(SHOP, "dialogue-3")


@pytest.mark.parametrize("how", ["roll back", "promote"])
async def test_files_that_cannot_be_deleted_keep_nobody_from_going_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def read_only(folder: Path) -> None:
        raise OSError(30, "Read-only file system")

    async with dialogues(tmp_path) as (database, models):
        erasures = Erasures(database, KEY.encode(), tmp_path)
        for slot in ("1", "3"):
            who = Person(workspace=SHOP, channel="web", id=f"visitor-{slot}")
            night = tmp_path / "nights" / SHOP / slot
            night.mkdir(parents=True)
            mark = json.dumps({"customer": who.hash(KEY.encode())})
            (night / FORGOTTEN).write_text(f"{mark}\n")
            # Their requests are entered; what had seen them is still to be deleted.
            await Ledger(database, tmp_path).enter(who, KEY.encode())
        monkeypatch.setattr("core.adapters.erasures.shutil.rmtree", read_only)
        with capture_logs() as logs:
            if how == "promote":
                await models.promote(SHOP, "dialogue-2")
            else:
                await models.roll_back(SHOP, kind=DIALOGUE)
        assert {each["event"] for each in logs} == {"erasures_not_settled"}
        states = {each.name: each.state for each in await Versions(database).list(SHOP)}
        assert states["dialogue-2"] is VersionState.LIVE
        assert states["dialogue-1"] is states["dialogue-3"] is VersionState.REFUSED
        assert len(await Ledger(database, tmp_path).waiting(SHOP)) == 2
        monkeypatch.undo()
        assert await erasures.settle(SHOP) == frozenset()
        assert not version_folder(tmp_path, SHOP, "dialogue-3").exists()


async def test_versions_are_listed_and_rolled_back(tmp_path: Path) -> None:
    async with shop(tmp_path) as env:
        listed = command("models", "list", "--json", env=env)
        rows = {row["name"]: row for row in map(json.loads, listed.stdout.splitlines())}
        assert list(rows) == ["e3", "e2", "e1", "encoder-base"]
        states = {name: row["state"] for name, row in rows.items()}
        assert states == {"e3": "ready", "e2": "live", "e1": "retired", "encoder-base": "retired"}
        assert set(rows["e2"]) == {
            *("name", "kind", "state", "parent", "night", "index", "reason"),
            *("created_at", "decided_at", "decided_by"),
        }
        back = command("models", "rollback", "--json", env=env)
        assert back.returncode == 0, back.stderr
        told = json.loads(back.stdout)
        assert (told["name"], told["state"], told["indexed"]) == ("e1", "live", True)
        assert told["took_s"] < 5


@pytest.mark.slow
async def test_what_cannot_serve_is_told_in_one_line(tmp_path: Path) -> None:
    async with shop(tmp_path) as env:
        weights = version_folder(tmp_path, SHOP, "e3") / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-8])
        shown = json.loads(command("models", "show", "e3", "--json", env=env).stdout)
        assert shown["fault"] == "e3: model.safetensors is damaged"
        for arguments, said in (
            (("promote", "e3"), "e3: model.safetensors is damaged"),
            (
                ("promote", "e2"),
                "e2 is live: only what is ready, canary or retired can be promoted",
            ),
            (("rollback", "e9"), "no version is called e9"),
        ):
            refused = command("models", *arguments, env=env)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr.startswith(f"dragoman: {said}")
            assert refused.stderr.count("\n") == 1
        promoted = command("models", "promote", "e1", "--json", env=env)
        assert json.loads(promoted.stdout)["state"] == "live"


async def test_a_canary_is_shown_and_rolling_back_ends_it_first(tmp_path: Path) -> None:
    async with shop(tmp_path, canary_share=0.1) as env:
        shown = command("models", "show", "e3", env=env).stdout
        assert "canary       10% of conversations since " in shown
        assert "handed over: 0 of 0, of the rest 0 of 0" in shown
        told = json.loads(command("models", "show", "e3", "--json", env=env).stdout)["canary"]
        assert (told["share"], told["own"]["conversations"]) == (0.1, 0)
        doctor = command("doctor", env=env).stdout
        assert "ok  canary    e3 serves 10% of conversations\n" in doctor
        back = command("models", "rollback", env=env)
        assert back.stdout.startswith("e3 is no longer a canary (")
        listed = command("models", "list", "--json", env=env)
        rows = {row["name"]: row for row in map(json.loads, listed.stdout.splitlines())}
        assert (rows["e3"]["state"], rows["e3"]["reason"]) == ("retired", "rolled back")
        assert rows["e2"]["state"] == "live"
        assert "canary    e3 is retired: rolled back\n" in command("doctor", env=env).stdout
        # The next step back is that of what serves.
        again = json.loads(command("models", "rollback", "--json", env=env).stdout)
        assert (again["name"], again["state"]) == ("e1", "live")


@pytest.mark.slow
async def test_a_canary_is_promoted_before_its_time(tmp_path: Path) -> None:
    """In the console: tests/bots/web/console/test_models.py."""
    async with shop(tmp_path, canary_share=0.1) as env:
        promoted = json.loads(command("models", "promote", "e3", "--json", env=env).stdout)
        assert (promoted["name"], promoted["state"]) == ("e3", "live")
        shown = json.loads(command("models", "show", "e3", "--json", env=env).stdout)
        assert (shown["canary"], shown["reason"]) == (None, None)


def test_where_no_night_was_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    env = environment(tmp_path)
    refused = command("models", "rollback", env=env)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "dragoman: there is no encoder to roll back to\n"
