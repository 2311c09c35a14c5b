"""What may be loaded, and what may be code under whatever name."""

import json
from pathlib import Path

import pytest

from core.errors import Misconfigured
from retrieval.model_folder import check_safe, model_folder

NO_WEIGHTS = (2).to_bytes(8, "little") + b"{}"
UNSAFE = (
    "pytorch_model.bin weights.PT weights.pth model.pkl model.pickle model.pt2 deep/x.ckpt"
    " model.joblib tf_model.h5 model.keras model.nemo model.npz flax_model.msgpack model.gguf"
    " modeling_evil.py deep/modeling_evil.py"
)
CODE = {"AutoModel": "evil.Model"}


def folder_of(folder: Path, files: dict[str, bytes]) -> Path:
    """A folder that would pass, but for `files`."""
    for name, content in ({"config.json": b"{}", "model.safetensors": NO_WEIGHTS} | files).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_of_safetensors_is_taken(tmp_path: Path) -> None:
    assert check_safe(folder_of(tmp_path, {"1_Pooling/config.json": b"{}"})) == tmp_path


@pytest.mark.parametrize("name", UNSAFE.split())
def test_pickles_and_scripts_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name}: pickled weights can run code"):
        check_safe(folder_of(tmp_path, {name: b"x"}))


@pytest.mark.parametrize(
    "weights",
    [b"", b"x", b"\x80\x04\x95 a pickle in disguise", (1 << 40).to_bytes(8, "little") + b"{}"],
)
def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(Misconfigured, match="whatever its name"):
        check_safe(folder_of(tmp_path, {"2_Dense/model.safetensors": weights}))


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("config.json", json.dumps({"auto_map": CODE}), "auto_map"),
        ("tokenizer_config.json", '{"auto_map": {}}', "auto_map"),
        ("deep/config.json", json.dumps({"auto_map": CODE}), "auto_map"),
        ("config.json", json.dumps({"text_config": {"auto_map": CODE}}), "auto_map"),
        ("config.json", r'{"auto\u005fmap": {}}', "auto_map"),
        ("modules.json", json.dumps([{"type": "evil.Module"}]), "outside sentence_transformers"),
        ("modules.json", json.dumps({"type": "evil.Module"}), "outside sentence_transformers"),
        ("config.json", "{", "not JSON"),
    ],
)
def test_settings_that_ask_for_code_are_refused(
    tmp_path: Path, name: str, settings: str, said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_safe(folder_of(tmp_path, {name: settings.encode()}))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no \*\.safetensors"):
        check_safe(tmp_path)


@pytest.mark.parametrize("name", ["", "/no/such/folder", "no-such-model", "~/models/x"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="no such model folder"):
        model_folder(name)
