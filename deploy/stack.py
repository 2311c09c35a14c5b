"""The distributed form on one machine, without containers: `python -m deploy.stack`.

The same programs as in `compose.yaml`: PostgreSQL, a broker, two web replicas behind a balancer,
two workers, a learner, beat, and a model server if DRAGOMAN_MODEL names a folder. What already
listens on its standard port is used, what does not is started. All other settings are those of the
environment.
"""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.table import Table
from sqlalchemy.engine import make_url

from core.errors import DragomanError, Misconfigured, Unavailable
from deploy.programs import Kept, Program, answers, keeping
from deploy.services import lets_in, own_postgres, own_rabbitmq, own_redis
from dragoman.console import complain, err
from dragoman.logs import configure
from dragoman.settings import load
from workers.model_server import check_folder

HERE = Path(__file__).parent
LOCAL = "127.0.0.1"
DATABASE = "dragoman_stack"
# Two replicas load an encoder each, and one of them indexes the demo company.
READY_S = 600.0
STANDARD = {
    "postgresql": (5432, f"postgresql://postgres@{LOCAL}:5432/{DATABASE}"),
    "rabbitmq": (5672, f"amqp://guest:guest@{LOCAL}:5672//"),
    "redis": (6379, f"redis://{LOCAL}:6379/15"),
}
_OWN: Mapping[str, Callable[[Path, int], tuple[Program, str]]] = {
    "postgresql": own_postgres,
    "rabbitmq": own_rabbitmq,
    "redis": own_redis,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What runs in a stack: services first, the balancer last."""

    services: tuple[Program, ...]
    programs: tuple[Program, ...]
    database: str
    broker: str
    url: str


async def plan(
    folder: Path,
    *,
    port: int = 8080,
    broker: str = "rabbitmq",
    own: bool = False,
    settings: Mapping[str, str] | None = None,
    model: Program | None = None,
) -> Plan:
    """Decide what to start, with `settings` (by variable) before those of the environment.

    `own` services are started even where others listen on their standard ports; `model` is a
    model server instead of ours.
    Raises: Misconfigured: something is not installed, or a setting is wrong.
    """
    found = load()
    given = {
        "DRAGOMAN_DATABASE_URL": found.database_url,
        "DRAGOMAN_BROKER_URL": found.broker_url,
        "DRAGOMAN_MODEL": found.model,
        "DRAGOMAN_MODEL_URL": found.model_url,
        **(settings or {}),
    }
    services: list[Program] = []

    async def service(name: str, variable: str) -> str:
        standard_port, url = STANDARD[name]
        if given.get(variable):
            return given[variable]
        if not own and await answers(LOCAL, standard_port):
            return url
        program, url = await asyncio.to_thread(_OWN[name], folder, free_port())
        services.append(program)
        return url

    database = await service("postgresql", "DRAGOMAN_DATABASE_URL")
    broker_url = await service(broker, "DRAGOMAN_BROKER_URL")
    shared = {
        **(settings or {}),
        "DRAGOMAN_DATA_DIR": str(folder / "data"),
        "DRAGOMAN_DATABASE_URL": database,
        "DRAGOMAN_BROKER_URL": broker_url,
        "DRAGOMAN_HOST": LOCAL,
    }
    model = model or _model_server(given, folder)
    if model is not None and model.ready is not None:
        shared["DRAGOMAN_MODEL_URL"] = f"http://{LOCAL}:{model.ready[1]}/v1"
    web = [_web(f"web-{number}", shared) for number in (1, 2)]
    return Plan(
        services=tuple(services),
        programs=(
            *([model] if model is not None else ()),
            *web,
            _dragoman("worker-1", ("worker", "--queues", "turns,indexing"), shared),
            _dragoman("worker-2", ("worker", "--queues", "turns,indexing"), shared),
            _dragoman("learner", ("worker", "--queues", "training"), shared),
            _dragoman("beat", ("worker", "--beat", "--queues", "turns"), shared),
            _balancer(port, web),
        ),
        database=database,
        broker=broker_url,
        url=f"http://{LOCAL}:{port}",
    )


@asynccontextmanager
async def running(planned: Plan, folder: Path) -> AsyncIterator[Mapping[str, Kept]]:
    """Run a stack for the length of the block, which begins once all of it is ready.

    Raises: Unavailable: a part does not come up; the message has the end of its log.
    """
    logs = folder / "log"
    (folder / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
    async with keeping(planned.services, logs) as services:
        await _all_ready(services)
        if "postgresql" in services:
            await lets_in(planned.database)
        await _make_database(planned.database)
        async with keeping(planned.programs, logs) as programs:
            await _all_ready(programs)
            yield {**services, **programs}


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        port: int = probe.getsockname()[1]
        return port


async def _all_ready(programs: Mapping[str, Kept]) -> None:
    await asyncio.gather(*(program.ready(READY_S) for program in programs.values()))


def _dragoman(name: str, arguments: tuple[str, ...], env: Mapping[str, str]) -> Program:
    return Program(name=name, command=(sys.executable, "-m", "dragoman", *arguments), env=env)


def _web(name: str, shared: Mapping[str, str]) -> Program:
    port = free_port()
    env = {**shared, "DRAGOMAN_PORT": str(port)}
    if shutil.which("caddy"):
        env["DRAGOMAN_CLIENT_IP_HEADER"] = "X-Forwarded-For"
    return Program(
        name=name,
        command=(sys.executable, "-m", "dragoman", "run"),
        env=env,
        ready=(LOCAL, port),
        path="/readyz",
    )


def _balancer(port: int, web: list[Program]) -> Program:
    """Debian's caddy if it is installed; else a plain one of ours."""
    upstreams = [f"{host}:{its_port}" for host, its_port in filter(None, (w.ready for w in web))]
    caddy = shutil.which("caddy")
    if caddy is not None:
        command: tuple[str, ...] = (caddy, "run", "--config", str(HERE / "Caddyfile"))
        command += ("--adapter", "caddyfile")
    else:
        command = (sys.executable, "-m", "deploy.balancer", f"{LOCAL}:{port}", *upstreams)
    return Program(
        name="balancer",
        command=command,
        env={"DESK_SITE": f"http://{LOCAL}:{port}", "DESK_UPSTREAMS": " ".join(upstreams)},
        ready=(LOCAL, port),
        path="/healthz",
    )


def _model_server(given: Mapping[str, str], folder: Path) -> Program | None:
    """`transformers serve`, which loads the folder that a request names.

    Raises: Misconfigured: the folder is unsafe or unfit.
    """
    model = given.get("DRAGOMAN_MODEL", "")
    if not model or given.get("DRAGOMAN_MODEL_URL"):
        return None
    check_folder(Path(model))
    port, home = free_port(), folder / "hub"
    # It lists models only where this folder exists.
    (home / "hub").mkdir(parents=True, exist_ok=True)
    return Program(
        name="model",
        command=(
            *(str(Path(sys.executable).with_name("transformers")), "serve"),
            *("--continuous-batching", "--reasoning", "off", "--model-timeout", "86400"),
            *("--cb-num-blocks", "128", "--cb-max-batch-tokens", "1024"),
            *("--host", LOCAL, "--port", str(port), "--log-level", "error"),
        ),
        env={"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
        ready=(LOCAL, port),
        path="/health",
    )


async def _make_database(url: str) -> None:
    """Make the stack's own database if the server has none.

    Raises: Unavailable: the server lets nobody in.
    """
    # asyncpg hands that one on to the server.
    parsed = make_url(url).set(drivername="postgresql").difference_update_query(["connect_timeout"])
    if parsed.database != DATABASE:
        return
    try:
        server = parsed.set(database="postgres").render_as_string(hide_password=False)
        connection = await asyncpg.connect(server, timeout=10)
        try:
            await connection.execute(f'create database "{DATABASE}"')
        except asyncpg.DuplicateDatabaseError:
            pass
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Unavailable(
            "database", f"{error}; set DRAGOMAN_DATABASE_URL, or start with --own"
        ) from error


def _show(planned: Plan, kept: Mapping[str, Kept]) -> None:
    table = Table("program", "process", "listens on", "log", box=None)
    for program in kept.values():
        name, address = program.program.name, program.program.address
        table.add_row(name, str(program.pid or "-"), address, str(program.log_file))
    err.print()
    err.print(table)
    for what, url in (("database", planned.database), ("broker", planned.broker)):
        err.print(f" {what} {make_url(url).render_as_string()}")
    err.print("\n  The desk: ", end="")
    err.print(planned.url, style="bold cyan", end="")
    err.print("   Stop with Ctrl+C.\n")


async def _run(folder: Path, port: int, broker: str, own: bool) -> None:
    planned = await plan(folder, port=port, broker=broker, own=own)
    err.print(f"Starting {len(planned.services + planned.programs)} programs; logs in {folder}/log")
    serving = asyncio.create_task(_serve(planned, folder))

    def stop() -> None:
        # Once: a second time would interrupt the programs' own ends.
        if not serving.cancelling():
            err.print("Stopping…")
            serving.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(planned: Plan, folder: Path) -> None:
    async with running(planned, folder) as kept:
        _show(planned, kept)
        await asyncio.Event().wait()


def main(
    folder: Annotated[Path, typer.Option(help="Data, logs and services.")] = Path("var/stack"),
    port: Annotated[int, typer.Option(help="The balancer's port.")] = 8080,
    broker: Annotated[str, typer.Option(help="rabbitmq or redis.")] = "rabbitmq",
    own: Annotated[bool, typer.Option("--own", help="Start private services.")] = False,
) -> None:
    """Run the distributed form on this machine."""
    settings = load()
    configure(level="warning", form=settings.log_format)
    try:
        if broker not in {"rabbitmq", "redis"}:
            raise Misconfigured("--broker is rabbitmq or redis")
        with asyncio.Runner() as runner:
            runner.run(_run(folder.absolute(), port, broker, own))
    except DragomanError as error:
        complain(str(error))
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
