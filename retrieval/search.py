"""A question to passages of documents that still stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from core.adapters.documents import Documents
from core.turn import ConversationId, Found, Passage, WorkspaceId
from retrieval.hygiene import tidy
from retrieval.pairs import Served
from retrieval.ranking import Candidate, best_translation_only, choose, evidence, rank, read_again
from retrieval.reranker import Reranker
from retrieval.shelf import Shelf
from retrieval.writing import indexed_text

MAX_QUESTION_CHARS = 2_000
# Read from the ranking before the documents that are gone drop out.
CONSIDERED = 60
RERANKED = 20
# Of the 5 s that a search has; what takes longer to load serves from a later one on.
MAX_WAIT_S = 2.0

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
        ranked, lacking, exchange = await self._look(workspace, served, question, language)
        if lacking and question:
            if exchange is not None:
                # What was asked for may be what is gone: rather later than another answer.
                await asyncio.wait((exchange,), timeout=MAX_WAIT_S)
            # Without an exchange under way, one may have ended since the search began.
            newer = await self._shelf.current(workspace, conversation)
            if newer is not None and newer is not served:
                served = newer
                ranked, *_ = await self._look(workspace, served, question, language)
        nothing = Found(
            passages=(),
            probability=0.0,
            index=served.snapshot.version,
            encoder=served.fitted.encoder.id,
        )
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
                for candidate, passage in choose(best_translation_only(ranked), limit)
            ),
            probability=served.fitted.calibration.probability(proof, language),
        )

    async def _look(
        self, workspace: WorkspaceId, served: Served, question: str, language: str
    ) -> tuple[Ranked, bool, asyncio.Task[None] | None]:
        """The best candidates that still stand, without what was removed or reworded since.

        Returns: them, whether they lack something, and the exchange that is under way, if any.
        """
        found = await self._rank(served, question, language)
        ids = {passage.document for _, passage, _ in found}
        standing = await self._documents.standing(workspace, ids)
        exchange = self._shelf.notice(workspace, standing)
        ranked = [
            (candidate, passage)
            for candidate, passage, wording in found
            if standing.wordings.get(passage.document) == wording
        ]
        lacking = len(ranked) < len(found) or served.outdated_by(standing)
        return ranked, lacking, exchange

    async def _rank(
        self, served: Served, question: str, language: str
    ) -> list[tuple[Candidate, Passage, str]]:
        """The best candidates with their passages and the wordings these were cut from."""
        snapshot, weights = served.snapshot, served.fitted.calibration.coverage_weights
        if not question or not snapshot.shards:
            return []
        vector = (await served.fitted.encoder.questions([question]))[0]

        def work() -> list[tuple[Candidate, Passage, str]]:
            ranked = rank(snapshot, question, vector, language, weights)[:CONSIDERED]
            return [(c, *c.shard.texts[c.row]) for c in ranked]

        return await asyncio.to_thread(work)

    async def _reranked(self, question: str, ranked: Ranked, reranker: Reranker) -> Ranked:
        head = ranked[:RERANKED]
        judged = await reranker.judge(question, [indexed_text(passage) for _, passage in head])
        order = sorted(range(len(head)), key=lambda n: -judged[n])
        return [*(head[n] for n in order), *ranked[RERANKED:]]
