"""Models from folders and from the hub, and those that are refused."""

import hashlib
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from core.errors import Misconfigured
from tests.workers.training.named_models import build_gemma3, build_qwen3
from workers.training.loading import load_model, load_tokenizer, positions
from workers.training.recipe import Adapter


@pytest.mark.parametrize(
    ("architecture", "adapter", "count"),
    [
        ("bert", None, 514),
        ("mpnet", None, 512),
        ("camembert", None, 512),
        ("bert", Adapter(method="prefix", rank=16), 498),
        ("bert", Adapter(method="lora", rank=16), 514),
        ("t5", None, None),
        ("xlnet", None, None),
    ],
)
def test_positions_are_those_that_are_left_for_a_text(
    architecture: str, adapter: Adapter | None, count: int | None
) -> None:
    sizes = {} if count is None else {"max_position_embeddings": 514}
    config = AutoConfig.for_model(architecture, pad_token_id=1, **sizes)
    assert positions(config, adapter) == count


def refusal(folder: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        load_model(AutoModelForCausalLM, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def point_to(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask this hub, as HF_ENDPOINT does for a new process."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    template = hub + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_hub_that_does_not_answer_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        point_to(endpoint, monkeypatch)
        said = refusal("Qwen/no-such-model")
    assert said.startswith("Qwen/no-such-model: neither a folder nor to be had from the model hub")


class Hub(BaseHTTPRequestHandler):
    """The model hub, as far as it is asked; `models` holds a folder for each id."""

    models: ClassVar[dict[str, Path]] = {}

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "api":
            files = self.models["/".join(parts[2:4])].iterdir()
            listed = [
                {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": one.name}
                for one in files
            ]
            about = {"id": "x/y", "sha": "0" * 40, "siblings": []}
            self._answer(json.dumps(listed if parts[4] == "tree" else about).encode())
        else:
            self._answer((self.models["/".join(parts[:2])] / parts[-1]).read_bytes())

    do_HEAD = do_GET

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Silent."""


def test_only_what_is_safe_is_fetched_from_the_hub_and_the_template_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_gemma3(tmp_path / "model")
    (model / "pytorch_model.bin").write_bytes(b"pickled")
    (model / "modeling.py").write_text("code of its own")
    Hub.models["google/gemma"] = model
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        point_to(f"http://127.0.0.1:{server.server_port}", monkeypatch)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        tokenizer = load_tokenizer("google/gemma")
        load_model(AutoModelForCausalLM, "google/gemma")
        server.shutdown()
    assert tokenizer.chat_template
    fetched = {path.name for path in (tmp_path / "cache").rglob("*")}
    assert {"chat_template.jinja", "model.safetensors"} <= fetched
    assert not {"pytorch_model.bin", "modeling.py"} & fetched


def test_pickled_weights_and_code_of_a_models_own_are_refused(
    tmp_path: Path,
) -> None:
    pickled = build_qwen3(tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    assert "pytorch_model.bin: pickled weights can run code" in refusal(str(pickled))
    (pickled / "model.safetensors").unlink()
    assert "pytorch_model.bin: pickled weights can run code" in refusal(str(pickled))

    coded = build_qwen3(tmp_path / "coded")
    config = json.loads((coded / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Model"}
    (coded / "config.json").write_text(json.dumps(config))
    assert "asks to run the model's own code (auto_map); refused" in refusal(str(coded))
