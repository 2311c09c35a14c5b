"""Writes a sentence encoder as an ONNX graph (`retrieval.onnx_encoder` reads it)."""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn

from core.errors import Misconfigured, Rejected
from retrieval.onnx_encoder import GRAPH, TOKENIZER, GraphEncoder

# Several texts of unlike length: what holds for one may be its length's or its padding's doing.
_PROBES = ("How do I return a parcel?", "¿Dónde está mi pedido?", "退款", "a " * 40)
_CLOSE = 1e-3
# The longest that a customer's question and an article's passage get.
_MOST = 4096


class _Graph(nn.Module):
    """The encoder with its inputs by name, from tokens to one vector a text."""

    def __init__(self, encoder: SentenceTransformer) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, columns: dict[str, torch.Tensor]) -> torch.Tensor:
        vectors: torch.Tensor = self.encoder(dict(columns))["sentence_embedding"]
        return vectors


def write_graph(folder: Path, precision: Literal["float32", "int8"]) -> None:
    """Write the graph of the sentence encoder in `folder` beside its weights.

    With int8, the weights of its matrices are: activations are quantised as they come.

    Raises: Rejected: it is no sentence encoder of transformers, or has another result as a graph.
    """
    encoder = _load(folder)
    place = folder / GRAPH
    place.parent.mkdir(exist_ok=True)
    _export(encoder, place)
    _write_tokenizer(encoder, folder / TOKENIZER)
    wanted: Any = encoder.encode_document(list(_PROBES), show_progress_bar=False)
    found = GraphEncoder(folder, threads=1)(_PROBES, question=False)
    if np.abs(found - wanted).max() > _CLOSE:
        raise Rejected("graph: this encoder gives other vectors as a graph; leave it out")
    if precision == "int8":
        whole = place.with_suffix(".whole")
        place.rename(whole)
        # It advises a step that changes nothing here, by the root logger.
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(whole, place, per_channel=True, weight_type=QuantType.QInt8)
        finally:
            logging.disable(logging.NOTSET)
        whole.unlink()


def _load(folder: Path) -> SentenceTransformer:
    if not (folder / "modules.json").exists():
        raise Rejected("graph: the base is no folder of sentence-transformers; leave it out")
    try:
        encoder = SentenceTransformer(
            str(folder),
            device="cpu",
            trust_remote_code=False,
            local_files_only=True,
            # Fused attention has no counterpart in the graph.
            model_kwargs={"attn_implementation": "eager", "dtype": torch.float32},
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
        raise Misconfigured(f"{folder}: cannot be loaded as an encoder ({error})") from error
    if encoder.transformers_model is None or not hasattr(encoder.tokenizer, "backend_tokenizer"):
        raise Rejected("graph: only a transformer with a fast tokenizer has one; leave it out")
    return encoder.eval()


def _export(encoder: SentenceTransformer, path: Path) -> None:
    names = [
        name
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoder.tokenizer.model_input_names
    ]
    length = min(_MOST, encoder.max_seq_length or _MOST)
    texts, tokens = torch.export.Dim("texts", max=_MOST), torch.export.Dim("tokens", max=length)
    columns = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
    if "token_type_ids" in columns:
        columns["token_type_ids"] *= 0
    # The exporter tells of what it tries, and warns of its own internals.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Graph(encoder),
            # A dict that comes last would be taken for the names of arguments.
            (columns, {}),
            path,
            input_names=names,
            output_names=["sentence_embedding"],
            dynamic_shapes=({name: {0: texts, 1: tokens} for name in names},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _write_tokenizer(encoder: SentenceTransformer, path: Path) -> None:
    tokenizer = Tokenizer.from_str(encoder.tokenizer.backend_tokenizer.to_str())
    tokenizer.enable_truncation(encoder.max_seq_length or _MOST)
    padding = encoder.tokenizer
    tokenizer.enable_padding(pad_id=padding.pad_token_id, pad_token=padding.pad_token)
    tokenizer.save(str(path))
