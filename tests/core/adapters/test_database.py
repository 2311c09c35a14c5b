"""The database as an operator meets it: gone, locked, full, foreign, half-way migrated."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.adapters import database as database_module
from core.adapters.cursors import Cursors
from core.adapters.database import Database, Now, open_database
from core.adapters.tables import cursors, metadata
from core.errors import Misconfigured, Unavailable
from core.turn import Channel, WorkspaceId
from tests.databases import new_postgres, read_only, sqlite_at
from tests.patience import until
from tests.services import free_port

WORKSPACE = WorkspaceId("default")


async def test_the_migrations_make_exactly_the_schema_in_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.read(differences) == []


# Accounts and nights are few, and nobody deletes them.
_STAY = {"accounts", "nights"}


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_what_points_at_rows_that_go_is_found_by_an_index(table: Table) -> None:
    keys = (PrimaryKeyConstraint, UniqueConstraint)
    found_by = [*table.indexes, *(each for each in table.constraints if isinstance(each, keys))]
    first = {next(iter(each.columns)).name for each in found_by if each.columns}
    pointing = {key.parent.name for key in table.foreign_keys if key.column.table.name not in _STAY}
    assert pointing <= first


async def test_the_clock_is_the_databases_and_moves(database: Database) -> None:
    first = await database.read(lambda connection: connection.scalar(select(Now())))
    second = await database.read(lambda connection: connection.scalar(select(Now())))
    assert first is not None
    assert second is not None
    assert 1_700_000_000 < first <= second


async def _version(url: str) -> str:
    async with open_database(url) as opened:
        return await opened.check()


async def test_opening_a_new_file_twice_at_once_migrates_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    versions = await asyncio.gather(_version(url), _version(url))
    assert versions[0].startswith("SQLite 3")


async def test_opening_a_new_database_twice_at_once_migrates_once(postgres_url: str) -> None:
    async with new_postgres(postgres_url) as url:
        versions = await asyncio.gather(_version(url), _version(url))
    assert versions[0].startswith("PostgreSQL 1")


def add_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, takes_s: float) -> None:
    """Let the next release have one that takes that long, and can be carried out only once."""
    folder = tmp_path / "migrations"
    shutil.copytree(database_module.MIGRATIONS, folder)
    monkeypatch.setattr(database_module, "MIGRATIONS", folder)
    head = ScriptDirectory(str(folder)).get_current_head()
    (folder / "versions" / "9999_slow.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{head}'\n"
        "def upgrade():\n"
        "    op.execute('create table slow (id bigint)')\n"
        f"    op.execute('select pg_sleep({takes_s})')\n"
    )


async def test_a_migration_takes_as_long_as_it_takes_and_whoever_waits_for_it_waits(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch, takes_s=1.5)
    monkeypatch.setattr(database_module, "STATEMENT_S", 0.2)
    monkeypatch.setattr(database_module, "START_S", 1.2)

    async def start(url: str) -> None:
        async with open_database(url):
            pass

    async with new_postgres(postgres_url) as url:
        await asyncio.gather(start(url), start(url))
        admin = await asyncpg.connect(url)
        assert await admin.fetchval("select version_num from alembic_version") == "9999"
        await admin.close()


async def test_what_is_no_migration_keeps_its_limit(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_S", 0.2)
    sleep = text("select pg_sleep(600)")
    async with open_database(postgres_database_url) as opened:
        for run in (opened.read, opened.write):
            with pytest.raises(Unavailable):
                await run(lambda connection: connection.scalar(sleep))


async def test_a_server_that_limits_its_statements_lets_a_migration_end(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch, takes_s=0.6)
    show = text("show statement_timeout")
    async with new_postgres(postgres_url) as url:
        name = make_url(url).database
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(f"alter database \"{name}\" set statement_timeout = '500ms'")
        await admin.close()
        async with open_database(url) as opened:
            assert await opened.read(lambda connection: connection.scalar(show)) == "500ms"


async def test_an_error_in_a_transaction_leaves_nothing_behind(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute(
            insert(cursors).values(workspace=WORKSPACE, channel="web", name="a", value="1")
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(half)
    assert await Cursors(database).read(WORKSPACE, Channel.WEB, "a") is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://localhost/x", "SQLite and PostgreSQL are supported"),
        ("no url at all", "is not a database URL"),
        ("postgresql://h/x?sslmode=require&pgbouncer=true", "asks for pgbouncer; .* sslmode"),
        ("postgresql://h/x?connect_timeout=soon", "connect_timeout is in seconds"),
    ],
)
async def test_a_wrong_url_gets_one_clear_line(url: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        async with open_database(url):
            pass


async def test_a_url_as_managed_servers_hand_it_out_is_understood(
    postgres_database_url: str,
) -> None:
    asked = "?sslmode=disable&connect_timeout=15&application_name=the%20desk"
    told = text(
        "select application_name, ssl from pg_stat_activity join pg_stat_ssl using (pid)"
        " where pid = pg_backend_pid()"
    )
    async with open_database(postgres_database_url + asked) as opened:
        row = await opened.read(lambda connection: connection.execute(told).one())
    assert tuple(row) == ("the desk", False)


async def test_a_server_without_tls_is_not_taken_where_the_url_requires_it(
    postgres_database_url: str,
) -> None:
    encrypted = text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    with suppress(Unavailable):
        async with open_database(f"{postgres_database_url}?sslmode=require") as opened:
            assert await opened.read(lambda connection: connection.scalar(encrypted))


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n" * 500)
    with pytest.raises(Misconfigured, match="not a database"):
        async with open_database(f"sqlite:///{path}"):
            pass
    assert path.read_text().startswith("dear diary")


async def test_a_server_that_is_down_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="database"):
        async with open_database(f"postgresql://postgres@127.0.0.1:{free_port()}/x"):
            pass


async def test_a_server_that_dies_is_unavailable_until_it_is_back(
    postgres_database_url: str, postgres_url: str
) -> None:
    name = make_url(postgres_database_url).database
    async with open_database(postgres_database_url) as opened:
        store = Cursors(opened)
        await store.write(WORKSPACE, Channel.WEB, "a", "1")
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
        )
        await admin.close()
        with pytest.raises(Unavailable, match="database"):
            await store.read(WORKSPACE, Channel.WEB, "a")
        assert await store.read(WORKSPACE, Channel.WEB, "a") == "1"


async def test_a_server_that_takes_no_writes_is_unavailable_until_it_takes_them_again(
    postgres_database_url: str, postgres_url: str
) -> None:
    async with open_database(postgres_database_url) as opened:
        store = Cursors(opened)
        await store.write(WORKSPACE, Channel.WEB, "a", "1")
        async with read_only(postgres_url, postgres_database_url):
            # The first finds its connection cut; the next has one, to a server that refuses.
            for _ in range(2):
                with pytest.raises(Unavailable) as refused:
                    await store.write(WORKSPACE, Channel.WEB, "a", "2")
            assert "read-only" in str(refused.value)
            assert await store.read(WORKSPACE, Channel.WEB, "a") == "1"

        async def written() -> bool:
            with suppress(Unavailable):
                await store.write(WORKSPACE, Channel.WEB, "a", "3")
            return await store.read(WORKSPACE, Channel.WEB, "a") == "3"

        # Whoever has been connected meanwhile stays refused, and has to connect anew.
        await until(written)


async def test_a_read_only_server_can_be_opened(
    postgres_database_url: str, postgres_url: str
) -> None:
    async with read_only(postgres_url, postgres_database_url):
        assert (await _version(postgres_database_url)).startswith("PostgreSQL")


async def test_no_error_says_what_was_to_be_written(database: Database) -> None:
    row = insert(cursors).values(workspace=WORKSPACE, channel="web", name="a", value="My secret")
    await database.write(lambda connection: connection.execute(row).rowcount)
    with pytest.raises(IntegrityError) as breach:
        await database.write(lambda connection: connection.execute(row).rowcount)
    assert "My secret" not in str(breach.value)


async def test_a_locked_file_is_unavailable_after_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.2)
    path = tmp_path / "dragoman.db"
    async with open_database(f"sqlite:///{path}") as opened:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store = Cursors(opened)
        with pytest.raises(Unavailable, match="locked"):
            await store.write(WORKSPACE, Channel.WEB, "a", "1")
        assert await store.read(WORKSPACE, Channel.WEB, "a") is None
        other.execute("ROLLBACK")
        other.close()
        await store.write(WORKSPACE, Channel.WEB, "a", "1")


async def test_all_who_wait_for_a_locked_file_are_told_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.2)
    path = tmp_path / "dragoman.db"
    async with open_database(f"sqlite:///{path}") as opened:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store, begun_s = Cursors(opened), time.monotonic()
        told = await asyncio.gather(
            *(store.write(WORKSPACE, Channel.WEB, str(number), "") for number in range(60)),
            return_exceptions=True,
        )
        # The first may have gone alone; the others went together.
        assert time.monotonic() - begun_s < 5.0
        assert {type(one) for one in told} == {Unavailable}
        other.close()


async def test_a_full_disk_is_unavailable_loses_nothing_and_heals(small_disk: Path) -> None:
    async with open_database(f"sqlite:///{small_disk / 'dragoman.db'}") as opened:
        store = Cursors(opened)
        await store.write(WORKSPACE, Channel.WEB, "kept", "1")
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * 2_000_000)
        with pytest.raises(Unavailable, match="full"):
            await store.write(WORKSPACE, Channel.WEB, "too much", "x" * 500_000)
        assert await store.read(WORKSPACE, Channel.WEB, "kept") == "1"
        filler.unlink()
        await store.write(WORKSPACE, Channel.WEB, "after", "2")
        check = text("PRAGMA integrity_check")
        assert await opened.read(lambda connection: connection.scalar(check)) == "ok"
        count = select(func.count()).select_from(cursors)
        assert (await opened.read(lambda connection: connection.scalar(count)) or 0) >= 2


@pytest.mark.parametrize("statement", ["selec 1", "select no from cursors", "select 1 from no"])
async def test_a_fault_in_a_statement_is_no_outage(database: Database, statement: str) -> None:
    for run in (database.read, database.write):
        with pytest.raises(DBAPIError) as fault:
            await run(lambda connection: connection.execute(text(statement)).all())
        assert fault.value.__cause__ is not fault.value


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("update alembic_version set version_num = '0001'", "table .* already exists"),
        ("drop table cursors", r"has lost tables \(cursors\)"),
    ],
)
async def test_a_file_with_other_tables_than_its_migrations_made_gets_one_clear_line(
    tmp_path: Path, change: str, says: str
) -> None:
    path = tmp_path / "dragoman.db"
    url = sqlite_at(path)
    file = sqlite3.connect(path)
    file.execute(change)
    file.commit()
    file.close()
    with pytest.raises(Misconfigured, match=says):
        async with open_database(url):
            pass


async def test_one_transaction_that_fails_takes_no_other_with_it(database: Database) -> None:
    def write(number: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            connection.execute(
                insert(cursors).values(
                    workspace=WORKSPACE, channel="web", name=str(number), value=""
                )
            )
            if number % 5 == 0:
                raise ZeroDivisionError

        return work

    done = await asyncio.gather(
        *(database.write(write(number)) for number in range(50)), return_exceptions=True
    )
    assert [type(result) for result in done] == [
        type(None) if number % 5 else ZeroDivisionError for number in range(50)
    ]
    count = select(func.count()).select_from(cursors)
    assert await database.read(lambda connection: connection.scalar(count)) == 40


async def test_callers_who_give_up_keep_no_connection(postgres_database_url: str) -> None:
    sleep = text("select pg_sleep(30)")
    async with open_database(postgres_database_url, pool_size=2) as opened:
        for run in (opened.read, opened.write, opened.read, opened.write):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await run(lambda connection: connection.scalar(sleep))
        assert await opened.write(lambda connection: connection.scalar(text("select 1"))) == 1


async def test_a_breach_of_a_constraint_is_told_to_its_writer_alone(database: Database) -> None:
    row = insert(cursors).values(workspace=WORKSPACE, channel="web", name="same", value="")

    def work(connection: Connection) -> None:
        connection.execute(row)

    done = await asyncio.gather(*(database.write(work) for _ in range(10)), return_exceptions=True)
    assert sum(result is None for result in done) == 1
    assert {type(result) for result in done} == {type(None), IntegrityError}
