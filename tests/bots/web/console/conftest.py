"""One console a module, since opening and closing one takes longer than most tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bots.web.console.world import Client, Console, browser_of, open_console


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    async with open_console(folder, client_ip_header="X-Test-Address") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(console: Console) -> AsyncIterator[Client]:
    """A browser that is not signed in, from an address of its own."""
    async with browser_of(console, None) as client:
        await client.get("/desk/sign-in")
        yield client
