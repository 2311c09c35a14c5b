"""A workspace's knowledge, as its operator handles it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from core.adapters.documents import Document, Documents, Listed, Standing
from core.adapters.pages import Pages
from core.errors import Unavailable
from core.ports import Detector
from core.turn import Found, WorkspaceId
from retrieval.assembling import Assembler
from retrieval.building import Memory
from retrieval.encoders import BASE, EncoderRefused, Encoders, Fitted
from retrieval.gathering import Fault, gather
from retrieval.loaders.drafts import Draft
from retrieval.search import Search
from retrieval.shelf import Shelf
from retrieval.snapshot import SnapshotRefused
from retrieval.writing import Progress

# Another command that flips the pointer first costs us one more round, without encoding again.
MAX_ROUNDS = 20
_DETECTED_CHARS = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of the documents that were given; `index` is the version in service now."""

    added: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
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
        self._pages = pages
        self._detector = detector
        self._default_language = default_language

    async def add(
        self, workspace: WorkspaceId, paths: Sequence[str], progress: Progress = silent
    ) -> Added:
        """Add files, folders and allowed web pages, or take over what has changed in them.

        Nothing is changed until all is indexed; then documents and index change as one.
        `progress` may be called from another thread.
        Raises: Unavailable: database, encoder or disk do not serve; nothing was changed.
        """
        drafts, faults = await gather(paths, self._pages, progress)
        given = [await self._document(draft) for draft in drafts]
        return await self.put(workspace, given, faults=faults, progress=progress)

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
            pointer = (await self._documents.standing(workspace, ())).pointer
            index = pointer.name if pointer else ""
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
        self, workspace: WorkspaceId, ids: Sequence[str], progress: Progress = silent
    ) -> Removed:
        """Remove documents; once this returns, no process cites them.

        Raises: Unavailable: the database does not serve; nothing was changed.
        """
        removed = await self._documents.remove(workspace, ids)
        if removed:
            try:
                await self._publish(workspace, (), progress)
            except Unavailable as error:
                # The rows are gone, so nobody cites them; the next change rebuilds the index.
                log.warning("index_not_rebuilt", workspace=workspace, reason=str(error))
        return Removed(removed=removed, missing=tuple(sorted(set(ids) - set(removed))))

    async def search(
        self, workspace: WorkspaceId, question: str, *, language: str | None = None, limit: int = 5
    ) -> Found:
        """Search as a customer's question would, in its own language unless one is named."""
        tag = language or await self._detected(question)
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

    async def _document(self, draft: Draft) -> Document:
        language = draft.language or await self._detected(f"{draft.title}\n{draft.text}")
        return Document(
            id=draft.id,
            title=draft.title,
            text=draft.text,
            language=language,
            source=draft.source,
        )

    async def _detected(self, text: str) -> str:
        if self._detector is None:
            return self._default_language
        ranked = await self._detector.detect(text[:_DETECTED_CHARS])
        return ranked[0][0] if ranked else self._default_language

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
        memories: defaultdict[str, Memory] = defaultdict(Memory)
        for _ in range(MAX_ROUNDS):
            standing = await self._documents.standing(workspace, ())
            fitted = await self._encoder(workspace, standing)
            # Another encoder may have been put into service since the last round.
            memory = memories[fitted.encoder.id]
            before = standing.pointer.name if standing.pointer else None
            if before is not None and not afresh:
                await self._assembler.learn(workspace, before, fitted, memory)
            name = await self._assembler.build(workspace, fitted, memory, progress, put=put)
            if await self._documents.publish(workspace, name, instead_of=before, put=put):
                await self._assembler.prune(workspace, name, before)
                await self._shelf.refresh(workspace)
                return name
            await self._assembler.discard(workspace, name)
            log.info("index_rebuilt_after_another", workspace=workspace)
        raise Unavailable("index", "other commands keep changing this workspace's knowledge")

    async def _encoder(self, workspace: WorkspaceId, standing: Standing) -> Fitted:
        """The encoder in service."""
        try:
            name = standing.encoder.name if standing.encoder else BASE
            return await self._encoders.open(workspace, name)
        except EncoderRefused as error:
            raise Unavailable("encoder", str(error)) from error
