"""Versions of an encoder for tests: real model folders of a few thousand random weights, sealed."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.adapters.database import Database
from core.adapters.sealing import seal
from core.adapters.versions import Made, Version, Versions
from core.nights import VersionKind, version_folder
from core.turn import WorkspaceId
from retrieval.calibration import (
    ANY_ENCODER,
    SHIPPED,
    Figures,
    read_calibration,
    write_calibration,
)
from retrieval.encoder import CALIBRATION, SentenceEncoder

KEY = "dGhlIGluc3RhbGxhdGlvbidzIHNlYWxpbmcga2V5ISE="
WORDS = (
    "you may send a parcel back within thirty days express delivery takes two working a new subject"
)
_DIM = 64


def build_encoder(folder: Path, *, seed: int, words: Iterable[str] = WORDS.split()) -> Path:
    """A sentence encoder that adds up a random direction for each word, with its calibration."""
    # Seconds, which most users of this module need not wait.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {"[UNK]": 0, **{word: n for n, word in enumerate(dict.fromkeys(words), 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    weights = np.random.default_rng(seed).standard_normal((len(vocabulary), _DIM))
    body = StaticEmbedding(tokenizer, embedding_weights=weights.astype(np.float32))
    SentenceTransformer(modules=[body], device="cpu").save(str(folder))
    calibration = read_calibration(SHIPPED / f"{ANY_ENCODER}.json")
    encoder = SentenceEncoder(folder, threads=1).id
    # Each is told from the others by its threshold at a precision of 0.8.
    figures = {"*": _figures(0.3 + seed / 1_000)}
    fitted = calibration.model_copy(update={"encoder": encoder, "figures": figures})
    write_calibration(fitted, folder / CALIBRATION)
    return folder


async def add_version(
    database: Database,
    data_dir: Path,
    name: str,
    *,
    seed: int,
    workspace: WorkspaceId,
    parent: str | None = None,
    slot: str = "",
) -> Version:
    """Build and register a candidate, as a night does before it publishes it."""
    folder = build_encoder(version_folder(data_dir, workspace, name), seed=seed)
    return await Versions(database).add(
        workspace,
        Made(
            kind=VersionKind.ENCODER,
            name=name,
            slot=slot,
            parent=parent,
            manifest=seal(folder, workspace=workspace, key=KEY),
            data_sha256="d" * 64,
            code_version="1",
            metrics={},
        ),
    )


def _figures(threshold: float) -> Figures:
    return Figures(
        questions=100,
        auroc=0.9,
        brier=0.1,
        calibration_error=0.05,
        thresholds={"0.8": threshold},
        coverage={"0.8": 0.5},
    )
