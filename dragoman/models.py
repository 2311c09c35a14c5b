"""What a person may do with the versions that nights made."""

import asyncio
from dataclasses import dataclass

from core.adapters.in_service import InService
from core.adapters.nights import SqlNights
from core.adapters.pointers import Pointer
from core.adapters.sealing import check
from core.adapters.versions import Version, Versions, base_name
from core.errors import Rejected
from core.nights import Night, VersionKind, VersionState, version_folder
from core.staff import AccountId
from core.turn import WorkspaceId
from dragoman.composition import Core
from retrieval.knowledge import silent
from retrieval.writing import Progress

_MAY_SERVE = (VersionState.READY, VersionState.RETIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The versions and nights of a workspace, newest first, and what serves now, by kind."""

    versions: tuple[Version, ...]
    nights: tuple[Night, ...]
    live: dict[VersionKind, Pointer]


class Models:
    """The versions of every workspace; each change says who decided it."""

    def __init__(self, core: Core) -> None:
        """Change what the parts of `core` serve."""
        self._core = core
        self._versions = Versions(core.database)
        self._service = InService(core.database)

    async def history(self, workspace: WorkspaceId) -> History:
        """Everything that there is to tell."""
        return History(
            versions=await self._versions.list(workspace),
            nights=await SqlNights(self._core.database).list(workspace),
            live={kind: await self._service.live(workspace, kind) for kind in VersionKind},
        )

    async def get(self, workspace: WorkspaceId, name: str) -> Version:
        """Raises: Rejected: no version is called so."""
        version = await self._versions.get(workspace, name)
        if version is None:
            raise Rejected(f"no version is called {name}; see `dragoman models list`")
        return version

    async def fault(self, workspace: WorkspaceId, version: Version) -> str:
        """What is wrong with its files, in a line; empty where nothing is."""
        if version.ships:
            return ""
        try:
            await self._check(workspace, version)
        except Rejected as error:
            return str(error)
        return ""

    async def promote(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        account: AccountId | None = None,
        progress: Progress = silent,
    ) -> Version:
        """Put a version into service that waits for it, or was there; build its index first.

        Raises:
            Rejected: it may not serve, or cannot.
            Unavailable: database or disk do not serve; nothing was changed.
        """
        version = await self.get(workspace, name)
        if version.state not in _MAY_SERVE:
            raise Rejected(
                f"{name} is {version.state}: only what is ready or retired can be promoted"
            )
        if version.kind is VersionKind.ENCODER:
            succession = self._core.retrieval.succession
            await succession.publish(workspace, name, progress=progress, account=account)
        else:
            await self._check(workspace, version)
            live = (await self._service.live(workspace, version.kind)).name
            await self._service.publish(workspace, name, instead_of=live, account=account)
        return await self.get(workspace, name)

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId
    ) -> None:
        """Decide that a version never serves.

        Raises: Rejected: it is decided already.
        """
        await self.get(workspace, name)
        if not await self._versions.refuse(workspace, name, reason, account=account):
            raise Rejected(f"{name} is decided already")

    async def roll_back(
        self,
        workspace: WorkspaceId,
        *,
        kind: VersionKind = VersionKind.ENCODER,
        to: str = "",
        account: AccountId | None = None,
    ) -> Version:
        """Serve what did before, or a retired version by name; nothing is built.

        Raises: Rejected: there is nothing to go back to, or its files are damaged or gone.
        """
        if to:
            kind = (await self.get(workspace, to)).kind
        if kind is VersionKind.ENCODER:
            await self._core.retrieval.succession.roll_back(workspace, to, account=account)
        else:
            await self._model_back(workspace, to, account)
        return await self.get(workspace, (await self._service.live(workspace, kind)).name)

    async def catch_up(self, workspace: WorkspaceId, progress: Progress = silent) -> bool:
        """After a rollback, index what was added since; False if there was nothing to do.

        Raises: Unavailable: database, encoder or disk do not serve.
        """
        return await self._core.retrieval.knowledge.catch_up(workspace, progress)

    async def _model_back(self, workspace: WorkspaceId, to: str, account: AccountId | None) -> None:
        kind = VersionKind.DIALOGUE
        target = to or (await self._service.live(workspace, kind)).previous
        if not target:
            raise Rejected("there is no dialogue model to roll back to")
        version = await self.get(workspace, target)
        if version.state is VersionState.RETIRED:
            await self._check(workspace, version)
        await self._service.roll_back(workspace, kind, to=target, account=account)

    async def _check(self, workspace: WorkspaceId, version: Version) -> None:
        if version.ships:
            return
        settings = self._core.settings
        folder = version_folder(settings.data_dir, workspace, version.name)
        key = settings.sealing_key().decode()
        await asyncio.to_thread(check, folder, version.manifest, workspace=workspace, key=key)


def serves(history: History, version: Version) -> bool:
    """Whether it is in service now."""
    return history.live[version.kind].name == version.name


def before(history: History, kind: VersionKind) -> str | None:
    """What a rollback without a name would serve; None if there is nothing."""
    live = history.live[kind]
    return live.previous if live.name != base_name(kind) else None
