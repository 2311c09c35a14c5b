"""A workspace's knowledge, as its operator handles it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from core.adapters.canaries import Canaries
from core.adapters.documents import Document, Documents, Listed, Standing
from core.adapters.pages import Pages
from core.canary import Canary
from core.errors import Unavailable
from core.ports import Detector
from core.turn import Found, WorkspaceId
from retrieval.assembling import Assembler
from retrieval.building import Memory
from retrieval.encoders import BASE, EncoderRefused, Encoders, Fitted
from retrieval.gathering import Fault, Gathered, gather
from retrieval.loaders.faq import table_of
from retrieval.search import Search
from retrieval.shelf import Shelf
from retrieval.snapshot import SnapshotRefused
from retrieval.spoken import Spoken
from retrieval.writing import Progress

# Another command that flips the pointer first costs us one more round, without encoding again.
MAX_ROUNDS = 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of the documents that were given; `index` is the version in service now.

    `removed` are rows that their file no longer has.
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...] = ()
    faults: tuple[Fault, ...]
    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed, and what was not there."""

    removed: tuple[str, ...]
    missing: tuple[str, ...]


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


class Knowledge:
    """Adds, lists, removes and finds documents; every change is a new snapshot of the index."""

    def __init__(
        self,
        *,
        documents: Documents,
        shelf: Shelf,
        search: Search,
        encoders: Encoders,
        assembler: Assembler,
        canaries: Canaries,
        pages: Pages,
        detector: Detector | None = None,
        default_language: str = "en",
    ) -> None:
        """`default_language` is that of documents whose language neither they nor we can tell."""
        self._documents = documents
        self._shelf = shelf
        self._search = search
        self._encoders = encoders
        self._assembler = assembler
        self._canaries = canaries
        self._pages = pages
        self._spoken = Spoken(detector, default_language)

    async def add(
        self, workspace: WorkspaceId, paths: Sequence[str], progress: Progress = silent
    ) -> Added:
        """Add files, folders and allowed web pages, or take over what has changed in them.

        Nothing is changed until all is indexed; then documents and index change as one. Right
        after that, rows go that a FAQ no longer has; another round takes up what was left undone.
        `progress` may be called from another thread.
        Raises: Unavailable: database, encoder or disk do not serve; no document was changed.
        """
        gathered = await gather(paths, self._pages, progress)
        given = await self._spoken.documents(gathered)
        added = await self.put(workspace, given, faults=gathered.faults, progress=progress)
        gone = await self._gone(workspace, gathered)
        if not gone:
            return added
        removed = await self._take_out(workspace, gone, progress)
        return replace(added, removed=removed, index=await self._in_service(workspace))

    async def put(
        self,
        workspace: WorkspaceId,
        given: Sequence[Document],
        *,
        faults: Sequence[Fault] = (),
        progress: Progress = silent,
    ) -> Added:
        """Add documents that were read already.

        Raises: Unavailable: database, encoder or disk do not serve; nothing was changed.
        """
        known = {document.id: document for document in await self._documents.all(workspace)}
        changed = [document for document in given if known.get(document.id) != document]
        if changed:
            index = await self._publish(workspace, changed, progress)
        else:
            index = await self._in_service(workspace)
        return Added(
            added=tuple(d.id for d in changed if d.id not in known),
            updated=tuple(d.id for d in changed if d.id in known),
            unchanged=tuple(d.id for d in given if known.get(d.id) == d),
            faults=tuple(faults),
            index=index,
        )

    async def list(self, workspace: WorkspaceId) -> tuple[Listed, ...]:
        """Every document, by id."""
        return await self._documents.list(workspace)

    async def remove(
        self,
        workspace: WorkspaceId,
        ids: Sequence[str],
        progress: Progress = silent,
        *,
        tables_too: bool = False,
    ) -> Removed:
        """Remove documents; once this returns, no process cites them.

        With `tables_too`, `faq` where no document is called so stands for every `faq#1`, `faq#2`
        and so on.
        Raises: Unavailable: the database does not serve; nothing was changed.
        """
        known = {document.id for document in await self._documents.list(workspace)}
        tables = set(ids) - known if tables_too else set[str]()
        rows = {id: table for id in known if (table := table_of(id)) in tables}
        meant = [*known.intersection(ids), *rows]
        removed = await self._take_out(workspace, meant, progress)
        there = {*removed, *(rows[id] for id in removed if id in rows)}
        return Removed(removed=removed, missing=tuple(sorted(set(ids) - there)))

    async def search(
        self, workspace: WorkspaceId, question: str, *, language: str | None = None, limit: int = 5
    ) -> Found:
        """Search as a customer's question would, in its own language unless one is named."""
        tag = language or await self._spoken.language(question)
        return await self._search.search(workspace, question, language=tag, limit=limit)

    async def reindex(self, workspace: WorkspaceId, progress: Progress = silent) -> str:
        """Build the index anew from the rows, encoding everything; returns the version.

        Raises: Unavailable: database, encoder or disk do not serve; the old one serves on.
        """
        return await self._publish(workspace, (), progress, afresh=True)

    async def catch_up(self, workspace: WorkspaceId, progress: Progress = silent) -> bool:
        """Index what changed since the index in service was built, as after a rollback.

        Returns: False if there was nothing to do; then no encoder was loaded either.
        Raises: Unavailable: database, encoder or disk do not serve.
        """
        standing = await self._documents.standing(workspace, ())
        if standing.pointer is None or not await self._behind(workspace, standing.pointer.name):
            return False
        await self._publish(workspace, (), progress)
        return True

    async def _behind(self, workspace: WorkspaceId, index: str) -> bool:
        """Whether the rows hold other wordings than an index that can be read."""
        rows = {
            document.id: document.sha256
            for document in await self._documents.all(workspace)
            if document.text.strip()
        }
        try:
            indexed = await self._assembler.wordings(workspace, index)
        except SnapshotRefused:
            return False
        return indexed != rows

    async def _in_service(self, workspace: WorkspaceId) -> str:
        pointer = (await self._documents.standing(workspace, ())).pointer
        return pointer.name if pointer else ""

    async def _gone(self, workspace: WorkspaceId, gathered: Gathered) -> Sequence[str]:
        """Rows of the FAQs that were read which these no longer have."""
        if not gathered.tables:
            return ()
        kept = {draft.id for draft in gathered.drafts}
        known = [document.id for document in await self._documents.list(workspace)]
        return [id for id in known if table_of(id) in gathered.tables and id not in kept]

    async def _take_out(
        self, workspace: WorkspaceId, ids: Sequence[str], progress: Progress
    ) -> tuple[str, ...]:
        """Delete documents and index the rest; returns the ids that were there."""
        removed = await self._documents.remove(workspace, ids)
        if removed:
            try:
                await self._publish(workspace, (), progress)
            except Unavailable as error:
                # The rows are gone, so nobody cites them; the next change rebuilds the index.
                log.warning("index_not_rebuilt", workspace=workspace, reason=str(error))
        return removed

    async def _publish(
        self,
        workspace: WorkspaceId,
        put: Sequence[Document],
        progress: Progress,
        *,
        afresh: bool = False,
    ) -> str:
        """Build a snapshot of the rows with `put` and flip to it; begin again if others did.

        `afresh` takes nothing over from the snapshot in service.
        """
        build = _Build(self._assembler, workspace, progress, put=put, afresh=afresh)
        for _ in range(MAX_ROUNDS):
            standing = await self._documents.standing(workspace, ())
            before = standing.pointer.name if standing.pointer else None
            name = await build.index(await self._encoder(workspace, standing), before)
            beside = await self._beside(standing.canary, build)
            if await self._documents.publish(
                workspace,
                name,
                instead_of=before,
                put=put,
                canary=standing.canary,
                canary_index=beside,
            ):
                await self._assembler.prune(workspace, name, before)
                await self._shelf.refresh(workspace)
                return name
            for made in (name, beside):
                if made is not None:
                    await self._assembler.discard(workspace, made)
            log.info("index_rebuilt_after_another", workspace=workspace)
        raise Unavailable("index", "other commands keep changing this workspace's knowledge")

    async def _beside(self, canary: Canary | None, build: "_Build") -> str | None:
        """The same rows by the encoder on trial; one that cannot be loaded is no longer tried."""
        if canary is None:
            return None
        try:
            fitted = await self._encoders.open(canary.workspace, canary.name)
        except EncoderRefused as error:
            await self._canaries.end(canary, str(error))
            return None
        return await build.index(fitted, canary.index)

    async def _encoder(self, workspace: WorkspaceId, standing: Standing) -> Fitted:
        """The encoder in service."""
        try:
            name = standing.encoder.name if standing.encoder else BASE
            return await self._encoders.open(workspace, name)
        except EncoderRefused as error:
            raise Unavailable("encoder", str(error)) from error


class _Build:
    """Builds snapshots of the rows with `put`, as often as it takes, and encodes nothing twice."""

    def __init__(
        self,
        assembler: Assembler,
        workspace: WorkspaceId,
        progress: Progress,
        *,
        put: Sequence[Document],
        afresh: bool,
    ) -> None:
        self._assembler = assembler
        self._workspace = workspace
        self._progress = progress
        self._put = put
        self._afresh = afresh
        # Another encoder may have been put into service since the last round.
        self._memories: defaultdict[str, Memory] = defaultdict(Memory)

    async def index(self, fitted: Fitted, before: str | None) -> str:
        memory = self._memories[fitted.encoder.id]
        if before is not None and not self._afresh:
            await self._assembler.learn(self._workspace, before, fitted, memory)
        return await self._assembler.build(
            self._workspace, fitted, memory, self._progress, put=self._put
        )
