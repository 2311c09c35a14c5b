"""No row gets the number of one that was deleted."""

from alembic import op
from sqlalchemy import Connection

revision = "0006"
down_revision = "0005"

# What has a number, and what points at it: a table after those that it points at.
TABLES = (
    "accounts",
    "canned_answers",
    "erasures",
    "nights",
    "conversations",
    "inbox",
    "messages",
    "outbox",
    "handoffs",
    "desk_events",
    "desk_threads",
    "desk_lines",
    "proposals",
    "model_versions",
    "identities",
    "sessions",
)
# Numbers that are remembered elsewhere; the rows that had them may be gone.
REMEMBERED = (
    ("desk_events", "desk_threads", "shown"),
    ("messages", "canaries", "after_message"),
)


def upgrade() -> None:
    """Apply the change; PostgreSQL has never given a number twice."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    _mend(connection)
    others = _statements(connection, "type in ('index', 'trigger', 'view') and sql is not null")
    for kind, name, _ in reversed(others):
        connection.exec_driver_sql(f'DROP {kind} "{name}"')
    known = _statements(connection, "type = 'table'")
    made_by = {name: statement for _, name, statement in known}
    for table in TABLES:
        # What points at it follows it to its new name.
        connection.exec_driver_sql(f'ALTER TABLE "{table}" RENAME TO "_old_{table}"')
    for table in TABLES:
        counting = made_by[table].replace("PRIMARY KEY (id)", "PRIMARY KEY (id AUTOINCREMENT)")
        connection.exec_driver_sql(counting)
        connection.exec_driver_sql(f'INSERT INTO "{table}" SELECT * FROM "_old_{table}"')
    # Dropping a table deletes what points at it: by then nothing does.
    for table in reversed(TABLES):
        connection.exec_driver_sql(f'DROP TABLE "_old_{table}"')
    for _, _, statement in others:
        connection.exec_driver_sql(statement)
    for table, where, column in REMEMBERED:
        _count_on(connection, table, where, column)


def _statements(connection: Connection, which: str) -> list[tuple[str, str, str]]:
    found = connection.exec_driver_sql(
        f"select type, name, sql from sqlite_master where {which} order by rowid"
    )
    return [(row.type, row.name, row.sql) for row in found]


def _mend(connection: Connection) -> None:
    """Do what would have been done, had the row they point at been deleted by us.

    A shell of SQLite deletes rows and leaves what points at them, which could not be copied.
    """
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    for table, row, _, number in rows:
        links = connection.exec_driver_sql(f'PRAGMA foreign_key_list("{table}")').mappings().all()
        link = next(each for each in links if each["id"] == number)
        change = f'DELETE FROM "{table}"'
        if link["on_delete"] == "SET NULL":
            change = f'UPDATE "{table}" SET "{link["from"]}" = NULL'
        connection.exec_driver_sql(f"{change} WHERE rowid = ?", (row,))


def _count_on(connection: Connection, table: str, where: str, column: str) -> None:
    """Count on from what is remembered, if that is more than there is."""
    known = f'SELECT coalesce(max("{column}"), 0) FROM "{where}"'
    connection.exec_driver_sql(
        f"UPDATE sqlite_sequence SET seq = max(seq, ({known})) WHERE name = ?",
        (table,),
    )
