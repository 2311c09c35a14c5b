"""Fixtures that more than one folder of tests needs."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from playwright.async_api import Browser, async_playwright, expect

from core.adapters.database import Database, open_database
from tests.databases import Postgres, sqlite_at
from tests.desk import make_demo_home
from tests.patience import PATIENCE_MS
from tests.services import missing, postgres

# As many tests run at a time as there are cores: a second thread of one waits, and spins. It has to
# be said before another conftest imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# It runs as root in a container, and must not look for updates.
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Files whose tests start the program, train, or carry a whole desk. The first makes the demo
# company's home, and the second does without it, lest both processes wait for it.
LONG = (
    "tests/test_desk",
    "tests/crash/",
    "tests/dragoman/",
    "tests/test_",
    "tests/workers/",
    "tests/bots/",
)


def pytest_configure() -> None:
    """Set up this process, and what it starts, for a machine that has other things to do."""
    # A desk of some test must not begin to learn because it is two o'clock.
    os.environ.setdefault("DRAGOMAN_NIGHTS", "false")
    # Errors are logged as the program does it: structlog's own way draws every variable.
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest by the file, so that no process has the last one to itself."""

    def rank(item: pytest.Item) -> int:
        places = (n for n, prefix in enumerate(LONG) if item.nodeid.startswith(prefix))
        return next(places, len(LONG))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_databases(postgres_url: str) -> AsyncIterator[Postgres]:
    databases = Postgres(postgres_url)
    yield databases
    await databases.close()


@pytest.fixture
async def postgres_database_url(postgres_databases: Postgres) -> AsyncIterator[str]:
    """A database of its own for one test."""
    async with postgres_databases.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test that asks for it runs on both databases."""
    if request.param == "sqlite":
        return sqlite_at(tmp_path / "dragoman.db")
    url: str = request.getfixturevalue("postgres_database_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system of one megabyte")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the demo company in it, to be copied; who needs it first makes it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    home = shared / "demo-home"
    with (shared / "demo-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            make_demo_home(shared / "demo-home-in-the-making")
            (shared / "demo-home-in-the-making").rename(home)
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    chromium = os.environ.get("DRAGOMAN_TEST_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        missing("Chromium", "install Debian's chromium or set DRAGOMAN_TEST_CHROMIUM")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield browser
        await browser.close()
