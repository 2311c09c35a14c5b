"""How soon an agent sees what a customer wrote, with 200 conversations handed over.

The desk is a process of its own, everything that `dragoman run` opens but for a model; customers
write over HTTP to the chat page. The agents' side is here: a browser's event stream with the page
that it fetches upon each event, and a Slack that takes messages.
"""

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import uvloop
from sqlalchemy import select
from sqlalchemy.engine import make_url

from bots.server import build_app, serving
from bots.web.chat import Chat
from bots.web.console.console import console_routes
from bots.web.port import WebPort
from core.adapters.accounts import Accounts, NewAccount
from core.adapters.cases import Cases
from core.adapters.database import Database, open_database
from core.adapters.desk import Desk
from core.adapters.sessions import Sessions
from core.adapters.tables import desk_threads
from core.adapters.transcript import Transcript
from core.cases import Act, Filter
from core.staff import Account, Role
from core.turn import Channel, WorkspaceId
from dragoman.app import make_delivery
from dragoman.composition import open_core
from dragoman.desk_console import console_needs
from dragoman.health import Health
from dragoman.logs import configure
from dragoman.settings import Settings
from tests.bots.slack.desk.world import DESK, open_slack_desk, people
from tests.fakes.slack import FakeSlack
from tests.services import free_port, postgres

HERE = WorkspaceId("default")
OPEN = 200
SENT = int(os.environ.get("DRAGOMAN_TEST_BENCH_COUNT", "100"))
# Not in step with anything that looks every so often.
PAUSE_S = (0.2, 0.7)
ADDRESS = "X-Bench-Address"
SEEN_WITHIN_S = 30.0
READY_S = 300.0


async def subject(settings: Settings) -> None:
    """The desk; Slack's own limit of a message a second is not what is measured."""
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings, model=False))
        delivery, station = make_delivery(core)
        web = WebPort()
        station.ports[Channel.WEB], station.presences[Channel.WEB] = web, web
        slack = await stack.enter_async_context(
            open_slack_desk(settings, core.database, delivery, every_s=0.0)
        )
        station.ports[Channel.SLACK] = slack.port
        await stack.enter_async_context(delivery)
        console = console_needs(
            core,
            preferences=core.preferences,
            health=Health(core),
            channels=(),
            desk=Desk(core.database, wake=delivery.wake),
            secret=b"benchmark",
        )
        delivery.listen("console", console.news.hurry)
        chat = Chat(
            delivery=delivery,
            transcript=Transcript(core.database),
            port=web,
            workspace=HERE,
            secret="benchmark",
        )
        app = build_app(
            [*chat.routes, *console_routes(console)],
            ready=Health(core).problems,
            client_ip_header=ADDRESS,
        )
        await stack.enter_async_context(serving(app, host="127.0.0.1", port=settings.port))
        await slack.run()


@dataclass(slots=True)
class Screens:
    """What the agents' side has seen, by the words that were looked for, in seconds."""

    wanted: str = ""
    seen_s: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, place: str, text: str) -> None:
        """Note that the words stand there now."""
        if self.wanted and self.wanted in text and place not in self.seen_s:
            self.seen_s[place] = time.perf_counter()
            self.changed.set()

    async def seen(self, wanted: str, started_s: float) -> dict[str, float]:
        """Milliseconds until each place had the words."""
        async with asyncio.timeout(SEEN_WITHIN_S):
            while len(self.seen_s) < len(PLACES):
                self.changed.clear()
                await self.changed.wait()
        return {place: (at_s - started_s) * 1e3 for place, at_s in self.seen_s.items()}


PLACES = ("event", "console", "slack")


async def browse(client: httpx.AsyncClient, screens: Screens) -> None:
    """An agent's open inbox, as `bots/web/console/static/desk.js` keeps it."""
    page = (await client.get("/desk?show=open")).text
    seen = page.partition('data-seen="')[2].partition('"')[0]
    news = asyncio.Event()

    async def listen() -> None:
        async with client.stream("GET", f"/desk/news?after={seen}", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line == "event: news":
                    screens.look("event", screens.wanted)
                    news.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        while True:
            await news.wait()
            news.clear()
            part = await client.get("/desk?show=open", headers={"X-Part": "1"})
            screens.look("console", part.text)


def watch(slack: FakeSlack, screens: Screens) -> None:
    """Let the fake Slack tell of each message that it took."""
    tell = slack.api.on_change

    async def changed() -> None:
        newest = list(slack.team.channels[DESK].messages.values())[-3:]
        screens.look("slack", json.dumps([[m.text, m.blocks] for m in newest]))
        await tell()

    slack.api.on_change = changed


async def hand_over(url: str) -> list[httpx.AsyncClient]:
    """Customers who asked for a person, each with a browser."""
    customers = []
    for number in range(OPEN):
        client = httpx.AsyncClient(
            base_url=url, trust_env=False, timeout=60, headers={ADDRESS: f"customer-{number}"}
        )
        await client.get("/")
        asked = await client.post("/chat/person", json={"key": f"person-{number:06d}"})
        asked.raise_for_status()
        customers.append(client)
    return customers


async def settled(database: Database, cases: Cases) -> None:
    """Wait until every conversation waits for a person and stands in Slack."""
    unshown = select(desk_threads.c.id).where(desk_threads.c.due_at.is_not(None)).limit(1)
    async with asyncio.timeout(READY_S):
        while True:
            counts = await cases.counts(HERE)
            left = await database.read(lambda connection: connection.execute(unshown).first())
            if counts[Filter.OPEN] >= OPEN and left is None:
                return
            await asyncio.sleep(0.2)


async def measure(slack: FakeSlack, url: str, database: Database) -> dict[str, list[float]]:
    """Milliseconds to each place, of every message."""
    accounts, desk, cases = Accounts(database), Desk(database), Cases(database)
    new = NewAccount(name="Ana", role=Role.AGENT, language="en", login="ana")
    ana = await accounts.get(HERE, await accounts.create(HERE, new))
    assert isinstance(ana, Account)
    customers = await hand_over(url)
    await settled(database, cases)
    for each in await cases.list(HERE, Filter.OPEN):
        await desk.change(ana, each.case.conversation, Act.CLAIM)
    await settled(database, cases)
    screens = Screens()
    watch(slack, screens)
    took: dict[str, list[float]] = {place: [] for place in PLACES}
    agent = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60)
    agent.cookies.set("dragoman-desk", await Sessions(database).begin(ana))
    browsing = asyncio.create_task(browse(agent, screens))
    try:
        await asyncio.sleep(2)
        for number in range(-5, SENT):
            await asyncio.sleep(random.uniform(*PAUSE_S))
            wanted = f"parcel-{number}-of-mine"
            screens.wanted, screens.seen_s = wanted, {}
            started_s = time.perf_counter()
            sent = customers[number % OPEN].post(
                "/chat/messages", json={"key": f"message-{number}", "text": f"Where is {wanted}?"}
            )
            (await sent).raise_for_status()
            for place, ms in (await screens.seen(wanted, started_s)).items():
                if number >= 0:  # the first ones warm everything up
                    took[place].append(ms)
    finally:
        browsing.cancel()
        with suppress(asyncio.CancelledError):
            await browsing
        for client in (agent, *customers):
            await client.aclose()
    return took


@asynccontextmanager
async def running(slack: FakeSlack, database_url: str, folder: Path) -> AsyncIterator[str]:
    """The desk in a process of its own."""
    port = free_port()
    told = {
        "data_dir": str(folder),
        "database_url": database_url,
        "port": port,
        "demo": False,
        "slack_bot_token": slack.bot_token,
        "slack_app_token": slack.app_token,
        "slack_api_url": slack.api_url,
        "slack_desk": DESK,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.desk", json.dumps(told)
    )
    try:
        async with asyncio.timeout(READY_S):
            await slack.connected()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def run(database_url: str) -> dict[str, list[float]]:
    """A desk on a database, seen by one agent in a browser and one in Slack."""
    async with AsyncExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="dragoman-bench-")
        folder = Path(stack.enter_context(made))
        url = database_url or f"sqlite:///{folder / 'desk.db'}"
        slack = await stack.enter_async_context(FakeSlack())
        people(slack)
        address = await stack.enter_async_context(running(slack, url, folder))
        database = await stack.enter_async_context(open_database(url))
        return await measure(slack, address, database)


@asynccontextmanager
async def _postgres() -> AsyncIterator[str]:
    """A PostgreSQL database of its own."""
    with postgres(fsync=True) as server:
        admin = await asyncpg.connect(server)
        await admin.execute("create database dragoman_desk_bench")
        try:
            url = make_url(server).set(database="dragoman_desk_bench")
            yield url.render_as_string(hide_password=False)
        finally:
            await admin.execute("drop database dragoman_desk_bench with (force)")
            await admin.close()


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """Markdown."""
    lines = [
        f"{OPEN} conversations that a person has; {SENT} messages of customers, one at a time, from"
        " the post to the chat page until the agent's browser has the event, until it has fetched"
        " the inbox with the words, and until they are in the thread in Slack. No model, no"
        " translation; what is kept is on the disk before.",
        "",
        "| database | event p50 ms | p95 | inbox p50 ms | p95 | Slack p50 ms | p95 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, took in figures.items():
        cells = [
            f"{statistics.quantiles(took[place], n=100)[rank - 1]:.0f}"
            for place in PLACES
            for rank in (50, 95)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


async def main() -> None:
    """Measure and print."""
    figures = {"SQLite": await run("")}
    async with _postgres() as url:
        figures["PostgreSQL"] = await run(url)
    print(table(figures))


if __name__ == "__main__":
    configure(level="error", form="json")
    if len(sys.argv) > 1:
        uvloop.run(subject(Settings(_env_file=None, **json.loads(sys.argv[1]))))
    else:
        uvloop.run(main())
