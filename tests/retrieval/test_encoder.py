import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import Misconfigured, Unavailable
from retrieval.encoder import (
    SentenceEncoder,
    check_model_folder,
    model_folder,
    normalised,
    open_encoder,
)


@pytest.fixture(scope="module")
def shipped() -> SentenceEncoder:
    return open_encoder(threads=2)


def model(folder: Path, **files: object) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
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


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.pkl", "deep/x.ckpt"])
def test_pickled_weights_are_refused(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path / "m")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04")
    with pytest.raises(Misconfigured, match="pickled weights"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config__json": {"auto_map": {"AutoModel": "evil.Model"}}}, "auto_map"),
        ({"modules__json": [{"type": "evil.Module"}]}, "outside sentence_transformers"),
    ],
)
def test_code_of_a_models_own_is_refused(
    tmp_path: Path, files: dict[str, object], said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_model_folder(model(tmp_path / "m", **files))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no \*\.safetensors"):
        check_model_folder(tmp_path)


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-model", "~/models/x"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="no such model folder"):
        model_folder(name)


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
