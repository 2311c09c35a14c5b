"""One way to open the database, SQLite or PostgreSQL, brought to the newest schema."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import Float

from core.errors import Misconfigured, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant serves: it only has to be the same in every replica that starts at once.
MIGRATION_LOCK = 7_305_621_188
BUSY_TIMEOUT_S = 10.0

log = structlog.get_logger()


class Now(FunctionElement[float]):
    """The database's clock, in seconds since 1970 with fractions."""

    type = Float(53)
    inherit_cache = True
    name = "now_s"


@compiles(Now, "sqlite")
def _now_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Now, "postgresql")
def _now_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::float8"


class Database:
    """An engine with the two things every query of ours needs: a transaction and one error."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take over an engine that `open_database` made."""
        self._engine = engine
        # SQLite has one writer at a time and wakes the waiting ones by polling: a queue is faster.
        alone = engine.dialect.name == "sqlite"
        self._writer: AbstractAsyncContextManager[None] = asyncio.Lock() if alone else nullcontext()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write, committed at the end of the block.

        Raises: Unavailable: the database cannot be reached, is locked, or its disk is full.
        """
        try:
            async with self._writer, self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise _translated(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view for reading only, which never waits for a writer.

        Raises: Unavailable: the database cannot be reached.
        """
        try:
            async with self._engine.connect() as connection:
                connection.info["reading"] = True
                try:
                    yield connection
                finally:
                    await connection.rollback()
                    connection.info.pop("reading", None)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise _translated(error) from error

    async def check(self) -> str:
        """Ask the server for its version, as a person would write it."""
        async with self.reading() as connection:
            if self._engine.dialect.name == "sqlite":
                version = await connection.scalar(text("select sqlite_version()"))
                return f"SQLite {version}"
            return f"PostgreSQL {await connection.scalar(text('show server_version'))}"


def _translated(error: Exception) -> Exception:
    """The error an operator can act on; a bug in a statement stays what it is."""
    if isinstance(error, DBAPIError) and not _is_outage(error):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    # The driver's text names the fault; the statement and its parameters hold customer text.
    return Unavailable("database", str(cause).splitlines()[0] if str(cause) else repr(cause))


def _is_outage(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    # Disk full, I/O error, locked and "unable to open" on SQLite; class 08, 53, 57 on PostgreSQL.
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return str(code)[:2] in {"08", "53", "57", "58", "40"}
    return type(error).__name__ in {"OperationalError", "InterfaceError", "InternalError"}


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """WAL, durable commits, and writers that queue up front instead of failing half-way."""

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        # pysqlite's own BEGIN is deferred: two writers could both read and then both fail.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        reading = connection.info.get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _async_url(url: str) -> Any:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured(
            "DRAGOMAN_DATABASE_URL is not a database URL; write sqlite:///path/to/file.db or"
            " postgresql://user:password@host/name"
        ) from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend not in drivers:
        raise Misconfigured(
            f"DRAGOMAN_DATABASE_URL names {backend}; SQLite and PostgreSQL are supported"
        )
    if backend == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(drivername=drivers[backend])


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 10) -> AsyncIterator[Database]:
    """Open the database at `url` and bring it to the newest schema.

    Raises:
        Misconfigured: the URL is wrong, or the file is no database.
        Unavailable: the server does not answer.
    """
    parsed = _async_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    connect_args = {"timeout": BUSY_TIMEOUT_S} if sqlite else {"timeout": 10, "command_timeout": 30}
    engine = create_async_engine(
        parsed,
        pool_size=5 if sqlite else pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=not sqlite,
        connect_args=connect_args,
    )
    if sqlite:
        _prepare_sqlite(engine)
    try:
        try:
            async with asyncio.timeout(60), engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            if "not a database" in str(cause) or "unable to open" in str(cause):
                raise Misconfigured(f"the database file {parsed.database}: {cause}") from error
            raise Unavailable("database", str(cause).splitlines()[0]) from error
        yield Database(engine)
    finally:
        await engine.dispose()
