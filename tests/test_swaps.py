"""Versions come and go under a running desk, and no customer notices."""

import asyncio
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from core.adapters.database import Database, open_database
from core.adapters.documents import Document
from core.adapters.tables import inbox, messages
from core.turn import Author, WorkspaceId
from retrieval.knowledge import silent
from retrieval.opening import Retrieval, open_retriever
from tests.desk import running
from tests.patience import PATIENCE_S, until
from tests.versions import KEY, add_version, build_encoder

SHOP = WorkspaceId("default")
RETURNS = Document(
    id="returns",
    title="Returns",
    text="You may send a parcel back within thirty days.",
    language="en",
)
SWAPS, BACKS = 50, 10
CUSTOMERS_A_SECOND = 25
"""Two requests each: the page, and a question."""
BROWSERS = 100


class Customers:
    """Fifty requests a second: customers, each of whom opens the page and asks one question."""

    def __init__(self, stack: AsyncExitStack, url: str) -> None:
        self._stack, self._url = stack, url
        self._browsers: list[httpx.AsyncClient] = []
        self._asking: set[asyncio.Task[None]] = set()
        self.refused: Counter[int] = Counter()
        self.asked = 0

    async def come(self) -> None:
        """Make ready, each at an address of its own: one alone may not write so often."""
        for number in range(BROWSERS):
            transport = httpx.AsyncHTTPTransport(local_address=f"127.0.1.{number + 1}")
            browser = httpx.AsyncClient(
                transport=transport, base_url=self._url, timeout=PATIENCE_S, trust_env=False
            )
            self._browsers.append(await self._stack.enter_async_context(browser))

    async def ask(self) -> None:
        """Go on asking until cancelled, as often however slow this process is."""
        due_s = time.monotonic()
        for browser in itertools.cycle(self._browsers):
            task = asyncio.create_task(self._one(browser))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            self.asked += 1
            due_s += 1 / CUSTOMERS_A_SECOND
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def leave(self) -> None:
        """Wait until every question is taken."""
        await asyncio.gather(*self._asking)

    async def _one(self, browser: httpx.AsyncClient) -> None:
        browser.cookies.clear()
        await browser.get("/")
        message = {"text": "May I send a parcel back?", "key": secrets.token_hex(16)}
        sent = await browser.post("/chat/messages", json=message)
        if sent.is_error:
            self.refused[sent.status_code] += 1


async def stamps(database: Database) -> Counter[tuple[str, str]]:
    """How many replies each encoder gave, with which index."""
    said = select(messages.c.details).where(messages.c.author == Author.BOT)
    told = await database.read(lambda connection: connection.scalars(said).all())
    found: Counter[tuple[str, str]] = Counter()
    for line in told:
        details = json.loads(line)
        assert details["outcome"] == "answer", details
        found[details["encoder"].partition("@")[0], details["index"]] += 1
    return found


async def swap(there: Retrieval, database: Database, names: Sequence[str]) -> int:
    """Put each into service once the one before has answered, and go back now and then; how often.

    Raises: TimeoutError: a version that serves is not heard of.
    """
    backs = 0
    for number, name in enumerate(names):
        assert await there.succession.publish(SHOP, name, progress=silent)
        await until(partial(answers, database, name))
        if backs < BACKS and number % (SWAPS // BACKS) == 1:
            before = await stamps(database)
            target = await there.succession.roll_back(SHOP)
            await until(partial(answers, database, target.name, before))
            backs += 1
    return backs


async def answers(
    database: Database, name: str, before: Counter[tuple[str, str]] | None = None
) -> bool:
    """Whether an encoder has answered since."""
    new = await stamps(database) - (before or Counter())
    return any(encoder == name for encoder, _ in new)


async def all_answered(database: Database) -> bool:
    waiting = select(func.count()).where(inbox.c.state != "done")
    return not await database.read(lambda connection: connection.scalar(waiting))


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_no_request_fails_while_versions_come_and_go(
    postgres_database_url: str, tmp_path: Path
) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    base = build_encoder(home / "base", seed=0)
    names = [f"e{number}" for number in range(SWAPS)]
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(postgres_database_url))
        there = await stack.enter_async_context(
            open_retriever(database, data, encoder=base, key=KEY)
        )
        desk = running(home, data, database_url=postgres_database_url, encoder=base, secret_key=KEY)
        url = await stack.enter_async_context(desk)
        await there.knowledge.put(SHOP, [RETURNS])
        for seed, name in enumerate(names, start=1):
            await add_version(database, data, name, seed=seed, workspace=SHOP)
        customers = Customers(stack, url)
        await customers.come()
        began_s = time.monotonic()
        asking = asyncio.create_task(customers.ask())
        try:
            backs = await swap(there, database, names)
        finally:
            asking.cancel()
            await customers.leave()
        took_s = time.monotonic() - began_s
        await until(lambda: all_answered(database))
        found = await stamps(database)
    print(
        f"{customers.asked} questions in {took_s:.0f} s, refused {dict(customers.refused)},"
        f" {found.total()} replies, {SWAPS} swaps, {backs} rollbacks"
    )
    assert (customers.refused, backs) == (Counter(), BACKS)
    assert found.total() == customers.asked
    assert {encoder for encoder, _ in found} <= {"base", *names}
