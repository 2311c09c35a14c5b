"""Which snapshot of an index or of a model a workspace is served from."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from core.adapters.database import Now
from core.adapters.tables import pointers
from core.adapters.upsert import insert_into
from core.turn import WorkspaceId

INDEX = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What is in service, and what was before it."""

    name: str
    previous: str | None


def pointed(workspace: WorkspaceId, *kinds: str) -> Any:
    """The statement that reads these pointers, as rows of kind, name and previous."""
    columns = (pointers.c.kind, pointers.c.name, pointers.c.previous)
    return select(*columns).where(pointers.c.workspace == workspace, pointers.c.kind.in_(kinds))


def locked(connection: Connection, workspace: WorkspaceId, kind: str) -> Pointer | None:
    """A pointer, which nobody else moves before this transaction ends."""
    row = connection.execute(pointed(workspace, kind).with_for_update()).first()
    return Pointer(name=row.name, previous=row.previous) if row else None


def move(
    connection: Connection,
    workspace: WorkspaceId,
    kind: str,
    name: str,
    *,
    instead_of: str | None,
    previous: str | None,
) -> bool:
    """Point to another name; False, with nothing changed, if it is no longer at `instead_of`."""
    values = {"name": name, "previous": previous, "flipped_at": Now()}
    statement: Any
    if instead_of is None:
        first = insert_into(connection, pointers).values(workspace=workspace, kind=kind, **values)
        statement = first.on_conflict_do_nothing()
    else:
        at = pointers.c.name == instead_of
        statement = update(pointers).values(**values).where(_of(workspace, kind), at)
    return connection.execute(statement.returning(pointers.c.name)).first() is not None


def _of(workspace: WorkspaceId, kind: str) -> ColumnElement[bool]:
    return and_(pointers.c.workspace == workspace, pointers.c.kind == kind)
