"""The product with the knowledge that an evaluation file gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from core.adapters.detector import CombinedDetector
from core.adapters.documents import Document
from core.language import choose, normalise_tag
from core.pipeline import Pipeline
from core.turn import Found, WorkspaceId
from retrieval.hygiene import tidy
from retrieval.opening import Retrieval
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read

# Some sets number their documents.
Id = Annotated[Filled, BeforeValidator(lambda value: str(value) if type(value) is int else value)]


class DocumentRow(Row):
    """A document; rows with one id, as in several languages, are parts of one."""

    doc_id: Id
    lang: Filled
    title: str
    text: str


class QueryRow(Row):
    """A question with the document that answers it, and what a right reply contains."""

    lang: Filled
    query: str
    doc_id: Id
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What answers, over a workspace that begins empty; `precision` is the operator's.

    `model` names what writes replies, without which passages speak for themselves; `reranker`
    what re-orders these, if anything does.
    """

    pipeline: Pipeline
    retrieval: Retrieval
    workspace: WorkspaceId
    default_language: str
    precision: float
    progress: Progress
    model: str = ""
    reranker: str = ""
    _detector: CombinedDetector = field(default_factory=CombinedDetector)

    @property
    def threshold(self) -> float:
        """The probability from which on the pipeline answers."""
        return self.retrieval.calibration.threshold(self.precision)

    @property
    def parts(self) -> Mapping[str, str]:
        """What answers, by kind."""
        parts = {
            "encoder": self.retrieval.encoder.id,
            "reranker": self.reranker,
            "model": self.model,
            "precision": f"{self.precision:g}",
        }
        return {kind: name for kind, name in parts.items() if name}

    async def learn(self, documents: Sequence[Document]) -> None:
        """Index documents."""
        await self.retrieval.knowledge.put(self.workspace, documents, progress=self.progress)

    async def search(self, question: str, *, language: str = "", limit: int) -> tuple[Found, str]:
        """What is found, and the language it was searched in: that of the question as guessed."""
        language = language or self.spoken(question)
        found = await self.retrieval.retriever.search(
            self.workspace, question, language=language, limit=limit
        )
        return found, language

    def spoken(self, text: str) -> str:
        """The language that the pipeline would take a first message for."""
        return choose(
            text,
            self._detector.guess(text),
            previous=None,
            chosen=False,
            hint=None,
            default=self.default_language,
        ).language


async def learn_file(product: Product, path: Path) -> Mapping[str, str]:
    """Index a file of documents; returns each row's `doc_id` by the id that we gave it."""
    rows = read([path], DocumentRow)
    # Ours are unique, where a set may use one id for all translations of a document.
    await product.learn(
        [
            Document(
                id=str(number),
                title=" ".join(tidy(row.title).split()),
                text=tidy(row.text),
                language=normalise_tag(row.lang),
            )
            for number, row in enumerate(rows)
        ]
    )
    return {str(number): row.doc_id for number, row in enumerate(rows)}


def unknown_documents(queries: Sequence[QueryRow], documents: Mapping[str, str]) -> tuple[str, ...]:
    """A note if questions ask for documents that are not there."""
    known = set(documents.values())
    lost = sum(query.doc_id not in known for query in queries)
    return (f"queries whose doc_id no document has, all missed: {lost}",) if lost else ()
