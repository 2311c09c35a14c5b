"""Retrieval put together from its parts, for as long as it is needed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.adapters.canaries import Canaries
from core.adapters.database import Database
from core.adapters.documents import Documents
from core.adapters.in_service import InService
from core.adapters.pages import Pages
from core.adapters.versions import Versions
from core.ports import Detector
from core.turn import ConversationId, WorkspaceId
from retrieval.assembling import Assembler
from retrieval.calibration import Calibration
from retrieval.encoder import Encoder, open_encoder
from retrieval.encoders import Encoders, Fitted
from retrieval.knowledge import Knowledge
from retrieval.reranker import CrossEncoderReranker, Reranker
from retrieval.search import Search
from retrieval.shelf import Shelf
from retrieval.succession import Succession


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What the rest of the program uses; `succession` changes the encoder of a workspace."""

    retriever: Search
    knowledge: Knowledge
    succession: Succession
    _encoders: Encoders
    _shelf: Shelf
    _reranker: Reranker | None

    @property
    def encoder(self) -> Encoder:
        """The encoder of the settings, which serves where no version does."""
        return self._encoders.base.encoder

    @property
    def calibration(self) -> Calibration:
        """What is known of the encoder of the settings."""
        return self._encoders.base.calibration

    async def calibration_of(
        self, workspace: WorkspaceId, conversation: ConversationId | None = None
    ) -> Calibration:
        """What is known of the encoder that serves a workspace, or a conversation in it.

        Raises: Unavailable: nothing of the workspace can be used.
        """
        served = await self._shelf.current(workspace, conversation)
        fitted = served.fitted if served else await self._base()
        return fitted.calibration

    async def warm(self, workspace: WorkspaceId | None = None) -> None:
        """Load the models now, so that the first customer does not wait for them.

        Raises: Unavailable: one cannot be loaded, or nothing of the workspace can be used.
        """
        served = await self._shelf.current(workspace) if workspace else None
        fitted = served.fitted if served else await self._base()
        await fitted.encoder.questions(["warm"])
        if self._reranker is not None:
            await self._reranker.judge("warm", ["warm"])

    async def _base(self) -> Fitted:
        return await asyncio.to_thread(lambda: self._encoders.base)


@asynccontextmanager
async def open_retriever(
    database: Database,
    data_dir: Path,
    *,
    encoder: Encoder | str | Path | None = None,
    reranker: str | Path | None = None,
    detector: Detector | None = None,
    default_language: str = "en",
    allowed_hosts: Collection[str] = (),
    threads: int | None = None,
    key: str = "",
    clock_s: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Retrieval]:
    """Open retrieval over `database`, its snapshots and versions below `data_dir`.

    `encoder` and `reranker` are a model folder or hub id; no encoder means the one that ships.
    `key` is what this installation signs versions with; `clock_s` tells when to try again what
    could not be loaded. No model is loaded before it is needed.
    Raises: Misconfigured: a model or calibration cannot be used.
    """
    documents, versions = Documents(database), Versions(database)
    encoders = Encoders(versions, data_dir, _maker(encoder, threads), key=key, threads=threads)
    # Whatever is wrong with it is said at the start.
    await asyncio.to_thread(lambda: encoders.base)
    assembler = Assembler(documents, versions, data_dir)
    shelf = Shelf(documents, versions, encoders, assembler, clock_s=clock_s)
    judge = CrossEncoderReranker(reranker) if reranker is not None else None
    search = Search(documents=documents, shelf=shelf, reranker=judge)
    knowledge = Knowledge(
        documents=documents,
        shelf=shelf,
        search=search,
        encoders=encoders,
        assembler=assembler,
        canaries=Canaries(database),
        pages=Pages(allowed_hosts),
        detector=detector,
        default_language=default_language,
    )
    succession = Succession(
        documents=documents,
        versions=versions,
        service=InService(database),
        encoders=encoders,
        assembler=assembler,
        shelf=shelf,
    )
    try:
        yield Retrieval(
            retriever=search,
            knowledge=knowledge,
            succession=succession,
            _encoders=encoders,
            _shelf=shelf,
            _reranker=judge,
        )
    finally:
        await shelf.close()


def _maker(encoder: Encoder | str | Path | None, threads: int | None) -> Callable[[], Encoder]:
    """What makes the encoder of the settings, each time that it is wanted again."""
    if encoder is not None and not isinstance(encoder, (str, Path)):
        return lambda: encoder
    return lambda: open_encoder(encoder, threads=threads)
