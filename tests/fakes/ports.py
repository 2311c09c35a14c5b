"""A detector, a retriever and a generator that do as they are told."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from core.ports import Generator
from core.turn import ConversationId, Found, Meaning, Message, Passage, WorkspaceId


class FakeDetector:
    """Knows the language of the texts that it was told; the first that is part of a text counts."""

    def __init__(self, known: Mapping[str, str] | None = None, *, otherwise: str = "en") -> None:
        self.known = dict(known or {})
        self.otherwise = otherwise
        self.fault: Exception | None = None

    async def detect(self, text: str) -> Sequence[tuple[str, float]]:
        if self.fault:
            raise self.fault
        tag = next((tag for part, tag in self.known.items() if part in text), self.otherwise)
        return [(tag, 0.98)] if text.strip() else []


class FakeRetriever:
    """Finds what it was told to find; `asked` holds every question that reached it."""

    def __init__(
        self, *passages: Passage, probability: float = 0.9, index: str = "index-1"
    ) -> None:
        self.found = Found(passages=passages, probability=probability, index=index)
        self.by_question: dict[str, Found] = {}
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.delay_s = 0.0

    async def search(
        self,
        workspace: WorkspaceId,
        question: str,
        *,
        language: str,
        limit: int = 5,
        conversation: ConversationId | None = None,
    ) -> Found:
        self.asked.append(question)
        await asyncio.sleep(self.delay_s)
        if self.fault:
            raise self.fault
        return self.by_question.get(question, self.found)


class FakeEar:
    """Hears one meaning in everything; `heard` holds every text that reached it."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self.heard: list[str] = []
        self.fault: Exception | None = None

    async def hear(self, text: str) -> Meaning:
        self.heard.append(text)
        if self.fault:
            raise self.fault
        return self.meaning


class FakeGenerator:
    """Writes `text` word by word; `asked` holds the questions, `closed` the calls that ended."""

    def __init__(self, text: str = "", *, model: str = "fake-1") -> None:
        self.text = text
        self.fault: Exception | None = None
        self.stalls = False
        self.asked: list[str] = []
        self.histories: list[Sequence[Message]] = []
        self.written: list[str] = []
        self.closed = 0
        self._model = model

    @property
    def model(self) -> str:
        return self._model

    async def write(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        language: str,
        history: Sequence[Message],
    ) -> AsyncGenerator[str, None]:
        self.asked.append(question)
        self.histories.append(history)
        try:
            for piece in self.text.split(" "):
                self.written.append(piece)
                yield piece + " "
            if self.stalls:
                await asyncio.sleep(60)
            if self.fault:
                raise self.fault
        finally:
            self.closed += 1


def by(generator: Generator) -> Callable[[WorkspaceId], Generator]:
    """The same generator in every workspace."""
    return lambda _: generator
