"""A workspace's documents, as the rows have them, to a snapshot by one encoder."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from core.adapters.documents import Document, Documents
from core.adapters.versions import Versions
from core.turn import WorkspaceId
from retrieval.building import Memory
from retrieval.encoders import Fitted
from retrieval.snapshot import (
    Snapshot,
    SnapshotRefused,
    load,
    read_manifest,
    workspace_folder,
)
from retrieval.writing import Progress, prune, write

log = structlog.get_logger()


class Assembler:
    """Builds snapshots aside; nothing is in service before somebody flips the pointer to it."""

    def __init__(self, documents: Documents, versions: Versions, data_dir: Path) -> None:
        """Read rows from `documents`, write below `data_dir`."""
        self._documents = documents
        self._versions = versions
        self._data_dir = data_dir

    async def build(
        self,
        workspace: WorkspaceId,
        fitted: Fitted,
        memory: Memory,
        progress: Progress,
        *,
        put: Sequence[Document] = (),
    ) -> str:
        """A snapshot of the rows with `put`; `memory` has vectors of this encoder.

        Raises: Unavailable: database, encoder or disk do not serve.
        """
        rows = {document.id: document for document in await self._documents.all(workspace)}
        rows |= {document.id: document for document in put}
        documents = sorted(rows.values(), key=lambda document: document.id)
        cuts = await asyncio.to_thread(memory.cut_up, documents, progress)
        await memory.fill(cuts, fitted.encoder, progress)

        def work() -> str:
            return write(
                self._folder(workspace),
                memory.contents(cuts),
                workspace=workspace,
                encoder=fitted.encoder.id,
                progress=progress,
            )

        return await asyncio.to_thread(work)

    async def learn(
        self, workspace: WorkspaceId, version: str, fitted: Fitted, memory: Memory
    ) -> None:
        """Take over what a snapshot has, if it can be used and is of this encoder."""
        try:
            snapshot = await self.open(workspace, version, fitted.encoder.id)
        except SnapshotRefused as error:
            log.warning("index_not_reused", workspace=workspace, reason=str(error))
            return
        await asyncio.to_thread(memory.learn, snapshot)

    async def open(self, workspace: WorkspaceId, version: str, encoder: str) -> Snapshot:
        """Check and open a snapshot built with the encoder of this id, in a thread.

        Raises: SnapshotRefused: it cannot be used.
        """
        folder = self._folder(workspace)
        return await asyncio.to_thread(load, folder, version, workspace=workspace, encoder=encoder)

    async def wordings(self, workspace: WorkspaceId, version: str) -> dict[str, str]:
        """The wording (sha256) of each document that a snapshot was built from.

        Raises: SnapshotRefused: it cannot be read.
        """

        def work() -> dict[str, str]:
            folder = self._folder(workspace)
            encoder = read_manifest(folder / version).encoder
            snapshot = load(folder, version, workspace=workspace, encoder=encoder)
            texts = (text for shard in snapshot.shards for text in shard.texts)
            return {passage.document: wording for passage, wording in texts}

        return await asyncio.to_thread(work)

    async def discard(self, workspace: WorkspaceId, version: str) -> None:
        """Delete a snapshot that never was in service."""
        await asyncio.to_thread(shutil.rmtree, self._folder(workspace) / version, True)

    async def prune(self, workspace: WorkspaceId, in_service: str, previous: str | None) -> None:
        """Delete old snapshots, but none that a version could be put into service with."""
        kept = {each.index for each in await self._versions.list(workspace)} | {previous}
        folder = self._folder(workspace)
        await asyncio.to_thread(prune, folder, in_service=in_service, kept=kept - {None})

    def _folder(self, workspace: WorkspaceId) -> Path:
        return workspace_folder(self._data_dir, workspace)
