"""A start that is broken off."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.desk import ROOT, environment
from tests.patience import PATIENCE_S
from tests.services import free_port

pytestmark = pytest.mark.long


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
