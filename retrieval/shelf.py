"""What is searched in each workspace, exchanged when its pointers move."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from functools import partial

import structlog

from core.adapters.documents import Documents, Standing
from core.adapters.versions import Versions
from core.errors import DragomanError, Unavailable
from core.turn import ConversationId, WorkspaceId
from retrieval.assembling import Assembler
from retrieval.encoders import BASE, EncoderRefused, Encoders, agree
from retrieval.pairs import Pair, Served, pair_of
from retrieval.perch import Perch
from retrieval.refusals import Refusals
from retrieval.snapshot import SnapshotRefused

log = structlog.get_logger()


class Shelf:
    """Holds one pair a workspace, and a canary's; what uses one keeps it meanwhile."""

    def __init__(
        self,
        documents: Documents,
        versions: Versions,
        encoders: Encoders,
        assembler: Assembler,
        *,
        clock_s: Callable[[], float],
    ) -> None:
        """Serve the snapshots that were assembled, each with its encoder."""
        self._documents = documents
        self._versions = versions
        self._assembler = assembler
        self._encoders = encoders
        self._served: dict[WorkspaceId, Served] = {}
        self._refusals = Refusals(clock_s)
        self._perch = Perch(self._open, self._refusals)
        self._locks: defaultdict[WorkspaceId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: dict[WorkspaceId, asyncio.Task[None]] = {}

    async def current(
        self, workspace: WorkspaceId, conversation: ConversationId | None = None
    ) -> Served | None:
        """What to search, and with what; None for a workspace without knowledge.

        A conversation that the canary drew gets its pair.
        Raises: Unavailable: nothing of the workspace can be used.
        """
        if workspace not in self._served:
            # Who gives up waiting leaves it to the next: loading may take longer than a search may.
            await asyncio.shield(self._exchange(workspace))
        return self._perch.drawn(workspace, conversation) or self._served.get(workspace)

    def notice(self, workspace: WorkspaceId, standing: Standing) -> asyncio.Task[None] | None:
        """Begin to exchange a pair if a pointer has moved, while the old one serves on.

        Returns: the exchange, which logs what fails in it; None if nothing has moved.
        """
        wanted = pair_of(standing)
        moved = (
            wanted is not None
            and self._moved(workspace, wanted)
            and not self._refusals.hold(workspace, wanted)
        )
        if moved or self._perch.moved(workspace, standing):
            return self._exchange(workspace)
        return None

    async def refresh(self, workspace: WorkspaceId) -> None:
        """Serve what the pointers name; what cannot be used leaves the old pair in service.

        Raises: Unavailable: there is no old one either.
        """
        async with self._locks[workspace]:
            standing = await self._documents.standing(workspace, ())
            wanted = pair_of(standing)
            if wanted is not None and self._moved(workspace, wanted):
                await self._replace(workspace, standing, wanted)
            # Last: what goes live was held by it, and need not be loaded again.
            await self._perch.refresh(workspace, standing)

    async def close(self) -> None:
        """Wait for the exchanges that are under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _moved(self, workspace: WorkspaceId, wanted: Pair) -> bool:
        served = self._served.get(workspace)
        return served is None or served.pair != wanted

    async def _replace(self, workspace: WorkspaceId, standing: Standing, wanted: Pair) -> None:
        served = self._served.get(workspace)
        try:
            self._served[workspace] = await self._open(workspace, wanted)
        except (SnapshotRefused, EncoderRefused) as error:
            self._refusals.note(workspace, wanted)
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

    async def _open(self, workspace: WorkspaceId, pair: Pair) -> Served:
        """A pair that fits together, loaded beside the one in service."""
        fitted = await self._encoders.open(workspace, pair.encoder)
        snapshot = await self._assembler.open(workspace, pair.index, fitted.encoder.id)
        served = self._served.get(workspace)
        # That of the settings is loaded by who asks first, unless another serves until it is.
        if pair.encoder != BASE or (served is not None and served.fitted.version != BASE):
            await agree(fitted, snapshot)
        return Served(snapshot=snapshot, fitted=fitted)

    def _exchange(self, workspace: WorkspaceId) -> asyncio.Task[None]:
        """The exchange that is under way, or else a new one."""
        if workspace not in self._tasks:
            task = asyncio.create_task(self.refresh(workspace))
            self._tasks[workspace] = task
            task.add_done_callback(partial(self._exchanged, workspace))
        return self._tasks[workspace]

    def _exchanged(self, workspace: WorkspaceId, task: asyncio.Task[None]) -> None:
        del self._tasks[workspace]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            unexpected = None if isinstance(error, DragomanError) else error
            log.warning(
                "index_not_exchanged", workspace=workspace, reason=str(error), exc_info=unexpected
            )

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
