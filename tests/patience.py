"""How long tests wait for what must come: a limit that only what hangs will reach."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

import httpx

PATIENCE_S = 60.0
# As Playwright takes it.
PATIENCE_MS = 60_000


async def until(
    holds: Callable[[], object | Awaitable[object]], *, within_s: float = PATIENCE_S
) -> None:
    """Wait until something holds, with a deadline instead of a guess."""
    async with asyncio.timeout(within_s):
        while True:
            found = holds()
            if await found if isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


def http_client(url: str | httpx.URL = "", **options: Any) -> httpx.AsyncClient:
    """A client that waits as long as the tests do; httpx would give up after 5 s."""
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S, **options)
