"""Retrieval put together from its parts, for as long as it is needed."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.adapters.database import Database
from core.adapters.documents import Documents
from core.adapters.pages import Pages
from core.ports import Detector
from retrieval.calibration import Calibration, find_calibration
from retrieval.encoder import Encoder, SentenceEncoder, open_encoder
from retrieval.knowledge import Knowledge
from retrieval.reranker import CrossEncoderReranker
from retrieval.search import Search
from retrieval.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What the rest of the program uses."""

    retriever: Search
    knowledge: Knowledge
    encoder: Encoder
    calibration: Calibration

    async def warm(self) -> None:
        """Load the encoder now, so that the first customer does not wait for it."""
        await self.encoder.questions(["warm"])


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
) -> AsyncIterator[Retrieval]:
    """Open retrieval over `database`, its snapshots below `data_dir`.

    `encoder` and `reranker` are a model folder or hub id; no encoder means the one that ships.
    No model is loaded before it is needed.
    Raises: Misconfigured: a model or calibration cannot be used.
    """
    if encoder is None or isinstance(encoder, (str, Path)):
        encoder = await asyncio.to_thread(open_encoder, encoder, threads=threads)
    documents = Documents(database)
    shelf = Shelf(documents, data_dir, encoder.id)
    folder = encoder.folder if isinstance(encoder, SentenceEncoder) else None
    calibration = find_calibration(encoder.id, data_dir, folder)
    search = Search(
        documents=documents,
        shelf=shelf,
        encoder=encoder,
        calibration=calibration,
        reranker=CrossEncoderReranker(reranker) if reranker is not None else None,
    )
    knowledge = Knowledge(
        documents=documents,
        shelf=shelf,
        search=search,
        encoder=encoder,
        data_dir=data_dir,
        pages=Pages(allowed_hosts),
        detector=detector,
        default_language=default_language,
    )
    try:
        yield Retrieval(
            retriever=search, knowledge=knowledge, encoder=encoder, calibration=calibration
        )
    finally:
        await shelf.close()
