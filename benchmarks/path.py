"""What the durable path costs: ours beside bare echo bots, in one run, over real HTTP.

The platform's side (signed deliveries in, posts out) is a bare server in this process, the bot a
process of its own. Throughput: 32 deliveries at a time, as fast as they are acknowledged. Delay:
a steady rate well below that.
"""

import asyncio
import itertools
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import asyncpg
import uvloop
from aiohttp import web
from slack_sdk.signature import SignatureVerifier
from sqlalchemy.engine import make_url

from bots.telegram.api import TelegramApi
from tests.services import free_port, postgres

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TOKEN = "123456:benchmark-benchmark-benchmark-bench"
NUMBER = re.compile(r"message (\d+)")
AT_ONCE = 32
COUNT = int(os.environ.get("DRAGOMAN_TEST_BENCH_COUNT", "2000"))
RATE = 100.0
STEADY_S = 15.0
CONVERSATIONS = 400


@dataclass(slots=True)
class Platform:
    """Both Web APIs, answering at once; notes when the reply to each message was posted."""

    posted_s: dict[int, float] = field(default_factory=dict)
    posts: int = 0

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._slack)
        app.router.add_route("*", "/bot{token}/{method}", self._telegram)
        return app

    async def _slack(self, request: web.Request) -> web.Response:
        await self._note(request, "chat.postMessage")
        reply = {"ok": True, "ts": f"1700000000.{self.posts:06d}", "channel": "D1"}
        identity = {"team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT", "url": "http://x/"}
        return web.json_response(reply | identity | {"message": {"text": "", "ts": reply["ts"]}})

    async def _telegram(self, request: web.Request) -> web.Response:
        await self._note(request, "sendMessage")
        name = request.match_info["method"]
        result: object = True
        if name == "getMe":
            result = {"id": 123456, "is_bot": True, "first_name": "b", "username": "bench_bot"}
        elif name == "getWebhookInfo":
            result = {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        elif name == "sendMessage":
            chat = {"id": 1, "type": "private"}
            result = {"message_id": self.posts, "date": 1, "chat": chat, "text": ""}
        return web.json_response({"ok": True, "result": result})

    async def _note(self, request: web.Request, posting: str) -> None:
        body = await request.text()
        if request.match_info["method"] == posting:
            self.posts += 1
            for number in NUMBER.findall(body.replace("+", " ").replace("%20", " ")):
                self.posted_s.setdefault(int(number), time.perf_counter())


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One bot's figures; delays in milliseconds at the steady rate.

    `platform_busy` is the share of one processor that our side of the burst took.
    """

    name: str
    accepted_per_s: float
    served_per_s: float
    platform_busy: float
    ack_p50: float
    ack_p99: float
    reply_p50: float
    reply_p99: float


def slack_request(port: int, number: int) -> tuple[str, str, dict[str, str]]:
    """A signed message event."""
    event = {
        "type": "message",
        "channel": f"D{number % CONVERSATIONS:06d}",
        "channel_type": "im",
        "user": f"U{number % CONVERSATIONS:06d}",
        "text": f"message {number}",
        "ts": f"17{number:08d}.000100",
        "team": "T1",
    }
    body = json.dumps(
        {
            "type": "event_callback",
            "team_id": "T1",
            "api_app_id": "A1",
            "event": event,
            "event_id": f"Ev{number}",
            "event_time": 1,
            "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
        }
    )
    stamp = str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": str(signature),
    }
    return f"http://127.0.0.1:{port}/slack/events", body, headers


def telegram_request(
    port: int, number: int, path: str, secret: str
) -> tuple[str, str, dict[str, str]]:
    """An update by webhook."""
    chat = 1_000 + number % CONVERSATIONS
    sender = {"id": chat, "is_bot": False, "first_name": "c", "language_code": "en"}
    message = {
        "message_id": number + 1,
        "date": 1_700_000_000,
        "chat": {"id": chat, "type": "private", "first_name": "c"},
        "from": sender,
        "text": f"message {number}",
    }
    body = json.dumps({"update_id": number + 1, "message": message})
    headers = {
        "Content-Type": "application/json",
        "X-Telegram-Bot-Api-Secret-Token": secret,
    }
    return f"http://127.0.0.1:{port}{path}", body, headers


@asynccontextmanager
async def running(subject: str, told: dict[str, object]) -> AsyncIterator[None]:
    """A bot in a process of its own, until it has taken a connection."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.subjects", subject, json.dumps(told)
    )
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", int(str(told["port"])))
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()


async def measure(
    name: str, subject: str, channel: str, database_url: str = "", *, sent: Iterator[int]
) -> Figures:
    """Both loads on one bot."""
    platform = Platform()
    runner = web.AppRunner(platform.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api = f"http://127.0.0.1:{runner.addresses[0][1]}"
    port = free_port()
    told: dict[str, object] = {
        "port": port,
        "database_url": database_url,
        "settings": _settings(channel, api, port),
    }
    try:
        async with running(subject, told), aiohttp.ClientSession() as session:
            make = _maker(channel, subject, port)
            await asyncio.sleep(1.0)
            await _burst(session, make, platform, [next(sent) for _ in range(200)])  # warm up
            began_s, worked_s = time.perf_counter(), time.process_time()
            accepted, served = await _burst(
                session, make, platform, [next(sent) for _ in range(COUNT)]
            )
            worked_s, took_s = time.process_time() - worked_s, time.perf_counter() - began_s
            acks, replies = await _steady(session, make, platform, sent)
    finally:
        await runner.cleanup()
    return Figures(
        name=name,
        accepted_per_s=accepted,
        served_per_s=served,
        platform_busy=worked_s / took_s,
        ack_p50=_percentile(acks, 50),
        ack_p99=_percentile(acks, 99),
        reply_p50=_percentile(replies, 50),
        reply_p99=_percentile(replies, 99),
    )


Make = Callable[[int], tuple[str, str, dict[str, str]]]


def _settings(channel: str, api: str, port: int) -> dict[str, object]:
    if channel == "slack":
        return {
            "slack_bot_token": "xoxb-bench",
            "slack_signing_secret": SECRET,
            "slack_api_url": f"{api}/api/",
        }
    return {
        "telegram_bot_token": TOKEN,
        "telegram_api_url": api,
        "public_url": f"http://127.0.0.1:{port}",
    }


def _maker(channel: str, subject: str, port: int) -> Make:
    if channel == "slack":
        return lambda number: slack_request(port, number)
    api = TelegramApi(TOKEN)
    path = api.webhook_path if subject == "ours" else "/telegram"
    return lambda number: telegram_request(port, number, path, api.webhook_secret)


async def _deliver(session: aiohttp.ClientSession, make: Make, number: int) -> float:
    url, body, headers = make(number)
    started = time.perf_counter()
    async with session.post(url, data=body, headers=headers) as answer:
        await answer.read()
        if answer.status != 200:
            raise SystemExit(f"benchmarks: the bot answered {answer.status}")
    return started


async def _burst(
    session: aiohttp.ClientSession, make: Make, platform: Platform, numbers: list[int]
) -> tuple[float, float]:
    """Messages a second accepted, and answered."""
    todo = iter(numbers)
    started = time.perf_counter()

    async def worker() -> None:
        for number in todo:
            await _deliver(session, make, number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    accepted_s = time.perf_counter() - started
    await _until_answered(platform, numbers)
    served_s = max(platform.posted_s[number] for number in numbers) - started
    return len(numbers) / accepted_s, len(numbers) / served_s


async def _steady(
    session: aiohttp.ClientSession, make: Make, platform: Platform, sent: Iterator[int]
) -> tuple[list[float], list[float]]:
    """Milliseconds to the acknowledgement and to the posted reply, at `RATE` a second."""
    numbers = [next(sent) for _ in range(int(RATE * STEADY_S))]
    started: dict[int, float] = {}
    acks: list[float] = []

    async def one(number: int) -> None:
        started[number] = await _deliver(session, make, number)
        acks.append((time.perf_counter() - started[number]) * 1e3)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for at, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, begin + at / RATE - time.perf_counter()))
            tasks.create_task(one(number))
    await _until_answered(platform, numbers)
    return acks, [(platform.posted_s[number] - started[number]) * 1e3 for number in numbers]


async def _until_answered(platform: Platform, numbers: list[int]) -> None:
    async with asyncio.timeout(120):
        while not all(number in platform.posted_s for number in numbers):
            await asyncio.sleep(0.01)


def _percentile(values: list[float], rank: int) -> float:
    return statistics.quantiles(values, n=100)[rank - 1]


def fdatasync_ms() -> float:
    """Milliseconds, at p50, until the disk of the temporary folder has kept a page for good."""
    took: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(100):
            file.write(bytes(4096))
            file.flush()
            started_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - started_s) * 1e3)
    return statistics.median(took)


def table(figures: list[Figures], *, disk_ms: float) -> str:
    """Markdown rows, then the ratios that the goals are about."""
    lines = [
        f"{COUNT:,} messages of {CONVERSATIONS} customers, {AT_ONCE} at a time; then"
        f" {RATE:.0f} a second for {STEADY_S:.0f} s. Every bot echoes; ours keeps each message"
        " before the acknowledgement and answers once, in order, through crashes.",
        "",
        "| bot | accepted/s | answered/s | ack p50 ms | ack p99 ms | reply p50 ms | reply p99 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        lines.append(
            f"| {one.name} | {one.accepted_per_s:.0f} | {one.served_per_s:.0f} | {one.ack_p50:.1f}"
            f" | {one.ack_p99:.1f} | {one.reply_p50:.1f} | {one.reply_p99:.1f} |"
        )
    lines.append("")
    for bare, mine in ((0, 1), (0, 2), (3, 4), (3, 5)):
        share = figures[mine].served_per_s / figures[bare].served_per_s
        added = figures[mine].reply_p50 - figures[bare].reply_p50
        lines.append(
            f"- {figures[mine].name} answers {share:.0%} of what {figures[bare].name} does, and"
            f" adds {added:.1f} ms at p50."
        )
    busy = max(one.platform_busy for one in figures)
    lines += [
        f"- The platform's side, which delivers and takes replies, kept at most {busy:.0%} of a",
        "  processor busy: the bots were the limit.",
        "- A reply waits for two commits (`synchronous=FULL`, `fsync`); one fdatasync of this disk",
        f"  took {disk_ms:.1f} ms at p50 just before.",
        "- Left out are the wait for the rest of a message, typing indicators, and the limits of",
        "  Telegram, far below these rates. python-telegram-bot takes one update after the other,",
        "  its default.",
    ]
    return "\n".join(lines)


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    """A PostgreSQL database of its own, on a server that writes its commits to the disk."""
    with postgres(fsync=True) as server:
        admin = await asyncpg.connect(server)
        if await admin.fetchval("show fsync") != "on":
            raise SystemExit("benchmarks: PostgreSQL runs with fsync=off; set it to on")
        await admin.execute("create database dragoman_bench")
        try:
            url = make_url(server).set(database="dragoman_bench")
            yield url.render_as_string(hide_password=False)
        finally:
            await admin.execute("drop database dragoman_bench with (force)")
            await admin.close()


async def main() -> None:
    """Measure and print."""
    disk_ms = fdatasync_ms()
    sent = itertools.count()
    figures = []
    for channel, bare, library in (
        ("slack", "bolt", "slack-bolt"),
        ("telegram", "ptb", "python-telegram-bot"),
    ):
        name = channel.capitalize()
        figures.append(await measure(f"bare {library}", bare, channel, sent=sent))
        figures.append(await measure(f"{name}, SQLite", "ours", channel, sent=sent))
        async with _database() as url:
            figures.append(await measure(f"{name}, PostgreSQL", "ours", channel, url, sent=sent))
    print(table(figures, disk_ms=disk_ms))


if __name__ == "__main__":
    uvloop.run(main())
