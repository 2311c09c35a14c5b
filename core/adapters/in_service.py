"""Which version is in service: one transaction moves a model's pointer with its index's.

Rows are locked in this order, so that nobody waits for whoever waits for them: the model's pointer,
the index's, the canary, the versions.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update

from core.adapters.canaries import begin, dismiss, take
from core.adapters.database import Database, Now
from core.adapters.pointers import INDEX, Pointer, locked, move, pointed
from core.adapters.sealing import Manifest
from core.adapters.tables import model_versions
from core.adapters.upsert import insert_into
from core.adapters.versions import Version, base_name, end_wait, found, named
from core.canary import WORSE, Canary
from core.errors import Rejected
from core.nights import VersionKind, VersionState
from core.staff import AccountId
from core.turn import WorkspaceId

_NO_FILES = Manifest(files={}, signature="").to_json()
ROLLED_BACK = "rolled back"
_SERVES = (VersionState.LIVE, VersionState.CANARY)


class Flip(StrEnum):
    """What became of a wish to put a version into service."""

    DONE = "done"
    INDEX_MOVED = "index_moved"
    """Articles changed meanwhile: build the index once more."""
    VERSION_MOVED = "version_moved"
    """Another version is in service than the one that this was to replace."""


class _Undo(Exception):
    """Ends a transaction with nothing changed."""

    def __init__(self, flip: Flip) -> None:
        self.flip = flip


class InService:
    """Puts versions into service and back; workspaces are walls."""

    def __init__(self, database: Database) -> None:
        """Move the pointers in `database`."""
        self._database = database

    async def live(self, workspace: WorkspaceId, kind: VersionKind) -> Pointer:
        """What serves now, and what did before; the one that ships where nothing was published."""
        wanted = pointed(workspace, kind)
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            return Pointer(name=base_name(kind), previous=None)
        return Pointer(name=row.name, previous=row.previous)

    async def sent_back(self, workspace: WorkspaceId, kind: VersionKind) -> str:
        """Which version was sent back, and why; empty where none was, or a newer one serves since.

        What the next night makes is nearly the same again. A canary that served nobody, or gave way
        to another version, has shown nothing.
        """
        why, served = model_versions.c.reason, model_versions.c.state.in_(_SERVES)
        retired = model_versions.c.state == VersionState.RETIRED
        by_a_person = model_versions.c.account_id.is_not(None)
        worse = why.startswith(WORSE, autoescape=True)
        wanted = (
            select(model_versions.c.name, why)
            .where(
                model_versions.c.workspace == workspace,
                model_versions.c.kind == kind,
                model_versions.c.name != base_name(kind),
                served | retired & (why.is_(None) | (why == ROLLED_BACK) | worse | by_a_person),
            )
            .order_by(model_versions.c.created_at.desc(), model_versions.c.id.desc())
            .limit(1)
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return f"{row.name} is retired ({row.reason})" if row and row.reason else ""

    async def publish(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        instead_of: str,
        index: str | None = None,
        index_before: str | None = None,
        account: AccountId | None = None,
    ) -> Flip:
        """Put a version into service, an encoder together with the `index` built with it.

        Raises: Rejected: there is no such version, or it may not serve.
        """

        def work(connection: Connection) -> Flip:
            version = _servable(found(connection, workspace, name), name)
            now = locked(connection, workspace, version.kind)
            live = now.name if now else base_name(version.kind)
            if live == name:
                return Flip.DONE
            if live != instead_of:
                return Flip.VERSION_MOVED
            if not move(
                connection, workspace, version.kind, name, instead_of=_at(now), previous=live
            ):
                return Flip.VERSION_MOVED
            if index is not None and not move(
                connection, workspace, INDEX, index, instead_of=index_before, previous=index_before
            ):
                raise _Undo(Flip.INDEX_MOVED)
            _end_canary(connection, workspace, version)
            back = ROLLED_BACK if _is_older(connection, workspace, name, live) else None
            _retire(connection, workspace, version.kind, live, index_before, reason=back)
            _serve(connection, workspace, version, index, account)
            return Flip.DONE

        return await self._undoing(work)

    async def try_out(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        share: float,
        instead_of: str,
        index: str,
        index_before: str,
    ) -> Flip:
        """Let a version serve a share of the conversations, in place of any other canary.

        Raises: Rejected: there is no such version, or it may not serve.
        """

        def work(connection: Connection) -> Flip:
            version = _servable(found(connection, workspace, name), name)
            live = _at(locked(connection, workspace, version.kind)) or base_name(version.kind)
            if live != instead_of:
                return Flip.VERSION_MOVED
            # Whoever changes articles waits here, and then sees the canary.
            if _at(locked(connection, workspace, INDEX)) != index_before:
                return Flip.INDEX_MOVED
            begin(connection, workspace, version.kind, name, share)
            tried = {"state": VersionState.CANARY, "index_name": index, "reason": None}
            # Whom it learnt from may be erased at this moment.
            stands = named(workspace, name), model_versions.c.state == version.state
            if not connection.execute(
                update(model_versions).where(*stands).values(**tried)
            ).rowcount:
                raise _Undo(Flip.VERSION_MOVED)
            return Flip.DONE

        return await self._undoing(work)

    async def graduate(self, canary: Canary) -> bool:
        """Put a canary into service for everyone, with the index that has been kept for it.

        Returns: False if another process looked at it or ended it meanwhile.
        """
        workspace, kind, name = canary.workspace, canary.kind, canary.name

        def work(connection: Connection) -> Flip:
            now = locked(connection, workspace, kind)
            live = now.name if now else base_name(kind)
            left = _at(locked(connection, workspace, INDEX))
            version = found(connection, workspace, name)
            if version is None or version.state is not VersionState.CANARY:
                return Flip.VERSION_MOVED
            if version.index is None or not take(connection, canary):
                return Flip.VERSION_MOVED
            if not move(connection, workspace, kind, name, instead_of=_at(now), previous=live):
                raise _Undo(Flip.VERSION_MOVED)
            move(connection, workspace, INDEX, version.index, instead_of=left, previous=left)
            _retire(connection, workspace, kind, live, left)
            _serve(connection, workspace, version, version.index, None)
            return Flip.DONE

        return await self._undoing(work) is Flip.DONE

    async def roll_back(
        self,
        workspace: WorkspaceId,
        kind: VersionKind,
        *,
        to: str,
        account: AccountId | None = None,
    ) -> Version:
        """Put a version that was in service back there, an encoder with its last index.

        Raises: Rejected: it never was in service, serves already, or its index is gone.
        """

        def work(connection: Connection) -> Version:
            version = found(connection, workspace, to)
            now = locked(connection, workspace, kind)
            if version is None or now is None or version.kind is not kind:
                raise Rejected(f"no {kind} version is called {to}")
            if version.state is not VersionState.RETIRED:
                raise Rejected(f"{to} is {version.state}: only what was in service can be again")
            # From there on, back is what was before it.
            before = None if version.ships else version.parent or base_name(kind)
            move(connection, workspace, kind, to, instead_of=now.name, previous=before)
            left = None
            if kind is VersionKind.ENCODER:
                left = _index_back(connection, workspace, version)
            _end_canary(connection, workspace, version)
            _retire(connection, workspace, kind, now.name, left, reason=ROLLED_BACK)
            _serve(connection, workspace, version, version.index, account)
            return version

        return await self._database.write(work)

    async def _undoing(self, work: Any) -> Flip:
        try:
            flip: Flip = await self._database.write(work)
        except _Undo as undo:
            return undo.flip
        return flip


def _servable(version: Version | None, name: str) -> Version:
    if version is None:
        raise Rejected(f"no version is called {name}")
    if version.state is VersionState.REFUSED:
        raise Rejected(f"{name} was refused: {version.reason}")
    return version


def _is_older(connection: Connection, workspace: WorkspaceId, name: str, than: str) -> bool:
    """Whether to put a version into service is to go back; the one that ships is the oldest."""
    both = model_versions.c.workspace == workspace, model_versions.c.name.in_((name, than))
    by_age = select(model_versions.c.name).where(*both)
    ordered = by_age.order_by(model_versions.c.created_at, model_versions.c.id)
    return list(connection.scalars(ordered)) == [name, than]


def _end_canary(connection: Connection, workspace: WorkspaceId, version: Version) -> None:
    """What it was held against no longer serves, or it is the canary itself that does now."""
    dismiss(connection, workspace, version.kind, f"{version.name} was put into service")


def _at(pointer: Pointer | None) -> str | None:
    return pointer.name if pointer else None


def _index_back(connection: Connection, workspace: WorkspaceId, version: Version) -> str | None:
    """Point to the index that a version left behind; the one that it takes the place of."""
    if version.index is None:
        raise Rejected(f"{version.name}: its index is no longer there")
    left = _at(locked(connection, workspace, INDEX))
    move(connection, workspace, INDEX, version.index, instead_of=left, previous=left)
    return left


def _retire(
    connection: Connection,
    workspace: WorkspaceId,
    kind: VersionKind,
    name: str,
    index: str | None,
    *,
    reason: str | None = None,
) -> None:
    """Take a version out of service and keep the newest index that was built with it."""
    if name == base_name(kind):
        ships = insert_into(connection, model_versions).values(
            workspace=workspace,
            kind=kind,
            name=name,
            manifest=_NO_FILES,
            data_sha256="",
            code_version="",
            # It was there before everything that a night made.
            created_at=0,
        )
        connection.execute(ships.on_conflict_do_nothing())
    left = {"state": VersionState.RETIRED, "index_name": index, "reason": reason}
    connection.execute(update(model_versions).where(named(workspace, name)).values(**left))


def _serve(
    connection: Connection,
    workspace: WorkspaceId,
    version: Version,
    index: str | None,
    account: AccountId | None,
) -> None:
    serving = (
        update(model_versions)
        # Somebody from whom it had learnt may be erased at this moment.
        .where(named(workspace, version.name), model_versions.c.state != VersionState.REFUSED)
        .values(
            state=VersionState.LIVE,
            index_name=index,
            reason=None,
            decided_at=Now(),
            account_id=account,
        )
        .returning(model_versions.c.night_id)
    )
    row = connection.execute(serving).first()
    if row is None:
        raise Rejected(f"{version.name} was refused meanwhile")
    end_wait(connection, row.night_id)
