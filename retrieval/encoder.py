"""Texts to vectors by a sentence-transformers model."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from core.errors import Unavailable
from retrieval.counterparts import Counterparts
from retrieval.model_folder import check_safe, model_folder
from retrieval.onnx_encoder import GRAPH, GraphEncoder
from retrieval.own_thread import OwnThread

# Small enough that a customer's question, which waits for one batch, hardly notices.
BATCH = 16

CALIBRATION = "calibration.json"
"""Where a model folder may keep what was learnt about its probabilities; no part of its id."""

NOT_LOADED = (
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
    ImportError,
    TypeError,
    AttributeError,
    SafetensorError,
)
"""What the loaders of the libraries stumble over; the folder is at fault each time."""

# More gain little on texts of a few sentences.
MOST_THREADS = 4

Vectors = NDArray[np.float32]


class _Encode(Protocol):
    """Turns texts into vectors, float32 (n, dim), of any length."""

    def __call__(self, texts: Sequence[str], *, question: bool) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class _Model:
    """What encodes, and what compares words, if the model shows them."""

    encode: _Encode
    words: Counterparts | None = None


class Encoder(Protocol):
    """Turns texts into vectors, float32 (n, dim), rows L2-normalised."""

    @property
    def id(self) -> str:
        """Tells these weights from any others."""
        ...

    async def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors to search with."""
        ...

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors to be found."""
        ...

    async def counterparts(self, question: str, passages: Sequence[str]) -> Vectors:
        """How much of a question each passage has, word for word, float32 (n,).

        See `retrieval.counterparts`; all are 0 where the model does not show its words.
        """
        ...


class SentenceEncoder:
    """A model folder, read when the first text comes."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Check and fingerprint the folder; torch is not touched yet.

        Raises: Misconfigured: the folder holds no model, pickled weights or code of its own.
        """
        self._folder = check_safe(folder)
        self._threads = threads
        # A model folder inside a package is called `model`; the one above it says more.
        name = folder.name if folder.name != "model" else folder.parent.name
        self._id = f"{name}@{_fingerprint(folder)}"
        self._loaded: _Model | None = None
        self._thread = OwnThread("encoder")

    @property
    def id(self) -> str:
        """The folder's name with a hash over its files."""
        return self._id

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._folder

    async def questions(self, texts: Sequence[str]) -> Vectors:
        """Encode as questions, with the model's own prompt for them if it has one."""
        return await self._encode(texts, question=True)

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Encode as passages, with the model's own prompt for them if it has one."""
        return await self._encode(texts, question=False)

    async def counterparts(self, question: str, passages: Sequence[str]) -> Vectors:
        """Compare word for word; this needs the model's table of words and no computing with it."""
        return await self._thread.run(self._compare, question, passages)

    def _compare(self, question: str, passages: Sequence[str]) -> Vectors:
        words = self._model().words
        if words is None:
            return np.zeros(len(passages), dtype=np.float32)
        return words.shares(question, passages)

    async def _encode(self, texts: Sequence[str], *, question: bool) -> Vectors:
        parts: list[Vectors] = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            parts.append(await self._thread.run(self._encode_batch, batch, question))
        return np.concatenate(parts)

    def _encode_batch(self, texts: list[str], question: bool) -> Vectors:
        return normalised(self._model().encode(texts, question=question))

    def _model(self) -> _Model:
        if self._loaded is None:
            self._loaded = _load(self._folder, self._threads)
        return self._loaded


def normalised(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1.

    Raises: Unavailable: a row is zero or not finite, so that the model must be broken.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or not lengths.all():
        raise Unavailable("encoder", "the model wrote a vector without direction")
    scaled: Vectors = (vectors / lengths).astype(np.float32)
    return scaled


def open_encoder(model: str | Path | None = None, *, threads: int | None = None) -> SentenceEncoder:
    """The encoder of a folder or hub id; None is the one that ships.

    Raises: Misconfigured: there is no such model, or it is not safe to load.
    """
    return SentenceEncoder(model_folder(model), threads=threads)


def first_line(error: BaseException) -> str:
    """What a library said first; the rest is advice for programmers."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]


def _fingerprint(folder: Path) -> str:
    total = hashlib.sha256()
    weighty = {".safetensors", ".json", ".txt", ".model", ".onnx"}
    for path in sorted(folder.rglob("*")):
        if path.suffix in weighty and path != folder / CALIBRATION:
            with path.open("rb") as file:
                total.update(path.relative_to(folder).as_posix().encode())
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def _load(folder: Path, threads: int | None) -> _Model:
    """The folder's graph, which keeps its words to itself, if it has one."""
    if (folder / GRAPH).exists():
        return _Model(
            GraphEncoder(folder, threads=threads or min(MOST_THREADS, os.cpu_count() or 1))
        )
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    from retrieval.processor import bfloat16_is_fast

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no stubs
    # Its own number is that of the cores, or what OMP_NUM_THREADS says.
    torch.set_num_threads(threads or min(MOST_THREADS, torch.get_num_threads()))
    try:
        model = SentenceTransformer(str(folder), trust_remote_code=False, local_files_only=True)
    except NOT_LOADED as error:
        raise Unavailable("encoder", f"{folder} cannot be loaded ({first_line(error)})") from error
    if not bfloat16_is_fast():
        model.float()

    def encode(texts: Sequence[str], *, question: bool) -> Vectors:
        form: Any = model.encode_query if question else model.encode_document
        vectors = form(
            list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(vectors, dtype=np.float32)

    return _Model(encode, _words(model))


def _words(model: Any) -> Counterparts | None:
    """The model's word pieces, if it is a transformer with a tokenizer of `tokenizers`."""
    from tokenizers import Tokenizer

    transformer = getattr(model[0], "auto_model", None)
    tokenizer = getattr(getattr(model[0], "tokenizer", None), "backend_tokenizer", None)
    if transformer is None or tokenizer is None:
        return None
    table = transformer.get_input_embeddings().weight.detach().float().cpu().numpy()
    return Counterparts(Tokenizer.from_str(tokenizer.to_str()), table)
