"""A small classifier on the vectors of a sentence encoder.

What the encoder reads alike is judged alike, in whatever language.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import Misconfigured
from retrieval.encoder import Vectors
from retrieval.model_folder import shipped

Probabilities = NDArray[np.float64]

_WEIGHTS, _BIAS = "weights", "bias"
FILE = "head.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Weights float32 (labels, dim) and bias float32 (labels,) for the vectors of one encoder.

    A text has the label `usual` unless the others together reach the probability `floor`; without
    a usual label, it has the likeliest one.
    """

    labels: tuple[str, ...]
    encoder: str
    weights: Vectors
    bias: Vectors
    usual: str = ""
    floor: float = 0.0

    def probabilities(self, vectors: Vectors) -> Probabilities:
        """Of each label for each of the vectors (n, dim), float64 (n, labels)."""
        scores = vectors.astype(np.float64) @ self.weights.T + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        shares: Probabilities = chances / chances.sum(axis=1, keepdims=True)
        return shares

    def judge(self, vectors: Vectors) -> list[str]:
        """The label of each of the vectors (n, dim)."""
        shares = self.probabilities(vectors)
        if not self.usual:
            return [self.labels[at] for at in shares.argmax(axis=1)]
        usual = self.labels.index(self.usual)
        unusual = 1 - shares[:, usual] >= self.floor
        shares[:, usual] = 0
        likeliest = shares.argmax(axis=1)
        return [
            self.labels[at if one else usual] for at, one in zip(likeliest, unusual, strict=True)
        ]


def save_head(head: Head, path: Path) -> None:
    """Write one safetensors file, whose metadata names labels and encoder."""
    told = {
        "labels": json.dumps(head.labels, ensure_ascii=False),
        "usual": head.usual,
        "floor": json.dumps(head.floor),
        "encoder": head.encoder,
    }
    # Of an array in another order, safetensors writes the numbers as they lie in memory.
    weights = np.ascontiguousarray(head.weights)
    save_file({_WEIGHTS: weights, _BIAS: head.bias}, path, metadata=told)


def open_head(path: Path, encoder: str) -> Head:
    """The head in a file, made for the encoder of this id.

    Raises: Misconfigured: there is none, or it was made for another encoder.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            told = file.metadata() or {}
            head = Head(
                labels=tuple(json.loads(told["labels"])),
                encoder=told["encoder"],
                weights=file.get_tensor(_WEIGHTS),
                bias=file.get_tensor(_BIAS),
                usual=told["usual"],
                floor=json.loads(told["floor"]),
            )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise Misconfigured(f"{path}: no classifier for an encoder's vectors") from error
    if head.encoder != encoder:
        raise Misconfigured(
            f"{path}: was made for the encoder {head.encoder}, not for {encoder}; train it again"
        )
    return head


def shipped_head(name: str, encoder: str) -> Head:
    """The head of this name that ships, for the encoder of this id.

    Raises: Misconfigured: it was made for another encoder.
    """
    return open_head(shipped(name) / FILE, encoder)
