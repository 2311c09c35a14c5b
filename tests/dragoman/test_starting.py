"""A start that is broken off."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.desk import ROOT, command, environment
from tests.patience import PATIENCE_S
from tests.services import free_port

pytestmark = pytest.mark.long


def test_a_port_that_is_taken_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = command("run", env=environment(tmp_path, port=port))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not (tmp_path / "dragoman.db").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "--port", "99999"), "65535"),
        (("ask", "When?", "--language", "klingonese"), "is no language tag"),
        (("detect", "caf\udcff"), "not UTF-8"),
    ],
)
def test_wrong_use_is_told_at_once(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = command(*words, env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_desk_that_still_reads_its_knowledge_stops_when_told_to(
    tmp_path: Path, how: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dragoman", "run"),
        env=environment(tmp_path, port=free_port()),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while b"demo_loading" not in await process.stderr.readline():
            assert process.returncode is None
        process.send_signal(how)
        rest = await process.stderr.read()
        assert await process.wait() == 0
    assert b"stopped_while_starting" in rest
    assert b"is ready" not in rest
