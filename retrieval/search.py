"""A question to passages of documents that still stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from core.adapters.documents import Documents
from core.turn import ConversationId, Found, Passage, WorkspaceId
from retrieval.hygiene import tidy
from retrieval.pairs import Served
from retrieval.ranking import Candidate, best_translation_first, choose, evidence, rank, read_again
from retrieval.reranker import Reranker
from retrieval.shelf import Shelf
from retrieval.writing import indexed_text

MAX_QUESTION_CHARS = 2_000
# Read from the ranking before the documents that are gone drop out.
CONSIDERED = 60
RERANKED = 20

Ranked = Sequence[tuple[Candidate, Passage]]


class Search:
    """The retriever: two searches in each language, fused, judged, and checked against the rows."""

    def __init__(
        self,
        *,
        documents: Documents,
        shelf: Shelf,
        reranker: Reranker | None = None,
    ) -> None:
        """Search the shelf's snapshots, each with the encoder that built it."""
        self._documents = documents
        self._shelf = shelf
        self._reranker = reranker

    async def search(
        self,
        workspace: WorkspaceId,
        question: str,
        *,
        language: str,
        limit: int = 5,
        conversation: ConversationId | None = None,
    ) -> Found:
        """Search the workspace's current snapshot; see `core.ports.Retriever`."""
        question = tidy(question)[:MAX_QUESTION_CHARS]
        served = await self._shelf.current(workspace, conversation)
        if served is None:
            return Found(passages=(), probability=0.0, index="")
        nothing = Found(
            passages=(),
            probability=0.0,
            index=served.snapshot.version,
            encoder=served.fitted.encoder.id,
        )
        if not question:
            return nothing
        found = await self._rank(served, question, language)
        ranked = await self._standing(workspace, found)
        if ranked:
            ranked = await read_again(question, ranked, served.fitted.encoder)
        if self._reranker is not None and ranked:
            ranked = await self._reranked(question, ranked, self._reranker)
        if not ranked:
            return nothing
        proof = evidence(question, ranked)
        return replace(
            nothing,
            passages=tuple(
                replace(passage, score=candidate.score)
                for candidate, passage in choose(best_translation_first(ranked), limit)
            ),
            probability=served.fitted.calibration.probability(proof, language),
        )

    async def _rank(
        self, served: Served, question: str, language: str
    ) -> list[tuple[Candidate, Passage, str]]:
        """The best candidates with their passages and the wordings these were cut from."""
        snapshot, weights = served.snapshot, served.fitted.calibration.coverage_weights
        if not snapshot.shards:
            return []
        vector = (await served.fitted.encoder.questions([question]))[0]

        def work() -> list[tuple[Candidate, Passage, str]]:
            ranked = rank(snapshot, question, vector, language, weights)[:CONSIDERED]
            return [(c, *c.shard.texts[c.row]) for c in ranked]

        return await asyncio.to_thread(work)

    async def _standing(
        self, workspace: WorkspaceId, ranked: Sequence[tuple[Candidate, Passage, str]]
    ) -> Ranked:
        """Leave out what was removed or reworded since the snapshot was built."""
        ids = {passage.document for _, passage, _ in ranked}
        standing = await self._documents.standing(workspace, ids)
        self._shelf.notice(workspace, standing)
        return [
            (candidate, passage)
            for candidate, passage, wording in ranked
            if standing.wordings.get(passage.document) == wording
        ]

    async def _reranked(self, question: str, ranked: Ranked, reranker: Reranker) -> Ranked:
        head = ranked[:RERANKED]
        judged = await reranker.judge(question, [indexed_text(passage) for _, passage in head])
        order = sorted(range(len(head)), key=lambda n: -judged[n])
        return [*(head[n] for n in order), *ranked[RERANKED:]]
