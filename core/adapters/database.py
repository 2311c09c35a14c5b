"""One way to open the database, SQLite or PostgreSQL, brought to the newest schema."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import Float
from sqlalchemy.util import greenlet_spawn

from core.adapters.group_commit import Writer
from core.adapters.tables import metadata
from core.errors import Misconfigured, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant serves: it only has to be the same in every replica that starts at once.
MIGRATION_LOCK = 7_305_621_188
BUSY_TIMEOUT_S = 10.0
SQLITE_READERS = 4
# How often, how long each time and how long in between we wait for those who read SQLite's log:
# nobody writes meanwhile.
LOG_TRIES = 6
LOG_BUSY_S = 0.5
LOG_REST_S = 0.5
# How long a PostgreSQL server may take to be connected to, to carry out a statement that is no
# migration, and to give a first answer when we start.
CONNECT_S = 10.0
STATEMENT_S = 30.0
START_S = 60.0
# What the URL of a PostgreSQL server may ask for behind its `?`, as libpq spells it.
URL_OPTIONS = frozenset(
    {
        "application_name",
        "connect_timeout",
        "host",
        "options",
        "port",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
SQLITE_VERSION = "select sqlite_version()"
POSTGRES_VERSION = "show server_version"
# How SQLite says of a file that waiting does not help.
_NO_DATABASE = ("not a database", "unable to open", "malformed")
# SQLSTATE read_only_sql_transaction.
READ_ONLY = "25006"
# What may be over when SQLite is asked again; anything else is a fault of ours or of the schema.
_OUTAGES = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)

# What a role, a database or a server may have set; not each release of PostgreSQL knows each.
NO_LIMITS = text(
    "select set_config(name, '0', true) from pg_settings where name in"
    " ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')"
)

T = TypeVar("T")

log = structlog.get_logger()


class Now(FunctionElement[float]):
    """The database's clock when the statement began, in seconds since 1970 with fractions.

    It is the same throughout a statement, or no index could be searched by it. What is to last from
    when a row is locked takes another statement to lock it.
    """

    type = Float(53)
    inherit_cache = True
    name = "now_s"


@compiles(Now, "sqlite")
def _now_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Now, "postgresql")
def _now_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "extract(epoch from statement_timestamp())::float8"


class Database(Protocol):
    """A database that runs plain functions over a connection, each as one transaction.

    Statements stand in plain functions because a SQLite transaction must not change threads, and
    because one hop to a thread and back costs as much as several statements.
    """

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that may write, and commit it.

        Raises: Unavailable: the database cannot be reached, is locked, or its disk is full.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that only reads, and so never waits for a writer.

        Raises: Unavailable: the database cannot be reached.
        """
        ...

    async def check(self) -> str:
        """The server's name and version, as a person would write it."""
        ...


class SqliteDatabase:
    """One writer thread, several readers beside it (WAL)."""

    def __init__(self, engine: Engine) -> None:
        """Take over an engine whose connections `_on_sqlite_connect` sets up."""
        self._engine = engine
        # SQLite has one writer at a time and wakes the waiting ones by polling: a queue is faster.
        self._writer = Writer(engine)
        self._readers = ThreadPoolExecutor(SQLITE_READERS, "sqlite-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer thread."""
        try:
            result: T = await self._writer.run(work)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            _tell(error)
        else:
            return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reader thread."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._reading, work)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            _tell(error)

    async def check(self) -> str:
        """Ask for the library's version."""
        version = await self.read(lambda connection: connection.scalar(text(SQLITE_VERSION)))
        return f"SQLite {version}"

    async def empty_log(self) -> bool:
        """Put into the file what stands in the log (`-wal`), and empty that; False if it is in use.

        Raises: Unavailable: the disk is full, or the file cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            for _ in range(LOG_TRIES):
                if await loop.run_in_executor(self._readers, self._log_emptied):
                    return True
                await asyncio.sleep(LOG_REST_S)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            _tell(error)
        return False

    def close(self) -> None:
        """Wait for what is running, then close the connections."""
        self._writer.close()
        self._readers.shutdown()
        self._engine.dispose()

    def _reading(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            return work(connection)

    def _log_emptied(self) -> bool:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(LOG_BUSY_S * 1000)}")
            try:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
            return not busy


class PostgresDatabase:
    """A pool of connections to PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take over an engine."""
        self._engine = engine.sync_engine
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction."""

        def writing() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await self._run(writing)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` without BEGIN and COMMIT, a round trip each.

        Inside a transaction, too, each statement would see what was committed when it started.
        """

        def reading() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        return await self._run(reading)

    async def _run(self, transaction: Callable[[], T]) -> T:
        """Run it from BEGIN to COMMIT in one greenlet; `AsyncConnection` takes one for each."""
        try:
            return await greenlet_spawn(transaction)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            _tell(error)

    async def check(self) -> str:
        """Ask for the server's version."""
        version = await self.read(lambda connection: connection.scalar(text(POSTGRES_VERSION)))
        return f"PostgreSQL {version}"


async def empty_log(database: Database) -> bool:
    """Take what was deleted out of SQLite's log as well, which keeps it until it is written over.

    Returns: whether that is done; somebody may read all the while. PostgreSQL's is for its server.
    Raises: Unavailable: the disk is full, or the file cannot be used.
    """
    return not isinstance(database, SqliteDatabase) or await database.empty_log()


def _tell(error: Exception) -> NoReturn:
    """Raise what an operator can act on; a bug in a statement stays what it is."""
    if isinstance(error, DBAPIError) and not _is_outage(error):
        raise error
    cause = error.orig if isinstance(error, DBAPIError) else error
    # The driver's text names the fault; the statement and its parameters hold customer text.
    reason = str(cause).splitlines()[0] if str(cause) else repr(cause)
    raise Unavailable("database", reason) from error


def _is_outage(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        # The upper bits only say more precisely which of them it is.
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _OUTAGES
    # Of PostgreSQL, classes 08, 28, 3D, 53 and 57 are meant; what has no code lost its connection.
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return str(code)[:2] in {"08", "28", "3D", "40", "53", "57", "58"}
    return type(error).__name__ in {"OperationalError", "InterfaceError", "InternalError"}


def _on_postgres_error(context: ExceptionContext) -> None:
    """Take a server that has become read-only for one that is gone.

    After a failover it is the standby, and the pool would keep its connections to it for good.
    """
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def _on_sqlite_connect(connection: Any, record: Any) -> None:
    """WAL, durable commits, and transactions that begin as we say, not as pysqlite guesses."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What is deleted is written over; not each build of SQLite does so by itself.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()
    # SQLite's own knows the capitals of ASCII only.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _switch_to_wal(cursor: Any) -> None:
    """The mode stays in the file; the busy timeout does not cover the first switch to it."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
        else:
            return


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        # An older process that starts again while replicas are exchanged: a release only adds.
        log.warning("database_is_newer", revision=found)
        return
    command.upgrade(config, "head")
    # The revision alone would let a desk start whose every look at them fails.
    missing = metadata.tables.keys() - set(inspect(connection).get_table_names())
    if missing:
        names = ", ".join(sorted(missing))
        raise Misconfigured(f"the database has lost tables ({names}); bring back a copy of it")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured(
            "DRAGOMAN_DATABASE_URL is not a database URL; write sqlite:///path/to/file.db or"
            " postgresql://user:password@host/name"
        ) from error
    backend = parsed.drivername.split("+")[0]
    if backend not in {"sqlite", "postgresql", "postgres"}:
        raise Misconfigured(
            f"DRAGOMAN_DATABASE_URL names {backend}; SQLite and PostgreSQL are supported"
        )
    return parsed


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 20) -> AsyncIterator[Database]:
    """Open the database at `url` and bring it to the newest schema.

    Raises:
        Misconfigured: the URL is wrong, or the file is no database.
        Unavailable: the server does not answer.
    """
    parsed = _parsed(url)
    if parsed.drivername.startswith("sqlite"):
        async with _open_sqlite(parsed) as sqlite:
            yield sqlite
    else:
        async with _open_postgres(parsed, pool_size) as postgres:
            yield postgres


@asynccontextmanager
async def _open_sqlite(parsed: URL) -> AsyncIterator[Database]:
    try:
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"the database file {parsed.database}: {error.strerror}") from error
    engine = create_engine(
        parsed.set(drivername="sqlite"),
        pool_size=SQLITE_READERS + 1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    database = SqliteDatabase(engine)
    try:
        await _migrate_sqlite(database, f"the database file {parsed.database}")
        yield database
    finally:
        await asyncio.to_thread(database.close)


async def _migrate_sqlite(database: SqliteDatabase, file: str) -> None:
    try:
        await database.write(_migrate)
    except DBAPIError as error:
        # No outage: its tables are not those that its migrations made.
        raise Misconfigured(f"{file}: {error.orig}") from error
    except Unavailable as error:
        if any(sign in str(error) for sign in _NO_DATABASE):
            raise Misconfigured(f"{file}: {error}") from error
        raise


@asynccontextmanager
async def _open_postgres(parsed: URL, pool_size: int) -> AsyncIterator[Database]:
    url, asked = _asked(parsed)
    await _migrate_postgres(url, asked)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={**asked, "command_timeout": STATEMENT_S},
    )
    event.listen(engine.sync_engine, "handle_error", _on_postgres_error)
    try:
        yield PostgresDatabase(engine)
    finally:
        await engine.dispose()


def _asked(parsed: URL) -> tuple[URL, Mapping[str, Any]]:
    """The server alone, and how to connect to it: asyncpg reads libpq's words in a DSN only.

    Raises: Misconfigured: the URL asks for what nobody understands.
    """
    query = dict(parsed.normalized_query)
    if unknown := query.keys() - URL_OPTIONS:
        raise Misconfigured(
            f"DRAGOMAN_DATABASE_URL asks for {', '.join(sorted(unknown))}; behind the ? it may have"
            f" {', '.join(sorted(URL_OPTIONS))}"
        )
    try:
        # asyncpg would hand this one on to the server. As in libpq, 0 is for ever.
        timeout_s = max(0.0, float(query.pop("connect_timeout", (str(CONNECT_S),))[-1])) or None
    except ValueError as error:
        raise Misconfigured("DRAGOMAN_DATABASE_URL: connect_timeout is in seconds") from error
    dsn = URL.create("postgresql", query=query).render_as_string()
    url = parsed.set(drivername="postgresql+asyncpg", query={})
    return url, {"dsn": dsn, "timeout": timeout_s}


async def _migrate_postgres(url: URL, asked: Mapping[str, Any]) -> None:
    """Migrate over a connection of its own, which nothing cuts off once the server is there.

    Nobody can say how long it takes to build an index over many million rows, nor how long another
    replica, which waits for that, has to.
    """
    engine = create_async_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args=dict(asked)
    )
    try:
        async with asyncio.timeout(START_S) as limit, engine.begin() as connection:
            await connection.execute(NO_LIMITS)
            limit.reschedule(None)
            await connection.run_sync(_migrate)
    except ValueError as error:
        raise Misconfigured(f"DRAGOMAN_DATABASE_URL: {error}") from error
    except (SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError) as error:
        cause = str(getattr(error, "orig", None) or error) or type(error).__name__
        raise Unavailable("database", cause.splitlines()[0]) from error
