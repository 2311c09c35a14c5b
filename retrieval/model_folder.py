"""Model folders that can be loaded without running code of theirs."""

import json
from pathlib import Path
from typing import Any

from core.errors import Misconfigured

# Pickles, archives of them, other forms that libraries load in place of safetensors, scripts.
_UNSAFE = ".bin .pt .pth .pt2 .ckpt .pkl .pickle .joblib .h5 .keras .nemo .npz .msgpack .gguf .py"
_UNSAFE_ENDINGS = frozenset(_UNSAFE.split())
_SAFE_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
_MAX_HEADER_BYTES = 100_000_000


def shipped(name: str) -> Path:
    """The folder of a model that ships: beside this module in a wheel, else in the checkout."""
    beside = Path(__file__).with_name(name)
    return beside if beside.is_dir() else Path(__file__).parents[1] / "models" / name


def model_folder(model: str | Path | None) -> Path:
    """Where the files of a model lie, fetched from the hub if it is no folder.

    None is the encoder that ships.

    Raises: Misconfigured: it is neither a folder nor to be had from the hub.
    """
    if model is None:
        return shipped("starter-encoder")
    # An empty name would be the folder that this process happens to be in.
    if model != "" and Path(model).is_dir():
        return Path(model)
    if isinstance(model, Path) or model.count("/") != 1 or model.startswith(("/", ".", "~")):
        raise Misconfigured(f"{model}: no such model folder")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(_SAFE_FILES)))
    # The hub's errors have many roots; each means that the model is not to be had.
    except (OSError, ValueError, RuntimeError) as error:
        raise Misconfigured(
            f"{model}: neither a folder nor to be had from the model hub; download it first"
        ) from error


def check_safe(folder: Path) -> Path:
    """Return the folder if loading it can run nothing but our own code.

    Raises: Misconfigured: it holds no safetensors, or what may be or ask for code.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    unsafe = next((path for path in files if path.suffix.lower() in _UNSAFE_ENDINGS), None)
    if unsafe is not None:
        raise Misconfigured(
            f"{unsafe}: pickled weights can run code, and so can scripts;"
            " keep only *.safetensors in the folder"
        )
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights:
        raise Misconfigured(f"{folder}: holds no *.safetensors weights")
    for path in weights:
        _check_weights(path)
    for path in files:
        if path.suffix == ".json":
            _check_settings(path)
    return folder


def _check_weights(path: Path) -> None:
    """A safetensors file begins with the size of its JSON header, then the header."""
    with path.open("rb") as file:
        head = file.read(9)
    size = int.from_bytes(head[:8], "little")
    if head[8:] != b"{" or size > min(_MAX_HEADER_BYTES, path.stat().st_size):
        raise Misconfigured(f"{path} is not a safetensors file, whatever its name says")


def _check_settings(path: Path) -> None:
    written = path.read_bytes()
    try:
        content = json.loads(written)
    except ValueError as error:
        raise Misconfigured(f"{path} is not JSON") from error
    # It may stand deeper, or be spelt with escapes.
    if b'"auto_map"' in written or (isinstance(content, dict) and "auto_map" in content):
        raise Misconfigured(f"{path}: asks to run the model's own code (auto_map); refused")
    if path.name == "modules.json" and not all(map(_is_plain, content)):
        raise Misconfigured(f"{path}: names modules from outside sentence_transformers")


def _is_plain(module: Any) -> bool:
    """Whether an entry of `modules.json` names a class of the library itself."""
    kind = module.get("type") if isinstance(module, dict) else None
    return isinstance(kind, str) and kind.startswith("sentence_transformers.")
