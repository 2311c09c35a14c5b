"""What a balancer is told of a desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Table, insert, update

from bots.server import build_app, serving
from core.adapters.database import Now
from core.adapters.nights import SqlNights
from core.adapters.tables import conversations, nights
from core.errors import Unavailable
from core.nights import NightState
from core.turn import Channel
from dragoman.composition import open_core
from dragoman.health import SPARE, Health, told
from dragoman.settings import Settings
from tests.databases import sqlite_at
from tests.patience import http_client


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """The URL of a model server that takes every connection and never says a word."""
    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connected.append(writer), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        for writer in connected:
            writer.close()
        server.close()


@pytest.mark.long
async def test_a_replica_stays_in_service_while_its_model_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.health.PROBE_S", 1.0)
    async with silence() as model_url:
        settings = Settings(
            data_dir=tmp_path,
            database_url=sqlite_at(tmp_path / "dragoman.db"),
            model_url=model_url,
            demo=False,
        )
        async with open_core(settings) as core:
            health = Health(core)
            app = build_app([], ready=health.problems, spare=SPARE)
            async with serving(app, host="127.0.0.1", port=0) as url, http_client(url) as client:
                told = await client.get("/readyz")
            assert (await health.problems())["model"] == "no answer within 1 s"
    assert (told.status_code, told.json()) == (
        200,
        {"ready": True, "database": "ok", "index": "ok", "model": "failed"},
    )


async def test_a_desk_that_no_longer_learns_is_told(tmp_path: Path) -> None:
    url, hour = sqlite_at(tmp_path / "dragoman.db"), 3600.0
    settings = Settings(data_dir=tmp_path, database_url=url, demo=False)
    async with open_core(settings) as core:
        health, rows = Health(core), SqlNights(core.database)

        async def age(table: Table, hours: float) -> None:
            at = update(table).values(created_at=Now() - hours * hour)
            await core.database.write(lambda c: c.execute(at).rowcount)

        assert "none yet" in await health.nights()
        wrote = {"workspace": core.workspace, "channel": "web", "place": "1", "customer": "x"}
        first = insert(conversations).values(**wrote, created_at=Now())
        await core.database.write(lambda c: c.execute(first).rowcount)
        await age(conversations, 35)
        assert "none yet" in await health.nights()
        await age(conversations, 37)
        with pytest.raises(Unavailable, match="none yet, for 37 h"):
            await health.nights()
        await rows.ring(core.workspace, "2027-01-31")
        await age(nights, 5)
        assert "2027-01-31 queued" in await health.nights()
        await age(nights, 7)
        with pytest.raises(Unavailable, match="2027-01-31 has waited for 7 h"):
            await health.nights()
        lease = await rows.take(holder="one", held_s=60)
        assert lease is not None
        await rows.end(lease, NightState.PUBLISHED, figures={})
        assert "2027-01-31 published" in await health.nights()
        await age(nights, 40)
        with pytest.raises(Unavailable, match="none since 2027-01-31, for 40 h"):
            await health.nights()


async def test_many_who_ask_at_once_are_told_the_same_and_set_off_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_at(tmp_path / "dragoman.db")
    settings = Settings(data_dir=tmp_path, database_url=url, demo=False)
    async with open_core(settings) as core:
        health, looks = Health(core), list[str]()

        async def look() -> str:
            looks.append("database")
            await asyncio.sleep(0.05)
            raise Unavailable("database", "gone")

        monkeypatch.setattr(health, "checks", lambda: {"database": look})
        told = await asyncio.gather(*(health.problems() for _ in range(5)))
        health.channel_stopped(Channel.SLACK, "revoked")
        gone = {"database": "database: gone", "index": None}
        assert told == [gone] * 5
        assert await health.problems() == {**gone, "slack": "revoked"}
        assert looks == ["database"]
        monkeypatch.setattr("dragoman.health.FRESH_S", 0.0)
        await health.problems()
        assert looks == ["database"] * 2


async def test_a_busy_machine_does_not_take_a_replica_out_of_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.health.PROBE_S", 2.0)
    url = sqlite_at(tmp_path / "dragoman.db")
    article = tmp_path / "returns.md"
    article.write_text("# Returns\n\nYou may return what you bought within 30 days.\n")
    settings = Settings(data_dir=tmp_path, database_url=url, demo=False)
    async with open_core(settings) as core:
        await core.retrieval.knowledge.add(core.workspace, [str(article)])

        async def endless(texts: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(core.retrieval.encoder, "questions", endless)
        health = Health(core)
        assert await health.problems() == {"database": None, "index": None}
        # What is not loaded, and cannot be, is told all the same.
        for file in (tmp_path / "indexes").rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    async with open_core(settings) as core:
        faults = await Health(core).problems()
        assert faults["index"] is not None


async def test_whatever_becomes_of_a_check_it_is_a_line_in_time() -> None:
    async def well() -> str:
        return "as it should be"

    async def away() -> str:
        raise Unavailable("index", "gone")

    async def hangs() -> str:
        await asyncio.Event().wait()
        return "never"

    assert await told(well, 60) == ("as it should be", False)
    assert await told(away, 60) == ("index: gone", True)
    assert await told(hangs, 0.01) == ("no answer within 0.01 s", True)
