"""The product over a workspace's knowledge with models that do not serve it.

Everything lies in the night's folder: whoever opens the same trial again finds it indexed.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.adapters.database import open_database
from core.adapters.detector import CombinedDetector
from core.adapters.documents import Document, Documents
from core.adapters.generator import HttpGenerator, Limits
from core.errors import Rejected
from core.escalation import Policy
from core.nights import Order
from core.pipeline import Pipeline, always
from retrieval.encoder import open_encoder
from retrieval.hearing import open_ear
from retrieval.knowledge import silent
from retrieval.opening import open_retriever
from retrieval.snapshot import Snapshot, load, workspace_folder
from workers.evaluation.product import Product

# How long things take is judged by itself: a slow machine is no fault of a model.
_PATIENCE_S = 60.0
WRITING = Limits(first_token_s=_PATIENCE_S, between_tokens_s=_PATIENCE_S, total_s=180.0)
"""How long a model may write here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The product, and the index that it searches."""

    product: Product
    snapshot: Snapshot


async def knowledge(order: Order) -> tuple[Document, ...]:
    """The workspace's documents.

    Raises:
        Rejected: it has none.
        Unavailable: the database cannot be reached.
    """
    async with open_database(order.database) as database:
        documents = await Documents(database).all(order.workspace)
    if not documents:
        raise Rejected("the workspace has no articles")
    return documents


@asynccontextmanager
async def open_trial(
    order: Order,
    folder: Path,
    documents: Sequence[Document],
    writer: HttpGenerator | None = None,
) -> AsyncIterator[Trial]:
    """Index the documents with the encoder in a folder; without a writer, passages speak.

    Raises:
        Misconfigured: the encoder's folder holds no model, or one that is not safe to load.
        Unavailable: the encoder or the disk gave out.
    """
    # Its files are read whole, to tell them from any others.
    encoder = await asyncio.to_thread(open_encoder, folder)
    # The one in service hears with the encoder that ships, whichever it searches with.
    ear = open_ear(await asyncio.to_thread(open_encoder, order.encoder or None))
    place = await asyncio.to_thread(_place, order, encoder.id)
    detector = CombinedDetector()
    async with (
        open_database(f"sqlite:///{place / 'dragoman.db'}") as database,
        open_retriever(
            database,
            place,
            encoder=encoder,
            detector=detector,
            default_language=order.default_language,
        ) as retrieval,
    ):
        known = await retrieval.knowledge.list(order.workspace)
        gone = {listed.id for listed in known} - {document.id for document in documents}
        if gone:
            await retrieval.knowledge.remove(order.workspace, sorted(gone))
        added = await retrieval.knowledge.put(order.workspace, documents)
        await retrieval.warm()
        threshold = retrieval.calibration.threshold(order.precision)
        policy = Policy(
            default_language=order.default_language,
            answer_threshold=threshold,
            clarify_threshold=threshold / 2,
            search_s=_PATIENCE_S,
            write_s=WRITING.total_s,
        )
        yield Trial(
            product=Product(
                pipeline=Pipeline(
                    detector,
                    retrieval.retriever,
                    lambda _: writer,
                    policies=always(policy),
                    ear=ear,
                ),
                retrieval=retrieval,
                workspace=order.workspace,
                default_language=order.default_language,
                precision=order.precision,
                progress=silent,
                model=writer.model if writer else "",
            ),
            snapshot=await asyncio.to_thread(
                load,
                workspace_folder(place, order.workspace),
                added.index,
                workspace=order.workspace,
                encoder=retrieval.encoder.id,
            ),
        )


def _place(order: Order, encoder: str) -> Path:
    """The trial's folder; an operator may have fitted a calibration for the encoder that ships."""
    place = order.folder / "trials" / encoder
    place.mkdir(parents=True, exist_ok=True)
    own = order.data_dir / "calibrations"
    if own.is_dir():
        shutil.copytree(own, place / own.name, dirs_exist_ok=True)
    return place
