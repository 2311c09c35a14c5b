"""One desk a module, since opening and closing one takes longer than most tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.bots.web.desk import Desk, open_desk
from tests.databases import sqlite_at
from tests.patience import http_client


@pytest.fixture(scope="module")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the desk of this module keeps its database."""
    return tmp_path_factory.mktemp("desk")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_module_desk(desk_folder: Path) -> AsyncIterator[Desk]:
    database_url = sqlite_at(desk_folder / "desk.db")
    async with open_desk(database_url, client_ip_header="X-Test-Address") as opened:
        yield opened


@pytest.fixture
def desk(open_module_desk: Desk) -> Desk:
    open_module_desk.script.asked.clear()
    open_module_desk.script.go = asyncio.Event()
    return open_module_desk


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has opened the page, from an address that nobody else has."""
    headers = {"X-Test-Address": f"visitor-{secrets.token_hex(4)}"}
    async with http_client(desk.url, headers=headers) as client:
        assert (await client.get("/")).status_code == 200
        yield client
