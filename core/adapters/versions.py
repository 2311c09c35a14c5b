"""The versions that nights made, as rows: each names a folder that is never changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from core.adapters.database import Database, Now
from core.adapters.sealing import Manifest
from core.adapters.tables import accounts, model_versions, nights
from core.adapters.upsert import insert_into
from core.errors import Rejected
from core.nights import NightState, VersionKind, VersionState
from core.staff import AccountId
from core.turn import WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version as the night that made it presents it."""

    kind: VersionKind
    name: str
    slot: str
    parent: str | None
    manifest: Manifest
    data_sha256: str
    code_version: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version; `index` was built with it, `slot` is its night, `account` who decided.

    The one that ships has a row of its own, without files, once another was in service.
    """

    name: str
    kind: VersionKind
    state: VersionState
    parent: str | None
    reason: str
    manifest: Manifest
    data_sha256: str
    code_version: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    index: str | None
    created_at: float
    decided_at: float | None
    slot: str | None
    account: str | None

    @property
    def ships(self) -> bool:
        """Whether it is the one of the settings, which no night made."""
        return self.name == base_name(self.kind)


def base_name(kind: VersionKind) -> str:
    """What the encoder or model of the settings is called among the versions."""
    return f"{kind}-base"


class Versions:
    """The registry; workspaces are walls."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, workspace: WorkspaceId, made: Made) -> Version:
        """Register a candidate; one that is there already must be the very same.

        Raises: Rejected: another set of files has this name.
        """

        def work(connection: Connection) -> Version:
            insert = insert_into(connection, model_versions).values(
                workspace=workspace,
                kind=made.kind,
                name=made.name,
                parent=made.parent,
                night_id=_night(workspace, made.slot),
                manifest=made.manifest.to_json(),
                data_sha256=made.data_sha256,
                code_version=made.code_version,
                metrics=json.dumps(made.metrics, ensure_ascii=False),
                created_at=Now(),
            )
            connection.execute(insert.on_conflict_do_nothing())
            row = connection.execute(_SELECT.where(named(workspace, made.name))).one()
            version = _version(row)
            if version.manifest != made.manifest:
                raise Rejected(f"{made.name}: its files were changed after they were sealed")
            return version

        return await self._database.write(work)

    async def get(self, workspace: WorkspaceId, name: str) -> Version | None:
        """One version; None if there is none of that name."""
        wanted = _SELECT.where(named(workspace, name))
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return _version(row) if row else None

    async def list(self, workspace: WorkspaceId) -> tuple[Version, ...]:
        """All of them, the newest first."""
        wanted = _SELECT.where(model_versions.c.workspace == workspace)
        ordered = wanted.order_by(model_versions.c.created_at.desc(), model_versions.c.id.desc())
        rows = await self._database.read(lambda connection: connection.execute(ordered).all())
        return tuple(_version(row) for row in rows)

    async def built(self, workspace: WorkspaceId, name: str, index: str) -> None:
        """Note the index that was built with a version which is not in service yet."""
        await self._change(workspace, name, _UNDECIDED, index_name=index)

    async def ready(self, workspace: WorkspaceId, name: str) -> None:
        """It passed the gate, and waits for a person, in place of any other of its kind."""
        waits = (
            update(model_versions)
            .where(named(workspace, name), model_versions.c.state == VersionState.CANDIDATE)
            .values(state=VersionState.READY)
            .returning(model_versions.c.kind)
        )

        def work(connection: Connection) -> None:
            kind = connection.scalar(waits)
            if kind is not None:
                _supersede(connection, workspace, VersionKind(kind), name)

        await self._database.write(work)

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId | None = None
    ) -> bool:
        """It never goes into service; False if somebody has put it there, or refused it before."""
        return await self._change(
            workspace,
            name,
            _UNDECIDED,
            state=VersionState.REFUSED,
            reason=reason,
            account_id=account,
            decided_at=Now(),
        )

    async def forget_files(self, workspace: WorkspaceId, names: Sequence[str]) -> None:
        """Note that folders are deleted: these versions can never serve again."""
        gone = update(model_versions).where(
            model_versions.c.workspace == workspace, model_versions.c.name.in_(list(names))
        )
        await self._database.write(lambda c: c.execute(gone.values(index_name=None)))

    async def _change(
        self,
        workspace: WorkspaceId,
        name: str,
        of: Sequence[VersionState],
        **values: Any,
    ) -> bool:
        """Change a version that is in one of these states, and the night that waits for it."""
        change = (
            update(model_versions)
            .where(named(workspace, name), model_versions.c.state.in_(of))
            .values(**values)
            .returning(model_versions.c.night_id)
        )

        def work(connection: Connection) -> bool:
            row = connection.execute(change).first()
            if row is not None and values.get("state") is VersionState.REFUSED:
                end_wait(connection, row.night_id)
            return row is not None

        return await self._database.write(work)


def named(workspace: WorkspaceId, name: str) -> ColumnElement[bool]:
    """The one version of that name."""
    return and_(model_versions.c.workspace == workspace, model_versions.c.name == name)


def refuse_candidates(connection: Connection, night: int, reason: str) -> None:
    """See that nothing serves which its night, ending now, left without a decision."""
    left = model_versions.c.night_id == night, model_versions.c.state == VersionState.CANDIDATE
    refused = {"state": VersionState.REFUSED, "reason": reason or None, "decided_at": Now()}
    connection.execute(update(model_versions).where(*left).values(**refused))


def _supersede(
    connection: Connection, workspace: WorkspaceId, kind: VersionKind, name: str
) -> None:
    """Let no version wait any longer for which a newer one does."""
    older = (
        update(model_versions)
        .where(
            model_versions.c.workspace == workspace,
            model_versions.c.kind == kind,
            model_versions.c.name != name,
            model_versions.c.state == VersionState.READY,
        )
        .values(state=VersionState.REFUSED, reason=f"{name} took its place", decided_at=Now())
        .returning(model_versions.c.night_id)
    )
    for night in connection.scalars(older).all():
        end_wait(connection, night)


def end_wait(connection: Connection, night: int | None) -> None:
    """End the wait of a night once a person has decided on each of its versions."""
    waiting = nights.c.id == night, nights.c.state == NightState.WAITING
    # Whoever decides on another one at this moment sees what was decided here, or is seen here.
    if connection.scalar(select(nights.c.id).where(*waiting).with_for_update()) is None:
        return
    of_night = select(model_versions.c.state, model_versions.c.reason)
    decided = connection.execute(of_night.where(model_versions.c.night_id == night)).all()
    states = {row.state for row in decided}
    if not states or not states.isdisjoint(_UNDECIDED):
        return
    refused = states == {VersionState.REFUSED}
    why = next((row.reason for row in decided if row.reason), None) if refused else None
    state = NightState.REFUSED if refused else NightState.PUBLISHED
    ended = update(nights).where(*waiting)
    connection.execute(ended.values(state=state, reason=why, ended_at=Now(), due_at=None))


def found(connection: Connection, workspace: WorkspaceId, name: str) -> Version | None:
    """`Versions.get` inside a transaction."""
    row = connection.execute(_SELECT.where(named(workspace, name))).first()
    return _version(row) if row else None


def _night(workspace: WorkspaceId, slot: str) -> Any:
    mine = nights.c.workspace == workspace, nights.c.slot == slot
    return select(nights.c.id).where(*mine).scalar_subquery()


def _version(row: Row[Any]) -> Version:
    return Version(
        name=row.name,
        kind=VersionKind(row.kind),
        state=VersionState(row.state),
        parent=row.parent,
        reason=row.reason or "",
        manifest=Manifest.from_json(row.manifest),
        data_sha256=row.data_sha256,
        code_version=row.code_version,
        metrics=json.loads(row.metrics),
        index=row.index_name,
        created_at=row.created_at,
        decided_at=row.decided_at,
        slot=row.slot,
        account=row.account,
    )


_UNDECIDED = (VersionState.CANDIDATE, VersionState.READY)
_SELECT = select(model_versions, nights.c.slot, accounts.c.name.label("account")).select_from(
    model_versions.outerjoin(nights, nights.c.id == model_versions.c.night_id).outerjoin(
        accounts, accounts.c.id == model_versions.c.account_id
    )
)
