"""Programs are kept running, and the balancer finds one that serves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bots.server import build_app, serving
from core.errors import Unavailable
from deploy import programs
from deploy.balancer import Balancer, Upstream, address
from deploy.programs import Program, keeping
from deploy.stack import Plan, running
from tests.patience import http_client, until
from tests.services import free_port

SLEEPER = "import signal; signal.pause()"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PAUSE_S", 0.01)


async def test_what_dies_is_started_again_and_ends_with_the_block(tmp_path: Path) -> None:
    program = Program(name="sleeper", command=(sys.executable, "-c", SLEEPER))
    async with keeping([program], tmp_path) as kept:
        sleeper = kept["sleeper"]
        await until(lambda: sleeper.pid)
        first = sleeper.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: sleeper.pid not in (None, first))
        second = sleeper.pid
        assert second is not None
        assert sleeper.starts == 2
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_what_does_not_come_up_is_named_with_its_last_words(tmp_path: Path) -> None:
    program = Program(
        name="broken",
        command=(sys.executable, "-c", "raise SystemExit('no such thing')"),
        ready=("127.0.0.1", free_port()),
    )
    async with keeping([program], tmp_path) as kept:
        await until(lambda: "no such thing" in kept["broken"].last_words())
        with pytest.raises(Unavailable, match="no such thing"):
            await kept["broken"].ready(0.1)


async def test_programs_die_with_whoever_keeps_them(tmp_path: Path) -> None:
    keeper = f"""
import asyncio, sys
from pathlib import Path
from deploy.programs import Program, keeping
from deploy.stack import Plan, running

async def main():
    program = Program(name="sleeper", command=(sys.executable, "-c", {SLEEPER!r}))
    async with keeping([program], Path({str(tmp_path)!r})) as kept:
        while kept["sleeper"].pid is None:
            await asyncio.sleep(0.01)
        print(kept["sleeper"].pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", keeper), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    sleeper = int(await process.stdout.readline())
    process.kill()
    await process.wait()
    await until(lambda: not _lives(sleeper))


def _lives(pid: int) -> bool:
    """A zombie that nobody has buried yet does not live."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def replica(name: str, *, fault: str | None = None) -> AsyncIterator[Upstream]:
    async def who(request: Request) -> Response:
        return PlainTextResponse(name)

    async def ready() -> dict[str, str | None]:
        return {"database": fault}

    app = build_app([Route("/who", who)], ready=ready)
    async with serving(app, host="127.0.0.1", port=0) as url:
        yield address(url.removeprefix("http://"))


@asynccontextmanager
async def balancing(*upstreams: Upstream) -> AsyncIterator[str]:
    balancer = Balancer(upstreams)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    looking = asyncio.create_task(balancer.look())
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        looking.cancel()
        server.close()


async def asked(url: str, times: int) -> set[str]:
    """Who answered, over a new connection each time."""
    found = set()
    for _ in range(times):
        async with http_client(url) as client:
            found.add((await client.get("/who")).text)
    return found


async def test_replicas_take_turns_and_one_that_is_gone_is_passed_over() -> None:
    gone: Upstream = ("127.0.0.1", free_port())
    async with replica("one") as one, replica("two") as two, balancing(one, gone, two) as url:
        assert await asked(url, 6) == {"one", "two"}


async def test_one_that_is_not_ready_gets_no_customers() -> None:
    async with (
        replica("ill", fault="disk full") as ill,
        replica("well") as well,
        balancing(ill, well) as url,
    ):

        async def spared() -> bool:
            return await asked(url, 4) == {"well"}

        await until(spared)


async def test_without_any_replica_the_platform_is_told_to_come_again() -> None:
    async with balancing(("127.0.0.1", free_port())) as url, http_client(url) as client:
        assert (await client.get("/who")).status_code == 503


async def test_services_outlive_the_programs_that_use_them(tmp_path: Path) -> None:
    last_words = """
import signal, sys, time
from pathlib import Path

def end(*_):
    time.sleep(float(sys.argv[2]))
    Path(sys.argv[1]).write_text(str(time.monotonic()))
    sys.exit()

signal.signal(signal.SIGTERM, end)
Path(sys.argv[1] + "-up").touch()
while True:
    signal.pause()
"""

    def program(name: str, takes_s: float) -> Program:
        words = (last_words, str(tmp_path / name), str(takes_s))
        return Program(name=name, command=(sys.executable, "-c", *words))

    planned = Plan(
        services=(program("broker", 0),),
        programs=(program("worker", 0.5),),
        database="postgresql://nobody@127.0.0.1/elsewhere",
        broker="",
        url="",
    )

    async def serve() -> None:
        async with running(planned, tmp_path):
            await asyncio.Event().wait()

    serving = asyncio.create_task(serve())
    await until(lambda: all((tmp_path / f"{name}-up").exists() for name in ("broker", "worker")))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    worker, broker = (float((tmp_path / name).read_text()) for name in ("worker", "broker"))
    assert worker < broker
