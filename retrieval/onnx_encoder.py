"""A sentence encoder as an ONNX graph, which a CPU works through faster than torch does."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import Unavailable

GRAPH = Path("onnx") / "encoder.onnx"
"""Where a model folder keeps the graph: from numbers of tokens to `sentence_embedding`."""

TOKENIZER = Path("onnx") / "tokenizer.json"
"""Beside it, with the length to cut at and the padding in it."""

_PROMPTS = "config_sentence_transformers.json"
# The names that sentence-transformers looks for, in its order.
_PASSAGE = ("document", "passage", "corpus")


class GraphEncoder:
    """The graph of a model folder, loaded."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load it.

        Raises: Unavailable: graph or tokenizer cannot be read.
        """
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._graph = onnxruntime.InferenceSession(
                folder / GRAPH, options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        # Neither library has a base class for what it raises over a broken file.
        except Exception as error:
            raise Unavailable("encoder", f"{folder / GRAPH} cannot be loaded ({error})") from error
        self._inputs = [one.name for one in self._graph.get_inputs()]
        self._question, self._passage = _prompts(folder)

    def __call__(self, texts: Sequence[str], *, question: bool) -> NDArray[np.float32]:
        """Vectors float32 (n, dim), as the model gives them."""
        prompt = self._question if question else self._passage
        found = self._tokenizer.encode_batch([prompt + text for text in texts])
        columns = {
            "input_ids": [one.ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
            "token_type_ids": [one.type_ids for one in found],
        }
        given = {name: np.asarray(columns[name], np.int64) for name in self._inputs}
        vectors: Any = self._graph.run(["sentence_embedding"], given)[0]
        return np.asarray(vectors, np.float32)


def _prompts(folder: Path) -> tuple[str, str]:
    """What the model is told before a question, and before a passage."""
    path = folder / _PROMPTS
    settings = json.loads(path.read_bytes()) if path.exists() else {}
    prompts: dict[str, str] = settings.get("prompts") or {}
    passage = next((prompts[name] for name in _PASSAGE if name in prompts), "")
    return prompts.get("query", ""), passage
