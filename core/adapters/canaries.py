"""Which version is on trial in a workspace, beside the one in service."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from core.adapters.database import Database, Now
from core.adapters.tables import canaries, messages, model_versions
from core.adapters.upsert import insert_into
from core.canary import Canary
from core.nights import VersionKind, VersionState
from core.staff import AccountId
from core.turn import WorkspaceId

_INDEX = model_versions.c.index_name.label("canary_index")
CANARY = (*(column.label(f"canary_{column.name}") for column in canaries.c), _INDEX)
"""The columns of a row that `canary_of` reads."""
VERSION = and_(
    model_versions.c.workspace == canaries.c.workspace,
    model_versions.c.name == canaries.c.name,
    model_versions.c.state == VersionState.CANARY,
)
"""How a canary is joined with its version; one that was withdrawn meanwhile has none."""


class Canaries:
    """The canaries of every workspace."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def running(self, workspace: WorkspaceId | None = None) -> tuple[Canary, ...]:
        """Those of a workspace, or of all.

        Raises: Unavailable: the database does not answer.
        """
        wanted = select(*CANARY).join_from(canaries, model_versions, VERSION)
        if workspace is not None:
            wanted = wanted.where(canaries.c.workspace == workspace)
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return tuple(canary_of(row) for row in rows)

    async def looked(self, canary: Canary, looks: int) -> bool:
        """Note a look that decided nothing; False if another process took it, or ended it.

        Raises: Unavailable: the database does not answer.
        """
        noted = update(canaries).where(_this(canary)).values(looks=looks)
        return await self._database.write(lambda c: c.execute(noted).rowcount > 0)

    async def end(self, canary: Canary, reason: str) -> bool:
        """Retire it; False if it was looked at meanwhile, or has ended.

        Raises: Unavailable: the database does not answer.
        """

        def work(connection: Connection) -> bool:
            taken = take(connection, canary)
            if taken:
                _retire(connection, canary.workspace, canary.name, reason)
            return taken

        return await self._database.write(work)

    async def withdraw(
        self,
        workspace: WorkspaceId,
        kind: VersionKind,
        reason: str,
        *,
        name: str | None = None,
        account: AccountId | None,
    ) -> str | None:
        """Retire what is on trial if it is of that `name`, or whatever is; its name, or None.

        Raises: Unavailable: the database does not answer.
        """
        return await self._database.write(
            lambda c: dismiss(c, workspace, kind, reason, name=name, account=account)
        )


def canary_of(row: Any) -> Canary:
    """What a row with the columns `CANARY` holds."""
    return Canary(
        workspace=WorkspaceId(row.canary_workspace),
        kind=VersionKind(row.canary_kind),
        name=row.canary_name,
        index=row.canary_index,
        share=row.canary_share,
        since=row.canary_since,
        after=row.canary_after_message,
        looks=row.canary_looks,
    )


def begin(
    connection: Connection, workspace: WorkspaceId, kind: VersionKind, name: str, share: float
) -> None:
    """Put a version on trial in place of any other."""
    dismiss(connection, workspace, kind, f"{name} took its place as the canary")
    newest = select(func.coalesce(func.max(messages.c.id), 0)).scalar_subquery()
    row = {"workspace": workspace, "kind": kind, "name": name, "share": share}
    first = insert_into(connection, canaries).values(**row, since=Now(), after_message=newest)
    connection.execute(first.on_conflict_do_nothing())


def dismiss(
    connection: Connection,
    workspace: WorkspaceId,
    kind: VersionKind,
    reason: str,
    *,
    name: str | None = None,
    account: AccountId | None = None,
) -> str | None:
    """End what is on trial if it is of that `name`, or whatever is; its name, or None."""
    ended = delete(canaries).where(canaries.c.workspace == workspace, canaries.c.kind == kind)
    if name is not None:
        ended = ended.where(canaries.c.name == name)
    gone: str | None = connection.scalar(ended.returning(canaries.c.name))
    if gone is not None:
        _retire(connection, workspace, gone, reason, account)
    return gone


def take(connection: Connection, canary: Canary) -> bool:
    """Remove the row of a canary as it was last read; False if it changed."""
    return connection.execute(delete(canaries).where(_this(canary))).rowcount > 0


def keep_in_step(
    connection: Connection, workspace: WorkspaceId, canary: Canary | None, index: str | None
) -> bool:
    """Give a canary a newer index; False if another one, or none, is on trial by now."""
    kind = VersionKind.ENCODER
    wanted = select(*CANARY).join_from(canaries, model_versions, VERSION)
    mine = wanted.where(canaries.c.workspace == workspace, canaries.c.kind == kind)
    row = connection.execute(mine).first()
    if row is None or canary is None:
        return row is None and canary is None
    if (row.canary_name, row.canary_index) != (canary.name, canary.index) or index is None:
        return False
    newer = update(model_versions).where(_tried(workspace, canary.name))
    connection.execute(newer.values(index_name=index))
    return True


def _retire(
    connection: Connection,
    workspace: WorkspaceId,
    name: str,
    reason: str,
    account: AccountId | None = None,
) -> None:
    """One that was withdrawn meanwhile stays so."""
    values = {"reason": reason, "decided_at": Now(), "account_id": account}
    retired = update(model_versions).where(_tried(workspace, name))
    connection.execute(retired.values(state=VersionState.RETIRED, **values))


def _tried(workspace: WorkspaceId, name: str) -> ColumnElement[bool]:
    mine = model_versions.c.workspace == workspace, model_versions.c.name == name
    return and_(*mine, model_versions.c.state == VersionState.CANARY)


def _this(canary: Canary) -> ColumnElement[bool]:
    return and_(
        canaries.c.workspace == canary.workspace,
        canaries.c.kind == canary.kind,
        canaries.c.name == canary.name,
        canaries.c.looks == canary.looks,
    )
