"""The snapshots in service, exchanged when a workspace's pointer moves."""

import asyncio
from collections import defaultdict
from pathlib import Path

import structlog

from core.adapters.documents import Documents
from core.adapters.pointers import Pointer
from core.errors import DragomanError, Unavailable
from core.turn import WorkspaceId
from retrieval.snapshot import Snapshot, SnapshotRefused, load, workspace_folder

log = structlog.get_logger()


class Shelf:
    """Holds one snapshot a workspace; a search keeps the one it started with."""

    def __init__(self, documents: Documents, data_dir: Path, encoder: str) -> None:
        """Serve snapshots that the encoder with this id built."""
        self._documents = documents
        self._data_dir = data_dir
        self._encoder = encoder
        self._served: dict[WorkspaceId, Snapshot] = {}
        self._refused: dict[WorkspaceId, str] = {}
        self._locks: defaultdict[WorkspaceId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: dict[WorkspaceId, asyncio.Task[None]] = {}

    async def current(self, workspace: WorkspaceId) -> Snapshot | None:
        """The snapshot to search; None for a workspace without knowledge.

        Raises: Unavailable: no snapshot of the workspace can be used.
        """
        if workspace not in self._served:
            await self.refresh(workspace)
        return self._served.get(workspace)

    def notice(self, workspace: WorkspaceId, pointer: Pointer | None) -> None:
        """Begin to exchange the snapshot if the pointer has moved, while the old one serves on."""
        if pointer is None or pointer.name == self._refused.get(workspace):
            return
        served = self._served.get(workspace)
        if (served is None or served.version != pointer.name) and workspace not in self._tasks:
            task = asyncio.create_task(self._exchange(workspace))
            self._tasks[workspace] = task
            task.add_done_callback(lambda _: self._tasks.pop(workspace, None))

    async def refresh(self, workspace: WorkspaceId) -> None:
        """Serve what the pointer names; what cannot be used leaves the old one in service.

        Raises: Unavailable: there is no old one either.
        """
        async with self._locks[workspace]:
            pointer = (await self._documents.standing(workspace, ())).pointer
            served = self._served.get(workspace)
            if pointer is None or (served is not None and served.version == pointer.name):
                return
            try:
                self._served[workspace] = await self.open(workspace, pointer.name)
            except SnapshotRefused as error:
                self._refused[workspace] = pointer.name
                log.warning("index_refused", workspace=workspace, reason=str(error))
                if served is None:
                    self._served[workspace] = await self._older(workspace, pointer, error)
                return
            log.info("index_in_service", workspace=workspace, version=pointer.name)

    async def open(self, workspace: WorkspaceId, version: str) -> Snapshot:
        """Check and open a version, in a thread.

        Raises: SnapshotRefused: it cannot be used.
        """
        folder = workspace_folder(self._data_dir, workspace)
        return await asyncio.to_thread(
            load, folder, version, workspace=workspace, encoder=self._encoder
        )

    async def close(self) -> None:
        """Wait for the exchanges that are under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _exchange(self, workspace: WorkspaceId) -> None:
        try:
            await self.refresh(workspace)
        except DragomanError as error:
            log.warning("index_not_exchanged", workspace=workspace, reason=str(error))

    async def _older(
        self, workspace: WorkspaceId, pointer: Pointer, refused: SnapshotRefused
    ) -> Snapshot:
        if pointer.previous is not None:
            try:
                return await self.open(workspace, pointer.previous)
            except SnapshotRefused as error:
                log.warning("index_refused", workspace=workspace, reason=str(error))
        raise Unavailable("index", str(refused)) from refused
