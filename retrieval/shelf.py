"""What is searched in each workspace, exchanged when its pointers move."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from core.adapters.documents import Documents, Standing
from core.adapters.versions import Versions
from core.errors import DragomanError, Unavailable
from core.turn import WorkspaceId
from retrieval.assembling import Assembler
from retrieval.encoders import BASE, EncoderRefused, Encoders, Fitted, agree
from retrieval.snapshot import Snapshot, SnapshotRefused

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The names of an index and of the encoder that built it."""

    index: str
    encoder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A snapshot with the encoder that built it; what begins with a pair ends with it."""

    snapshot: Snapshot
    fitted: Fitted

    @property
    def pair(self) -> Pair:
        """The names of both."""
        return Pair(index=self.snapshot.version, encoder=self.fitted.version)


class Shelf:
    """Holds one pair a workspace; a search keeps the one it started with."""

    def __init__(
        self,
        documents: Documents,
        versions: Versions,
        encoders: Encoders,
        assembler: Assembler,
    ) -> None:
        """Serve the snapshots that were assembled, each with its encoder."""
        self._documents = documents
        self._versions = versions
        self._assembler = assembler
        self._encoders = encoders
        self._served: dict[WorkspaceId, Served] = {}
        self._refused: dict[WorkspaceId, Pair] = {}
        self._locks: defaultdict[WorkspaceId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: dict[WorkspaceId, asyncio.Task[None]] = {}

    async def current(self, workspace: WorkspaceId) -> Served | None:
        """What to search, and with what; None for a workspace without knowledge.

        Raises: Unavailable: nothing of the workspace can be used.
        """
        if workspace not in self._served:
            await self.refresh(workspace)
        return self._served.get(workspace)

    def notice(self, workspace: WorkspaceId, standing: Standing) -> None:
        """Begin to exchange the pair if a pointer has moved, while the old one serves on."""
        wanted = pair_of(standing)
        if wanted is None or wanted == self._refused.get(workspace):
            return
        served = self._served.get(workspace)
        if (served is None or served.pair != wanted) and workspace not in self._tasks:
            task = asyncio.create_task(self._exchange(workspace))
            self._tasks[workspace] = task
            task.add_done_callback(lambda _: self._tasks.pop(workspace, None))

    async def refresh(self, workspace: WorkspaceId) -> None:
        """Serve what the pointers name; what cannot be used leaves the old pair in service.

        Raises: Unavailable: there is no old one either.
        """
        async with self._locks[workspace]:
            standing = await self._documents.standing(workspace, ())
            wanted, served = pair_of(standing), self._served.get(workspace)
            if wanted is None or (served is not None and served.pair == wanted):
                return
            try:
                self._served[workspace] = await self._open(workspace, wanted)
            except (SnapshotRefused, EncoderRefused) as error:
                self._refused[workspace] = wanted
                log.warning("index_refused", workspace=workspace, reason=str(error))
                if served is None:
                    self._served[workspace] = await self._older(workspace, standing, error)
                return
            finally:
                self._let_go()
            log.info(
                "index_in_service",
                workspace=workspace,
                version=wanted.index,
                encoder=wanted.encoder,
            )

    async def close(self) -> None:
        """Wait for the exchanges that are under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _open(self, workspace: WorkspaceId, pair: Pair) -> Served:
        """A pair that fits together, loaded beside the one in service."""
        fitted = await self._encoders.open(workspace, pair.encoder)
        snapshot = await self._assembler.open(workspace, pair.index, fitted.encoder.id)
        if pair.encoder != BASE:
            await agree(fitted, snapshot)
        return Served(snapshot=snapshot, fitted=fitted)

    async def _exchange(self, workspace: WorkspaceId) -> None:
        try:
            await self.refresh(workspace)
        except DragomanError as error:
            log.warning("index_not_exchanged", workspace=workspace, reason=str(error))

    async def _older(
        self, workspace: WorkspaceId, standing: Standing, refused: DragomanError
    ) -> Served:
        """The first pair from before that can be used."""
        async for pair in self._before(workspace, standing):
            try:
                return await self._open(workspace, pair)
            except (SnapshotRefused, EncoderRefused) as error:
                log.warning("index_refused", workspace=workspace, reason=str(error))
        raise Unavailable("index", str(refused)) from refused

    async def _before(self, workspace: WorkspaceId, standing: Standing) -> AsyncIterator[Pair]:
        """The index before this one, then the encoder before this one with its last index."""
        pointer, encoder = standing.pointer, standing.encoder
        if pointer is not None and pointer.previous is not None:
            yield Pair(index=pointer.previous, encoder=encoder.name if encoder else BASE)
        if encoder is not None and encoder.previous is not None:
            version = await self._versions.get(workspace, encoder.previous)
            if version is not None and version.index is not None:
                yield Pair(index=version.index, encoder=version.name)

    def _let_go(self) -> None:
        """Free the encoder of the settings where every workspace is served by a version."""
        if self._served and all(each.fitted.version != BASE for each in self._served.values()):
            self._encoders.release_base()


def pair_of(standing: Standing) -> Pair | None:
    """What the pointers name; None for a workspace without an index."""
    if standing.pointer is None:
        return None
    encoder = standing.encoder.name if standing.encoder else BASE
    return Pair(index=standing.pointer.name, encoder=encoder)
