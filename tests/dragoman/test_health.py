"""What a balancer is told of a desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bots.server import build_app, serving
from core.errors import Unavailable
from core.turn import Channel
from dragoman.composition import open_core
from dragoman.health import SPARE, Health
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


async def test_many_who_ask_at_once_are_told_the_same_and_set_off_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_at(tmp_path / "dragoman.db")
    settings = Settings(data_dir=tmp_path, database_url=url, demo=False)
    async with open_core(settings) as core:
        health, looks = Health(core), list[str]()

        async def look() -> str:
            looks.append("index")
            await asyncio.sleep(0.05)
            raise Unavailable("index", "gone")

        monkeypatch.setattr(health, "checks", lambda: {"index": look})
        told = await asyncio.gather(*(health.problems() for _ in range(5)))
        health.channel_stopped(Channel.SLACK, "revoked")
        assert told == [{"index": "index: gone"}] * 5
        assert await health.problems() == {"index": "index: gone", "slack": "revoked"}
        assert looks == ["index"]
        monkeypatch.setattr("dragoman.health.FRESH_S", 0.0)
        await health.problems()
        assert looks == ["index"] * 2
