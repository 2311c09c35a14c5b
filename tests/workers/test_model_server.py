"""A real `transformers serve` on a tiny model: started, used, killed, restarted, stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from transformers import AutoModelForCausalLM

from core.adapters.generator import HttpGenerator, Limits
from core.errors import Misconfigured, Unavailable
from core.pipeline import Pipeline
from core.prompt import Said
from core.turn import (
    Address,
    Answer,
    Channel,
    ConversationId,
    Passage,
    Turn,
    TurnId,
    WorkspaceId,
)
from tests.desk import READY_S
from tests.fakes.ports import FakeDetector, FakeRetriever, by
from tests.patience import PATIENCE_S, until
from tests.retrieval.test_model_folder import NO_WEIGHTS
from tests.workers.tiny_model import build
from tests.workers.training.small import silent
from workers.model_server import ModelServer, check_folder, serve_model
from workers.training.loading import load_tokenizer
from workers.training.writing import write

PASSAGE = Passage(
    id="p1",
    document="returns.en",
    title="Returns",
    text="You can return unused items within 30 days.",
    language="en",
)
TURN = Turn(
    id=TurnId(1),
    conversation=ConversationId(1),
    address=Address(workspace=WorkspaceId("main"), channel=Channel.WEB, place="v1"),
    text="How long do I have to return the shoes?",
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model"))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


async def _show(text: str) -> None:
    raise AssertionError("nothing that this model writes may be shown")


@pytest.mark.long
async def test_garbage_of_a_real_model_gives_way_to_the_passage_even_after_a_crash(
    model_folder: Path, tmp_path: Path
) -> None:
    async with serve_model(model_folder, tmp_path, backoff_s=0.1) as server:
        limits = Limits(first_token_s=PATIENCE_S, between_tokens_s=PATIENCE_S, max_tokens=24)
        async with HttpGenerator(server.url, model=server.model, limits=limits) as generator:
            assert await _pieces(generator) > 3
            pipeline = Pipeline(FakeDetector(), FakeRetriever(PASSAGE), by(generator))
            served = await pipeline.answer(TURN, _show)
            assert served.outcome == Answer(text=PASSAGE.text, citations=(PASSAGE,), verbatim=True)
            first = server.pid
            assert first
            with capture_logs() as logs:
                with _no_room_for(server.log_file):
                    os.kill(first, signal.SIGKILL)
                    await until(lambda: "model_server_restart_failed" in _events(logs))
                await until(lambda: "model_server_ready" in _events(logs), within_s=READY_S)
            assert server.pid != first
            assert await _pieces(generator) > 3
        last = server.pid
        assert last
    assert _gone(last)


def _events(logs: Sequence[Mapping[str, object]]) -> set[object]:
    return {entry["event"] for entry in logs}


@contextmanager
def _no_room_for(file: Path) -> Iterator[None]:
    """As on a full disk, it cannot be made."""
    file.unlink()
    file.mkdir()
    yield
    file.rmdir()


async def _pieces(generator: HttpGenerator) -> int:
    """How many pieces the model writes before it hits the limit of tokens."""
    count = 0
    try:
        async for _ in generator.write("How long?", [PASSAGE], language="en", history=()):
            count += 1
    except Unavailable:
        return count
    raise AssertionError("a model of random weights knows no end")


@pytest.mark.long
async def test_a_model_that_reads_from_both_sides_is_served_so(
    model_folder: Path, tmp_path: Path
) -> None:
    """Many replies at a time would have it read forwards, and write something else."""
    folder = tmp_path / "both"
    shutil.copytree(model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"is_causal": False}))
    asked = [Said(role="user", content="How long do I have to return the shoes?")]
    wanted, forwards = (
        write(
            AutoModelForCausalLM.from_pretrained(one),
            load_tokenizer(str(one)),
            [asked],
            max_new_tokens=8,
            progress=silent,
        )
        for one in (folder, model_folder)
    )
    assert wanted != forwards
    async with (
        serve_model(folder, tmp_path) as server,
        HttpGenerator(
            server.url,
            model=server.model,
            limits=Limits(first_token_s=PATIENCE_S, between_tokens_s=PATIENCE_S, max_tokens=8),
        ) as generator,
    ):
        assert [await generator.complete(asked)] == wanted


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of our death")
def test_the_server_dies_with_a_killed_parent(model_folder: Path, tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from workers.model_server import serve_model\n"
        "async def main():\n"
        "    async with serve_model(Path(sys.argv[1]), Path(sys.argv[2])) as server:\n"
        "        print('pid', server.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, str(model_folder), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if line.startswith("pid "))
        child = int(line.split()[1])
        parent.kill()
    deadline = time.monotonic() + PATIENCE_S
    while not _gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _gone(child)


@pytest.fixture
def broken_folder(model_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(model_folder, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    return folder


@pytest.mark.slow
async def test_a_model_that_cannot_be_loaded_is_one_clear_line(
    broken_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"cannot be served: .*model-server\.log") as caught:
        async with serve_model(broken_folder, tmp_path):
            pass
    assert "\n" not in str(caught.value)


def _folder(tmp_path: Path, **files: bytes) -> Path:
    """A folder that would pass, but for `files`; their names have `__` for the dot."""
    good = {
        "config__json": b"{}",
        "chat_template__jinja": b"{{ messages }}",
        "model__safetensors": NO_WEIGHTS,
    }
    for name, content in {**good, **files}.items():
        if content:
            (tmp_path / name.replace("__", ".")).write_bytes(content)
    return tmp_path


def test_a_folder_of_safetensors_is_taken(tmp_path: Path) -> None:
    check_folder(_folder(tmp_path))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config__json": b""}, "no config.json"),
        ({"pytorch_model__bin": b"x"}, "pytorch_model.bin"),
        ({"chat_template__jinja": b""}, "no chat template"),
    ],
)
def test_a_folder_that_is_unsafe_or_unfit_is_refused(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(Misconfigured, match=reason):
        check_folder(_folder(tmp_path, **files))


def test_the_child_of_a_dead_parent_does_not_start() -> None:
    command = [sys.executable, "-P", "-m", "workers.model_server", "1", "serve"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "the parent is gone"


def test_the_child_is_given_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("DRAGOMAN_DATABASE_URL", "postgresql://u:p@h/d")
    environment = ModelServer(tmp_path, tmp_path)._environment()
    assert "SLACK_BOT_TOKEN" not in environment
    assert "DRAGOMAN_DATABASE_URL" not in environment
    assert environment["HF_HUB_OFFLINE"] == "1"
