"""Databases that begin at the newest schema, without each test's migrating its own."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from core.adapters.database import open_database

Heard = list[tuple[str, Any]]


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
async def new_postgres(server: str) -> AsyncIterator[str]:
    """The URL of a new, empty database on a server, which ends with the block."""
    url = await _create(server)
    try:
        yield url
    finally:
        await _drop(server, url)


async def _create(server: str) -> str:
    name = f"dragoman_test_{secrets.token_hex(6)}"
    await _administer(server, f'create database "{name}"')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def _drop(server: str, url: str) -> None:
    await _administer(server, f'drop database if exists "{make_url(url).database}" with (force)')


async def _administer(server: str, command: str, *parameters: str | None) -> None:
    admin = await asyncpg.connect(server)
    await admin.execute(command, *parameters)
    await admin.close()


@asynccontextmanager
async def read_only(server: str, url: str) -> AsyncIterator[None]:
    """A database that takes no writes meanwhile, as on a standby; who was connected is cut off."""
    name = make_url(url).database
    await _administer(server, f'alter database "{name}" set default_transaction_read_only = on')
    cut_off = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
    await _administer(server, cut_off, name)
    try:
        yield
    finally:
        await _administer(server, f'alter database "{name}" reset default_transaction_read_only')


@contextmanager
def listening() -> Iterator[Heard]:
    """Each statement that the program runs meanwhile, with parameters that it ran with."""
    heard: Heard = []

    def hear(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            heard.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def is_blocked(by: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether somebody waits for a lock of that connection's."""
    # In a transaction pg_stat_activity stays as it was when it was first asked for; locks do not.
    waiting = (
        "select exists (select from pg_locks"
        " where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))"
    )
    return bool(await by.fetchval(waiting))


class Postgres:
    """Migrated databases of a server, each of which one test after another has to itself.

    To make one takes a server longer than most tests, and to empty one does not.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[str] = []

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of one that is as good as new."""
        url = self._free.pop() if self._free else await self._made()
        yield url
        await _empty(url)
        self._free.append(url)

    async def close(self) -> None:
        for url in self._free:
            await _drop(self._server, url)

    async def _made(self) -> str:
        url = await _create(self._server)
        async with open_database(url):
            return url


async def _empty(url: str) -> None:
    """Take away who is still connected, every row, and what was counted."""
    connection = await asyncpg.connect(url)
    await connection.execute(_EMPTY)
    await connection.close()


_EMPTY = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid();
do $$
declare each text;
begin
    set local session_replication_role = replica;
    for each in select format('%I', tablename) from pg_tables
        where schemaname = 'public' and tablename <> 'alembic_version'
    loop execute 'delete from ' || each; end loop;
    for each in select format('%I', sequencename) from pg_sequences where schemaname = 'public'
    loop perform setval(each::regclass, 1, false); end loop;
end $$
"""
