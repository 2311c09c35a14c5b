"""What our knowledge says to a turn, in as many searches as its message needs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from core import escalation
from core.escalation import Policy, Step
from core.excerpt import excerpt, select
from core.language import without_request
from core.ports import Retriever
from core.questions import Question, is_ellipsis, leans_on_context, questions
from core.reply import Asked
from core.turn import Found, Turn
from core.verify import visible
from core.wishes import without_courtesies


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found, what follows from it, and the question that an answer must be closest to."""

    question: str
    found: Found
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One turn, and where an answer to it is looked for."""

    retriever: Retriever
    policy: Policy
    turn: Turn
    asked: Asked

    async def look(self) -> tuple[Looked, ...]:
        """The outcome of the search; of several questions that all have an answer, each one's.

        Raises:
            Unavailable: the search failed.
            TimeoutError: it took longer than `policy.search_s`.
        """
        plain = without_courtesies(without_request(self.asked.text) or self.asked.text)
        parts = questions(plain)
        if len(parts) > 1 and (each := await self._each(parts)):
            return each
        return (await self._one(plain, parts[0] if len(parts) == 1 else Question(plain)),)

    async def _each(self, parts: Sequence[Question]) -> tuple[Looked, ...]:
        """What answers each question; nothing unless all are, by a document of their own."""
        each: list[Looked] = []
        for part in parts:
            looked = await self._surer(part, await self._judged(part.text))
            if looked.step is not Step.ANSWER:
                return ()
            each.append(looked)
        documents = {looked.found.passages[0].document for looked in each}
        return tuple(each) if len(documents) == len(each) else ()

    async def _one(self, plain: str, question: Question) -> Looked:
        """Search for the message, or, where it is half a question, with the one before."""
        before = without_request(escalation.last_question(self.asked.history))
        choosing = escalation.asked_back(self.asked.history)
        together = f"{before}\n{plain}"
        leans = bool(before) and leans_on_context(plain)
        half = leans and is_ellipsis(plain)
        if half and (joint := await self._jointly(together, plain)):
            return joint
        looked = await self._judged(plain, may_ask=not choosing)
        if titled := escalation.picked(self.turn.text, looked.found.passages):
            return Looked(
                question=together if choosing else plain,
                found=replace(looked.found, passages=titled),
                step=Step.ANSWER,
            )
        if leans and not half and looked.step is not Step.ANSWER:
            return await self._jointly(together, plain) or looked
        return await self._surer(question, looked)

    async def _surer(self, question: Question, whole: Looked) -> Looked:
        """What is found for a question without what is told beside it, if that is surer.

        "I ordered a tent last week. Where is my invoice?" is about no tent.
        """
        if not question.alone:
            return whole
        alone = await self._judged(question.alone)
        surer = alone.found.probability > whole.found.probability or whole.step is not Step.ANSWER
        return alone if alone.step is Step.ANSWER and surer else whole

    async def _jointly(self, together: str, question: str) -> Looked | None:
        """What both questions together find; None if that is no answer, or the one just given."""
        joint = await self._judged(together)
        if joint.step is not Step.ANSWER:
            return None
        chosen, _ = select(joint.found.passages, question, self.asked.language)
        parts = [visible(excerpt(passage.text, question)) for passage in chosen]
        again = escalation.tells_nothing_new(parts, question, self.turn.history)
        return None if again else replace(joint, question=question)

    async def _judged(self, question: str, *, may_ask: bool = False) -> Looked:
        async with asyncio.timeout(self.policy.search_s):
            found = await self.retriever.search(
                self.turn.address.workspace,
                question,
                language=self.asked.language,
                # A question from nowhere is answered what most customers are.
                conversation=self.turn.conversation or None,
            )
        step = escalation.decide(
            found,
            question,
            self.policy,
            language=self.asked.language,
            owner=self.turn.owner,
            may_ask=may_ask,
        )
        return Looked(question=question, found=found, step=step)


def together(each: Sequence[Looked]) -> Found:
    """What was found for several questions, as sure as the least sure; the best of each first."""
    found = [looked.found for looked in each]
    ranks = zip_longest(*(one.passages for one in found))
    passages = {passage.id: passage for rank in ranks for passage in rank if passage is not None}
    return replace(
        found[0],
        passages=tuple(passages.values())[: max(len(one.passages) for one in found)],
        probability=min(one.probability for one in found),
    )
