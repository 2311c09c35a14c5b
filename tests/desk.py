"""The whole desk as its operator runs it, in a process of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from dragoman.settings import variables
from tests.patience import PATIENCE_S, http_client
from tests.services import free_port

ROOT = Path(__file__).parents[1]
# Loading everything, on a machine that is busy with other things.
READY_S = 480


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """This process's environment with these settings and no others."""
    names = variables()
    kept = {name: value for name, value in os.environ.items() if name not in names.values()}
    given = {names[name]: str(value) for name, value in settings.items()}
    # At two o'clock, too, a desk of a test has something else to do.
    return kept | {"DRAGOMAN_DATA_DIR": str(data_dir), "DRAGOMAN_NIGHTS": "false"} | given


def command(
    *arguments: str, env: Mapping[str, str], cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `dragoman …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "dragoman", *arguments],
        env=dict(env),
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
        timeout=READY_S,
    )


def make_demo_home(data_dir: Path) -> None:
    """A data folder with the demo company loaded, as the first start leaves it."""
    done = command("ask", "hello", env=environment(data_dir))
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def running(
    home: Path, data_dir: Path, *, installed: Path | None = None, **settings: object
) -> AsyncIterator[str]:
    """`dragoman run` on a copy of a data folder; yields its URL once it is ready.

    With `installed` the program is the one in that folder, and the checkout is not in sight.
    """
    shutil.copytree(home, data_dir)
    port = free_port()
    env = environment(data_dir, port=port, **settings)
    if installed is not None:
        env["PYTHONPATH"] = str(installed)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dragoman", "run"),
        env=env,
        cwd=installed or ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines: list[str] = []
    reading = asyncio.create_task(_read(process.stderr, lines))
    url = f"http://127.0.0.1:{port}"
    try:
        await _ready(url, process, lines)
        yield url
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0, "".join(lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def _read(stream: asyncio.StreamReader, lines: list[str]) -> None:
    async for line in stream:
        lines.append(line.decode())


async def _ready(url: str, process: asyncio.subprocess.Process, lines: list[str]) -> None:
    async with http_client() as client, asyncio.timeout(READY_S):
        while True:
            assert process.returncode is None, "".join(lines)
            try:
                if (await client.get(f"{url}/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
