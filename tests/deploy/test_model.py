"""The model server of compose and Kubernetes is found ready once it has loaded its model."""

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy import manifests
from tests.patience import PATIENCE_S, http_client, until
from tests.services import free_port
from tests.workers.tiny_model import build

pytestmark = pytest.mark.long


def _compose() -> tuple[str, str]:
    service = manifests.compose()["services"]["model"]
    return service["command"][0].replace("$$", "$"), service["healthcheck"]["test"][-1]


def _kubernetes() -> tuple[str, str]:
    [container] = dict(manifests.pods())["model"]["containers"]
    return container["args"][0], container["startupProbe"]["exec"]["command"][-1]


@contextmanager
def _served(command: str, environment: dict[str, str], port: int) -> Iterator[None]:
    transformers = Path(sys.executable).with_name("transformers")
    line = command.replace("transformers serve", f"{shlex.quote(str(transformers))} serve")
    line = line.replace("--port 8000", f"--port {port}").replace("0.0.0.0", "127.0.0.1")
    child = subprocess.Popen(["sh", "-c", line], env=environment)
    try:
        yield
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


def _asked(probe: str, environment: dict[str, str], port: int) -> bool:
    code = probe.replace(":8000", f":{port}")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.parametrize("told", [_compose, _kubernetes], ids=["compose", "kubernetes"])
async def test_it_is_ready_once_it_has_its_model(
    told: Callable[[], tuple[str, str]], tmp_path: Path
) -> None:
    command, probe = told()
    port, folder = free_port(), build(tmp_path / "model")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    with _served(command, environment, port):
        there = {**environment, "DRAGOMAN_MODEL": str(folder)}
        await until(lambda: asyncio.to_thread(_asked, probe, there, port))
        elsewhere = {**environment, "DRAGOMAN_MODEL": str(tmp_path / "nothing")}
        assert not _asked(probe, elsewhere, port)
        asked = {
            "model": str(folder),
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1,
        }
        async with http_client(f"http://127.0.0.1:{port}") as client:
            assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
