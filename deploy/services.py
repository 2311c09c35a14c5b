"""PostgreSQL, RabbitMQ and Redis for the stack: those that are there, or private ones."""

import asyncio
import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from core.errors import Misconfigured, Unavailable
from deploy.programs import Program
from dragoman.keys import kept_secret

_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def own_postgres(folder: Path, port: int) -> tuple[Program, str]:
    """A server of our own, from Debian's package, and the URL of its database.

    Raises: Misconfigured: it is not installed, or its folder cannot be made.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise Misconfigured("no PostgreSQL: install Debian's postgresql or set the URL of one")
    binaries, data = found[-1].parent, folder / "postgresql"
    # It refuses to run as root.
    user = "postgres" if os.getuid() == 0 else ""
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        if user:
            shutil.chown(data, user, user)
        _make_cluster(binaries / "initdb", data, user)
    options = ("-k", str(data), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200")
    program = Program(
        name="postgresql",
        command=(str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options),
        user=user,
        folder=data,
        ready=("127.0.0.1", port),
    )
    return program, f"postgresql://postgres@127.0.0.1:{port}/postgres"


async def lets_in(url: str, within_s: float = 60.0) -> None:
    """Wait until a server, which takes connections sooner, has started.

    Raises: Unavailable: it lets nobody in, or not within so long.
    """
    plain = make_url(url).set(drivername="postgresql", database="postgres")
    try:
        async with asyncio.timeout(within_s):
            while True:
                with suppress(asyncpg.CannotConnectNowError):
                    server = plain.render_as_string(hide_password=False)
                    await (await asyncpg.connect(server, timeout=10)).close()
                    return
                await asyncio.sleep(0.1)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Unavailable("database", str(error) or type(error).__name__) from error


def own_redis(folder: Path, port: int) -> tuple[Program, str]:
    """A Redis of our own and its URL.

    Raises: Misconfigured: it is not installed.
    """
    server = shutil.which("redis-server")
    if server is None:
        raise Misconfigured("no Redis: install Debian's redis-server or set DRAGOMAN_BROKER_URL")
    data = folder / "redis"
    data.mkdir(parents=True, exist_ok=True)
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(data))
    keeping = ("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
    program = Program(name="redis", command=(server, *options, *keeping), ready=("127.0.0.1", port))
    return program, f"redis://127.0.0.1:{port}/0"


def own_rabbitmq(folder: Path, port: int) -> tuple[Program, str]:
    """A RabbitMQ of our own and its URL.

    Raises: Misconfigured: it is not installed.
    """
    if not _RABBITMQ.exists():
        raise Misconfigured(
            "no RabbitMQ: install Debian's rabbitmq-server or set DRAGOMAN_BROKER_URL"
        )
    data = folder / "rabbitmq"
    data.mkdir(parents=True, exist_ok=True)
    # The node's name tells it from others on this machine; the cookie keeps strangers out.
    kept_secret(data / ".erlang.cookie", lambda: secrets.token_hex(20).encode())
    (data / ".erlang.cookie").chmod(0o400)
    env = {
        "HOME": str(data),
        "RABBITMQ_NODENAME": f"dragoman-{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "none.config"),
        "RABBITMQ_DIST_PORT": str(port + 20_000 if port < 45_000 else port - 20_000),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(data / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
    }
    (data / "enabled_plugins").write_text("[].\n")
    # In place of the one of the machine's own server.
    (data / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    program = Program(
        name="rabbitmq",
        command=(str(_RABBITMQ),),
        env=env,
        folder=data,
        ready=("127.0.0.1", port),
    )
    return program, f"amqp://guest:guest@127.0.0.1:{port}//"


def _make_cluster(initdb: Path, data: Path, user: str) -> None:
    done = subprocess.run(
        [str(initdb), "-D", str(data), "-U", "postgres", "-A", "trust"],
        user=user or None,
        group=user or None,
        extra_groups=[] if user else None,
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise Misconfigured(f"PostgreSQL's folder {data} cannot be made: {last[0]}")
