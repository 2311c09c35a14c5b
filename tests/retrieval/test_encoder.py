import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import Unavailable
from retrieval.encoder import SentenceEncoder, normalised, open_encoder
from tests.retrieval.test_model_folder import NO_WEIGHTS


@pytest.fixture(scope="module")
def shipped() -> SentenceEncoder:
    return open_encoder(threads=2)


def model(folder: Path, **files: object) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(NO_WEIGHTS)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(json.dumps(content))
    return folder


@pytest.mark.long
async def test_vectors_have_length_one_and_like_texts_are_near(shipped: SentenceEncoder) -> None:
    texts = ["How do I return a parcel?", "Sending an order back", "The moon is far away"] * 7
    passages, questions = await asyncio.gather(
        shipped.passages(texts), shipped.questions(["I want to send my order back"])
    )
    assert passages.shape == (21, 384)
    assert passages.dtype == np.float32
    assert np.allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)
    near, _, far = (passages @ questions[0])[[1, 0, 2]]
    assert near > far + 0.3


def test_the_id_follows_the_files(tmp_path: Path) -> None:
    folder = model(tmp_path / "mine", config__json={"a": 1})
    first = SentenceEncoder(folder, threads=1).id
    assert first.startswith("mine@")
    (folder / "calibration.json").write_text("{}")
    assert SentenceEncoder(folder, threads=1).id == first
    (folder / "config.json").write_text('{"a": 2}')
    assert SentenceEncoder(folder, threads=1).id != first


async def test_a_broken_model_is_unavailable_in_one_line(tmp_path: Path) -> None:
    encoder = SentenceEncoder(model(tmp_path / "m", config__json={}), threads=1)
    with pytest.raises(Unavailable, match="encoder"):
        await encoder.questions(["hello"])


def test_a_vector_without_direction_is_refused() -> None:
    for bad in (np.zeros((1, 4), np.float32), np.full((1, 4), np.nan, np.float32)):
        with pytest.raises(Unavailable):
            normalised(bad)


@pytest.mark.long
def test_importing_retrieval_does_not_load_torch() -> None:
    code = "import sys, retrieval.opening; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
