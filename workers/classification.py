"""Tells the sentiment of texts, or the entities in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import Misconfigured
from retrieval.encoder import Encoder
from retrieval.head import shipped_head
from workers.loading import LazyModel, max_tokens

SENTIMENTS = ("positive", "neutral", "negative")
# Tokens that two windows over a long text share, so that no word is read without those before it.
_SHARED = 32


class SentimentClassifier(Protocol):
    """What tells whether a text is positive, neutral or negative."""

    @property
    def name(self) -> str:
        """The model's name."""

    async def classify(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, 3) in the order of SENTIMENTS; the end of a long text is not read."""


class SentimentHead:
    """The small classifier that ships, on the vectors of the encoder that ships."""

    def __init__(self, encoder: Encoder) -> None:
        """Raises: Misconfigured: it was made for another encoder."""
        self._encoder = encoder
        self._head = shipped_head("sentiment", encoder.id)
        self._places = [self._head.labels.index(one) for one in SENTIMENTS]

    @property
    def name(self) -> str:
        """What it is, and on which encoder: another version of that is another classifier."""
        return f"sentiment on {self._head.encoder}"

    async def classify(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, 3) in the order of SENTIMENTS; the end of a long text is not read."""
        vectors = await self._encoder.questions(texts)
        return self._head.probabilities(vectors)[:, self._places]


class SentimentModel:
    """A classifier of transformers, for positive, negative and, if it knows that, neutral."""

    def __init__(self, model: str | Path) -> None:
        """Take a folder or hub id.

        Raises: Misconfigured: there is no such model, it is not safe to load, or its labels are
        others.
        """
        self._model = LazyModel(model, "AutoModelForSequenceClassification")
        labels = self._model.labels()
        meant = [_sentiment(label) for label in labels]
        if not {"positive", "negative"} <= set(meant) or len(set(meant)) < len(labels):
            raise Misconfigured(
                f"{self._model.folder}: its labels are {', '.join(labels)}; for sentiment they must"
                f" be {', '.join(SENTIMENTS)}"
            )
        self._places = [meant.index(one) if one in meant else None for one in SENTIMENTS]

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    async def classify(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, 3) in the order of SENTIMENTS; the end of a long text is not read."""
        rows = await self._model.run(self._classify, texts, len)
        return np.array(rows, np.float64).reshape(-1, len(SENTIMENTS))

    def _classify(self, model: Any, tokenizer: Any, texts: list[str]) -> list[list[float]]:
        limit = max_tokens(model, tokenizer)
        inputs = tokenizer(
            texts, padding=True, truncation=True, max_length=limit, return_tensors="pt"
        )
        rows = model(**inputs).logits.softmax(-1).tolist()
        return [[0.0 if at is None else row[at] for at in self._places] for row in rows]


class EntityTagger:
    """A model with BIO labels, such as B-PER."""

    def __init__(self, model: str | Path) -> None:
        """Take a folder or hub id.

        Raises: Misconfigured: there is no such model, it is not safe to load, or its labels are
        others.
        """
        self._model = LazyModel(model, "AutoModelForTokenClassification")
        self._labels = self._model.labels()
        if "O" not in self._labels or not any("-" in label for label in self._labels):
            raise Misconfigured(
                f"{self._model.folder}: its labels are {', '.join(self._labels)}; for entities they"
                " must be O, B-PER, I-PER and so on"
            )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    async def tag(self, texts: Sequence[Sequence[str]]) -> list[list[str]]:
        """A label for each token of each text, that of its first piece."""
        return await self._model.run(self._tag, texts, len)

    def _tag(self, model: Any, tokenizer: Any, texts: list[Sequence[str]]) -> list[list[str]]:
        if not tokenizer.is_fast:
            raise Misconfigured(f"{self._model.folder}: needs a tokenizer.json")
        tags = [["O"] * len(text) for text in texts]
        seen: set[tuple[int, int]] = set()
        limit = max_tokens(model, tokenizer)
        inputs = tokenizer(
            [list(text) for text in texts],
            is_split_into_words=True,
            padding=True,
            truncation=True,
            max_length=limit,
            stride=min(_SHARED, limit // 4),
            return_overflowing_tokens=True,
            return_tensors="pt",
        )
        rows = inputs.pop("overflow_to_sample_mapping").tolist()
        for window, best in enumerate(model(**inputs).logits.argmax(-1).tolist()):
            for piece, word in enumerate(inputs.word_ids(window)):
                place = (rows[window], word)
                if word is not None and place not in seen:
                    seen.add(place)
                    tags[rows[window]][word] = self._labels[best[piece]]
        return tags


def _sentiment(label: str) -> str:
    """Which of ours a model's label means, such as POS; itself if none."""
    return next((one for one in SENTIMENTS if one[:3] == label.casefold()[:3]), label)
