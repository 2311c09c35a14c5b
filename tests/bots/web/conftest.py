"""A desk and a visitor for the tests of the web."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.bots.web.desk import Desk, open_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(f"sqlite:///{tmp_path / 'desk.db'}") as opened:
        yield opened


@pytest.fixture
async def visitor(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has opened the page."""
    async with httpx.AsyncClient(base_url=desk.url, trust_env=False) as client:
        assert (await client.get("/")).status_code == 200
        yield client
