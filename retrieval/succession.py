"""An encoder goes into service together with the index that it builds, and back out with it."""

import asyncio

import structlog

from core import crashpoints
from core.adapters.documents import Documents
from core.adapters.in_service import Flip, InService
from core.adapters.versions import Version, Versions
from core.errors import Rejected, Unavailable
from core.nights import VersionKind, VersionState
from core.staff import AccountId
from core.turn import WorkspaceId
from retrieval.assembling import Assembler
from retrieval.building import Memory
from retrieval.encoders import BASE, EncoderRefused, Encoders, Fitted, agree
from retrieval.pairs import pair_of
from retrieval.shelf import Shelf
from retrieval.snapshot import SnapshotRefused
from retrieval.writing import Progress

MAX_ROUNDS = 20
ENCODER = VersionKind.ENCODER

log = structlog.get_logger()


class Succession:
    """Changes the encoder of a workspace while it is being searched."""

    def __init__(
        self,
        *,
        documents: Documents,
        versions: Versions,
        service: InService,
        encoders: Encoders,
        assembler: Assembler,
        shelf: Shelf,
    ) -> None:
        """Take the parts that `retrieval.opening` puts together."""
        self._documents = documents
        self._versions = versions
        self._service = service
        self._encoders = encoders
        self._assembler = assembler
        self._shelf = shelf

    async def prepare(self, workspace: WorkspaceId, name: str, progress: Progress) -> None:
        """Prove a version, and build the index with which it can go into service.

        Raises:
            Rejected: its files are not what was sealed, or it does not encode.
            Unavailable: database or disk do not serve; the same call goes on.
        """
        version = await self._version(workspace, name)
        fitted = await self._opened(workspace, name)
        memory = Memory()
        if version.index is not None:
            await self._assembler.learn(workspace, version.index, fitted, memory)
        index = await self._build(workspace, fitted, memory, progress)
        await self._versions.built(workspace, name, index)
        crashpoints.passed("index_built")

    async def publish(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        progress: Progress,
        instead_of: str | None = None,
        share: float = 0.0,
        account: AccountId | None = None,
    ) -> bool:
        """Put a version into service with an index of all that the rows hold now.

        With a `share` it serves that share of the conversations, as a canary (`core.canary`).
        Returns: False if another one serves than the one it was to be `instead_of`.

        Raises:
            Rejected: there is none of that name, or it may not or cannot serve.
            Unavailable: database or disk do not serve; the old pair serves on.
        """
        version = await self._version(workspace, name)
        fitted, memory = await self._opened(workspace, name), Memory()
        if version.index is not None:
            await self._assembler.learn(workspace, version.index, fitted, memory)
        for _ in range(MAX_ROUNDS):
            pair = pair_of(await self._documents.standing(workspace, ()))
            live = pair.encoder if pair else BASE
            if live == name:
                return True
            index = await self._build(workspace, fitted, memory, progress)
            # Who is killed now need not encode again.
            await self._versions.built(workspace, name, index)
            crashpoints.passed("version_proven")
            before = pair.index if pair else None
            flip = await self._put(
                workspace,
                name,
                index,
                before=before,
                instead_of=instead_of or live,
                share=share,
                account=account,
            )
            if flip is Flip.DONE:
                crashpoints.passed("version_flipped")
                if not share:
                    await self._assembler.prune(workspace, index, before)
                await self._shelf.refresh(workspace)
                log.info("version_in_service", workspace=workspace, version=name, share=share or 1)
                return True
            await self._assembler.discard(workspace, index)
            if flip is Flip.VERSION_MOVED and instead_of is not None:
                return False
        raise Unavailable("index", "other commands keep changing this workspace's knowledge")

    async def roll_back(
        self, workspace: WorkspaceId, to: str = "", *, account: AccountId | None = None
    ) -> Version:
        """Put the encoder before back into service, or another that was, with its last index.

        Nothing is built and no model is loaded; `Knowledge.catch_up` indexes behind it what was
        added since.
        Raises: Rejected: there is none, or what is on the disk cannot serve.
        """
        target = to or (await self._service.live(workspace, ENCODER)).previous
        if not target:
            raise Rejected("there is no encoder to roll back to")
        version = await self._version(workspace, target)
        if version.state is VersionState.RETIRED:
            await self._check(workspace, version)
        return await self._service.roll_back(workspace, ENCODER, to=target, account=account)

    async def _put(
        self,
        workspace: WorkspaceId,
        name: str,
        index: str,
        *,
        before: str | None,
        instead_of: str,
        share: float,
        account: AccountId | None,
    ) -> Flip:
        if share and before is not None:
            return await self._service.try_out(
                workspace,
                name,
                share=share,
                instead_of=instead_of,
                index=index,
                index_before=before,
            )
        return await self._service.publish(
            workspace,
            name,
            instead_of=instead_of,
            index=index,
            index_before=before,
            account=account,
        )

    async def _version(self, workspace: WorkspaceId, name: str) -> Version:
        version = await self._versions.get(workspace, name)
        if version is None or version.kind is not ENCODER:
            raise Rejected(f"no encoder is called {name}")
        return version

    async def _opened(self, workspace: WorkspaceId, name: str) -> Fitted:
        try:
            return await self._encoders.open(workspace, name)
        except EncoderRefused as error:
            raise Rejected(str(error)) from error

    async def _build(
        self, workspace: WorkspaceId, fitted: Fitted, memory: Memory, progress: Progress
    ) -> str:
        """An index that the encoder is seen to agree with."""
        index = await self._assembler.build(workspace, fitted, memory, progress)
        try:
            await agree(fitted, await self._assembler.open(workspace, index, fitted.encoder.id))
        except (SnapshotRefused, EncoderRefused) as error:
            await self._assembler.discard(workspace, index)
            raise Rejected(str(error)) from error
        return index

    async def _check(self, workspace: WorkspaceId, version: Version) -> None:
        """See that files and index are there and whole, without loading a model."""
        if version.index is None:
            raise Rejected(f"{version.name}: its files were deleted")
        try:
            encoder = await asyncio.to_thread(self._encoders.identify, workspace, version)
            await self._assembler.open(workspace, version.index, encoder)
        except (EncoderRefused, SnapshotRefused) as error:
            raise Rejected(str(error)) from error
