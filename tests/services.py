"""Services for tests: by URL from the environment, on the standard port, or started privately."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

STANDARD = "postgresql://postgres@127.0.0.1:5432/postgres"
STANDARD_RABBITMQ = "amqp://guest:guest@127.0.0.1:5672/"


def missing(service: str, how: str) -> None:
    """Skip for want of a service, but never on the machine that vouches for a commit."""
    reason = f"{service} is not here: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether something listens where the URL says."""
    parsed = urlsplit(url)
    try:
        socket.create_connection((parsed.hostname or "127.0.0.1", parsed.port or 5432), 3).close()
    except OSError:
        return False
    return True


@contextmanager
def postgres(*, fsync: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL server on which databases may be created.

    One that we start writes its commits to the disk only with `fsync`.
    """
    for url in (os.environ.get("DRAGOMAN_TEST_POSTGRES_URL"), STANDARD):
        if url and answers(url):
            yield url
            return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        missing("PostgreSQL", "set DRAGOMAN_TEST_POSTGRES_URL or install Debian's postgresql")
    with _private_postgres(binaries[-1].parent, fsync=fsync) as url:
        yield url


@contextmanager
def redis(port: int = 0) -> Iterator[str]:
    """The URL of a Redis server of our own, which keeps nothing and is killed at the end."""
    server = shutil.which("redis-server")
    if server is None:
        missing("Redis", "install Debian's redis-server")
    port = port or free_port()
    url = f"redis://127.0.0.1:{port}/0"
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    with subprocess.Popen([str(server), *options], stdout=subprocess.DEVNULL) as process:
        _wait_for(url)
        try:
            yield url
        finally:
            process.kill()


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The URL of a virtual host of our own on a RabbitMQ server."""
    url = os.environ.get("DRAGOMAN_TEST_RABBITMQ_URL") or STANDARD_RABBITMQ
    control = shutil.which("rabbitmqctl")
    if not answers(url) or control is None:
        missing("RabbitMQ", "set DRAGOMAN_TEST_RABBITMQ_URL or install Debian's rabbitmq-server")
    name = f"dragoman_test_{secrets.token_hex(6)}"
    user = urlsplit(url).username or "guest"
    every = (".*", ".*", ".*")
    _run(str(control), "add_vhost", name)
    try:
        _run(str(control), "set_permissions", "--vhost", name, user, *every)
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        _run(str(control), "delete_vhost", name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _wait_for(url: str) -> None:
    deadline_s = time.monotonic() + 60
    while not answers(url):
        assert time.monotonic() < deadline_s, f"nothing listens at {url}"
        time.sleep(0.02)


@contextmanager
def _private_postgres(binaries: Path, *, fsync: bool) -> Iterator[str]:
    """A server of our own in a temporary folder; it refuses to run as root, so not as root."""
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    prefix = as_postgres if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="dragoman-postgres-"))
    if prefix:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    if not fsync:
        options += " -c fsync=off"
    control = [*prefix, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    subprocess.run(
        [*control, "-l", str(folder / "log"), "-o", options, "start"], check=True, cwd=folder
    )
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)
