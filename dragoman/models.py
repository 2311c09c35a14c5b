"""What a person may do with the versions that nights made."""

import asyncio
from pathlib import Path

import structlog

from core.adapters.canaries import Canaries
from core.adapters.canary_tallies import CanaryTallies, Tallies
from core.adapters.database import Database
from core.adapters.erasures import Erasures
from core.adapters.in_service import ROLLED_BACK, InService
from core.adapters.sealing import check
from core.adapters.versions import Version, Versions, base_name
from core.canary import Canary
from core.errors import Rejected, Unavailable
from core.nights import VersionKind, VersionState, version_folder
from core.staff import AccountId
from core.turn import WorkspaceId
from retrieval.knowledge import silent
from retrieval.opening import Retrieval
from retrieval.writing import Progress

# Whoever stops a desk does not wait for an index of thousands of articles.
STOP_S = 10.0
_MAY_SERVE = (VersionState.READY, VersionState.CANARY, VersionState.RETIRED)

log = structlog.get_logger()


class Models:
    """The versions of every workspace; each change says who decided it."""

    def __init__(
        self, database: Database, retrieval: Retrieval, data_dir: Path, *, key: str
    ) -> None:
        """Change what is served; `key` is what versions were signed with."""
        self._retrieval = retrieval
        self._data_dir = data_dir
        self._key = key
        self._versions = Versions(database)
        self._service = InService(database)
        self._canaries = Canaries(database)
        self._tallies = CanaryTallies(database)
        self._erasures = Erasures(database, key.encode(), data_dir)
        self._behind: set[asyncio.Task[None]] = set()

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

    async def trial(self, workspace: WorkspaceId, name: str) -> tuple[Canary, Tallies] | None:
        """How a version does as a canary; None if it is none.

        Raises: Unavailable: the database does not answer.
        """
        for canary in await self._canaries.running(workspace):
            if canary.name == name:
                return canary, await self._tallies.of(canary)
        return None

    async def promote(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        account: AccountId | None = None,
        progress: Progress = silent,
    ) -> Version:
        """Put a version into service that waits for it, or was there; build its index first.

        A canary is over by that, the version itself or another one.

        Raises:
            Rejected: it may not serve, or cannot.
            Unavailable: database or disk do not serve; nothing was changed.
        """
        await self._settle(workspace)
        version = await self.get(workspace, name)
        if version.state not in _MAY_SERVE:
            raise Rejected(
                f"{name} is {version.state}: only what is ready, canary or retired can be promoted"
            )
        if version.kind is VersionKind.ENCODER:
            succession = self._retrieval.succession
            await succession.publish(workspace, name, progress=progress, account=account)
        else:
            await self._check(workspace, version)
            live = (await self._service.live(workspace, version.kind)).name
            await self._service.publish(workspace, name, instead_of=live, account=account)
        await self._settle(workspace)
        return await self.get(workspace, name)

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId
    ) -> None:
        """Decide that a version never serves, or that a canary is over.

        Raises: Rejected: it is decided already.
        """
        kind = (await self.get(workspace, name)).kind
        if await self._versions.refuse(workspace, name, reason, account=account):
            return
        ended = self._canaries.withdraw(workspace, kind, reason, name=name, account=account)
        if not await ended:
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

        Without a name the first step back is to end a canary, which then is retired.

        Raises:
            Rejected: there is nothing to go back to, or its files are damaged or gone.
            Unavailable: database or disk do not serve; nothing was changed.
        """
        await self._settle(workspace)
        if to:
            kind = (await self.get(workspace, to)).kind
        elif ended := await self._canaries.withdraw(workspace, kind, ROLLED_BACK, account=account):
            return await self.get(workspace, ended)
        to = to or await self._before(workspace, kind)
        if kind is VersionKind.ENCODER:
            await self._retrieval.succession.roll_back(workspace, to, account=account)
        else:
            await self._model_back(workspace, to, account)
        await self._settle(workspace)
        return await self.get(workspace, (await self._service.live(workspace, kind)).name)

    async def catch_up(self, workspace: WorkspaceId, progress: Progress = silent) -> bool:
        """After a rollback, index what was added since; False if there was nothing to do.

        Raises: Unavailable: database, encoder or disk do not serve.
        """
        return await self._retrieval.knowledge.catch_up(workspace, progress)

    def catch_up_behind(self, workspace: WorkspaceId) -> None:
        """Do that while the caller goes on; `close` waits for it, but not for long."""
        task = asyncio.create_task(self._catch_up(workspace))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def close(self) -> None:
        """Wait for what is under way; after `STOP_S` the next start has to do it."""
        behind = list(self._behind)
        if behind:
            await asyncio.wait(behind, timeout=STOP_S)
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)

    async def _catch_up(self, workspace: WorkspaceId) -> None:
        try:
            await self.catch_up(workspace)
        except Unavailable as error:
            log.warning("index_not_caught_up", workspace=workspace, reason=str(error))
        except Exception:
            # Nobody asks this task for its end.
            log.exception("index_not_caught_up", workspace=workspace)

    async def _settle(self, workspace: WorkspaceId) -> None:
        """Forget what had seen somebody who was erased, and serves no longer.

        A file that cannot be deleted keeps nobody from going back.
        """
        try:
            await self._erasures.settle(workspace)
        except Unavailable as error:
            # The next change, and each night, does it again.
            log.warning("erasures_not_settled", workspace=workspace, reason=str(error))

    async def _before(self, workspace: WorkspaceId, kind: VersionKind) -> str:
        """What served before, or before that: the first that is still there; empty for none."""
        name = (await self._service.live(workspace, kind)).previous or ""
        while name and name != base_name(kind):
            version = await self._versions.get(workspace, name)
            if version is None or self._is_there(workspace, version):
                break
            name = version.parent or base_name(kind)
        return name

    def _is_there(self, workspace: WorkspaceId, version: Version) -> bool:
        indexed = version.index is not None or version.kind is not VersionKind.ENCODER
        folder = version_folder(self._data_dir, workspace, version.name)
        return version.state is VersionState.RETIRED and indexed and folder.is_dir()

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
        folder = version_folder(self._data_dir, workspace, version.name)
        await asyncio.to_thread(check, folder, version.manifest, workspace=workspace, key=self._key)
