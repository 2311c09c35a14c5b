"""An encoder without a model: texts that share words get like vectors."""

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from retrieval.encoder import Vectors, normalised
from retrieval.lexicon import tokens

DIM = 64


class FakeEncoder:
    """Adds up a fixed random direction for each word; counts what it was asked to encode."""

    def __init__(self, id: str = "fake@1") -> None:
        self._id = id
        self.encoded: list[str] = []
        # Set and cleared by tests that need to look in while encoding is under way.
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    @property
    def id(self) -> str:
        return self._id

    async def questions(self, texts: Sequence[str]) -> Vectors:
        return np.concatenate([self._vector(text) for text in texts])

    async def passages(self, texts: Sequence[str]) -> Vectors:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        self.encoded.extend(texts)
        return np.concatenate([self._vector(text) for text in texts])

    async def counterparts(self, question: str, passages: Sequence[str]) -> Vectors:
        asked = set(tokens(question))
        held = [len(asked & set(tokens(passage))) / max(1, len(asked)) for passage in passages]
        return np.array(held, dtype=np.float32)

    def _vector(self, text: str) -> Vectors:
        words = tokens(text) or [text]
        total = sum((_direction(word) for word in words), np.zeros(DIM))
        return normalised(np.asarray([total], dtype=np.float32))


def _direction(word: str) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    direction: Vectors = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return direction
