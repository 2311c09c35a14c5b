"""INSERT … ON CONFLICT, spelt alike for SQLite and PostgreSQL."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: Mapping[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_into(connection: Connection, table: Table) -> Any:
    """The dialect's own insert, which knows `on_conflict_do_nothing` and `…_do_update`."""
    return _INSERTS[connection.dialect.name](table)


def for_each_dialect(build: Callable[[Callable[[Table], Any]], Any]) -> Mapping[str, Any]:
    """The statement that `build` makes from an insert, by the name of the dialect."""
    return {name: build(insert) for name, insert in _INSERTS.items()}
