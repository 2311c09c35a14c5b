"""Versions from a terminal."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.adapters.database import Database, open_database
from core.adapters.documents import Document
from core.adapters.versions import Versions
from core.nights import version_folder
from core.turn import WorkspaceId
from retrieval.knowledge import silent
from retrieval.opening import open_retriever
from tests.databases import sqlite_at
from tests.desk import command, environment
from tests.versions import KEY, add_version, build_encoder

SHOP = WorkspaceId("shop")
RETURNS = Document(id="returns", title="Returns", text="You may send a parcel back.", language="en")
NEWS = Document(id="news", title="News", text="A new subject.", language="en")


async def published(database: Database, data: Path, base: Path) -> None:
    """e1 and then e2 go live, an article is added, and e3 waits for a person."""
    async with open_retriever(database, data, encoder=base, key=KEY) as retrieval:
        await retrieval.knowledge.put(SHOP, [RETURNS])
        for seed, (name, parent) in enumerate((("e1", None), ("e2", "e1"), ("e3", "e2")), 1):
            await add_version(database, data, name, seed=seed, workspace=SHOP, parent=parent)
            if name != "e3":
                assert await retrieval.succession.publish(SHOP, name, progress=silent)
        await retrieval.knowledge.put(SHOP, [NEWS])
        await retrieval.succession.prepare(SHOP, "e3", silent)
    await Versions(database).ready(SHOP, "e3")


@asynccontextmanager
async def shop(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The environment of commands on these versions."""
    base = build_encoder(tmp_path / "base", seed=0)
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await published(database, tmp_path, base)
        yield environment(tmp_path, secret_key=KEY, encoder=base, workspace="shop", demo=False)


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
            (("promote", "e2"), "e2 is live: only what is ready or retired can be promoted"),
            (("rollback", "e9"), "no version is called e9"),
        ):
            refused = command("models", *arguments, env=env)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr.startswith(f"dragoman: {said}")
            assert refused.stderr.count("\n") == 1
        promoted = command("models", "promote", "e1", "--json", env=env)
        assert json.loads(promoted.stdout)["state"] == "live"


def test_where_no_night_was_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    env = environment(tmp_path)
    refused = command("models", "rollback", env=env)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "dragoman: there is no encoder to roll back to\n"
