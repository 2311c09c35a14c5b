"""Databases that begin at the newest schema, without each test's migrating its own."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from core.adapters.database import open_database


def sqlite_at(path: Path) -> str:
    """The URL of the SQLite file there, which is made if there is none."""
    if not path.exists():
        path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    """The file that migrating leaves behind; whoever asks may be inside an event loop."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        path = Path(folder) / "migrated.db"
        thread.submit(_migrate, f"sqlite:///{path}").result()
        return path.read_bytes()


def _migrate(url: str) -> None:
    async def opened() -> None:
        async with open_database(url):
            pass

    with asyncio.Runner() as runner:
        runner.run(opened())


@asynccontextmanager
async def new_postgres(server: str, template: str = "") -> AsyncIterator[str]:
    """The URL of a new database on a server, which ends with it; empty without a template's URL."""
    name = f"dragoman_test_{secrets.token_hex(6)}"
    like = f' template "{make_url(template).database}"' if template else ""
    admin = await asyncpg.connect(server)
    await admin.execute(f'create database "{name}"{like}')
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        await admin.execute(f'drop database if exists "{name}" with (force)')
        await admin.close()


@asynccontextmanager
async def postgres_template(server: str) -> AsyncIterator[str]:
    """The URL of a database for `new_postgres` to copy."""
    async with new_postgres(server) as url:
        async with open_database(url):
            pass
        yield url
