"""Customers on all three channels who ask one question each, and what became of it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from sqlalchemy import func, select

from core.adapters.database import Database
from core.adapters.tables import conversations, inbox, outbox
from core.turn import Kind
from tests.crash.world import World
from tests.patience import http_client

QUESTION = "How many days do I have to return an item? This is question {number}."


@dataclass(slots=True)
class Visitor:
    """Somebody in front of the chat page, with the cookie that makes them the same again."""

    cookies: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    async def ask(self, url: str, text: str) -> None:
        """Ask as the page does: with one key, again until it is taken."""
        key = secrets.token_hex(16)
        while not self.cookies:
            with suppress(httpx.TransportError):
                async with http_client(url) as client:
                    if (await client.get("/")).status_code == httpx.codes.OK:
                        self.cookies = {"dragoman": client.cookies["dragoman"]}
            await asyncio.sleep(0.1)
        status = 0
        while status not in (200, 202):
            with suppress(httpx.TransportError):
                async with http_client(url, cookies=self.cookies) as client:
                    sent = await client.post("/chat/messages", json={"text": text, "key": key})
                    status = sent.status_code
            await asyncio.sleep(0.1)

    async def listen(self, url: str) -> None:
        """Follow the conversation until the bot has said something, whatever breaks."""
        while not self.heard:
            with suppress(httpx.TransportError):
                async for event, data in self._events(url):
                    if event == "line" and data["author"] == "bot":
                        self.heard.append(str(data["text"]))
                        return
            await asyncio.sleep(0.1)

    async def sees(self, url: str) -> list[tuple[str, str]]:
        """Who said what, as one replica tells it."""
        lines = []
        async for event, data in self._events(url):
            if event == "caught_up":
                break
            if event == "line":
                lines.append((str(data["author"]), str(data["text"])))
        return lines

    async def _events(self, url: str) -> AsyncIterator[tuple[str, dict[str, object]]]:
        async with (
            http_client(url, cookies=self.cookies) as client,
            client.stream("GET", "/chat/events") as response,
        ):
            name = ""
            async for line in response.aiter_lines():
                told, _, value = line.partition(": ")
                name = value if told == "event" else name
                if told == "data":
                    yield name, json.loads(value)


class Crowd:
    """Asks on Slack, on Telegram and on the web in turn."""

    def __init__(self, world: World, url: str) -> None:
        self.visitors: list[Visitor] = []
        self.asked = 0
        self._world = world
        self._url = url
        self._tasks: list[asyncio.Task[None]] = []

    def step(self) -> None:
        """Let the next customer come in."""
        self.asked += 1
        text = QUESTION.format(number=self.asked)
        if self.asked % 3 == 0:
            visitor = Visitor()
            self.visitors.append(visitor)
            self._tasks.append(asyncio.create_task(self._visit(visitor, text)))
        elif self.asked % 3 == 1:
            place = f"D{self.asked:08d}"
            self._world.slack.team.open(place, "im")
            self._world.slack.user_says(place, text, user=f"U{self.asked:08d}")
        else:
            self._world.telegram.user_says(self.asked, text)

    async def _visit(self, visitor: Visitor, text: str) -> None:
        await visitor.ask(self._url, text)
        await visitor.listen(self._url)

    async def leave(self) -> None:
        """Wait until each visitor has heard something."""
        await asyncio.gather(*self._tasks)

    def go_away(self) -> None:
        """Wait no longer."""
        for task in self._tasks:
            task.cancel()

    def shown(self) -> dict[str, list[str]]:
        """What each customer on a platform has been shown."""
        chats = range(1, self.asked + 1)
        slack = {f"D{number:08d}": number for number in chats if number % 3 == 1}
        return {
            place: [message.text for message in self._world.slack.messages(place)]
            for place in slack
        } | {
            str(number): [shown.text for shown in self._world.telegram.messages(number)]
            for number in chats
            if number % 3 == 2
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many questions were kept, and what went wrong; `unknown` are sends nobody can tell of."""

    asked: int
    kept: int
    lost: int
    doubled: int
    unknown: int


async def kept(database: Database) -> int:
    """How many questions are in the inbox."""
    wanted = select(func.count()).select_from(inbox).where(inbox.c.kind == Kind.MESSAGE)
    return await database.read(lambda connection: connection.scalar(wanted)) or 0


async def judge(crowd: Crowd, database: Database, replicas: Sequence[str]) -> Verdict:
    """Hold what customers saw, on whichever replica, against what they asked."""
    unknown = await _unknown(database)
    lost = doubled = 0
    for place, texts in crowd.shown().items():
        lost += not texts and place not in unknown
        doubled += len(texts) > 1
    for visitor in crowd.visitors:
        views = [await visitor.sees(url) for url in replicas]
        assert all(view == views[0] for view in views)
        said = [text for author, text in views[0] if author == "bot"]
        lost += not said
        doubled += len(said) > 1
    return Verdict(
        asked=crowd.asked,
        kept=await kept(database),
        lost=lost,
        doubled=doubled,
        unknown=len(unknown),
    )


async def _unknown(database: Database) -> set[str]:
    wanted = (
        select(conversations.c.place)
        .join(outbox, outbox.c.conversation_id == conversations.c.id)
        .where(outbox.c.state == "unknown")
    )
    rows = await database.read(lambda connection: connection.execute(wanted).all())
    return {row.place for row in rows}
