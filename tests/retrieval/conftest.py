from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.database import Database, open_database
from retrieval.opening import Retrieval, open_retriever
from tests.databases import sqlite_at
from tests.fakes.encoder import FakeEncoder


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        yield database


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
async def retrieval(
    sqlite: Database, tmp_path: Path, encoder: FakeEncoder
) -> AsyncIterator[Retrieval]:
    async with open_retriever(sqlite, tmp_path / "data", encoder=encoder) as opened:
        yield opened
