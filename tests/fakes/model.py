"""A model server that speaks the OpenAI protocol and misbehaves on demand.

Start it with `python -m tests.fakes.model [port] [mood]`.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from aiohttp import web

from core.errors import Rejected
from tests.fakes import phrasebook

_SOURCES = re.compile(r"^\[(\d+)\] .*\n(.+) \{\d+\.\d+\}$", re.MULTILINE)
_FIRST_SENTENCE = re.compile(r".+?(?:[。！？؟।]|[.!?](?=\s|$)|$)")


class Mood(StrEnum):
    """How the server behaves."""

    GROUNDED = "grounded"
    """Repeats the first sentence of the first source, with its mark."""
    POINTS = "points"
    """Names the number of that sentence instead."""
    SAYS = "says"
    """Writes `FakeModel.text`."""
    STALLS = "stalls"
    """Accepts, then stays silent."""
    STALLS_HALFWAY = "stalls_halfway"
    GARBAGE = "garbage"
    """Bytes that are not UTF-8, where JSON is due."""
    NONSENSE = "nonsense"
    """JSON of another shape."""
    ERROR = "error"
    """Answers 500."""
    CUT = "cut"
    """Hangs up in the middle of the reply."""
    UNFINISHED = "unfinished"
    """Ends in good form, without saying that the reply is whole."""
    TOO_LONG = "too_long"
    """Stops at the limit of tokens."""
    BABBLES = "babbles"
    """Invents numbers, names and links."""
    ENDLESS = "endless"
    """Repeats itself for ever."""
    EMPTY = "empty"
    TRANSLATES = "translates"
    """Knows the sentences of `tests.fakes.phrasebook`, and repeats what it does not know.

    Asked to answer from sources, it is `GROUNDED`.
    """


class FakeModel:
    """The state of one fake server; `asked` holds every request body it got.

    It lists `name`; if `strict`, it knows no other. `replies` are what it writes to whoever says
    these words, whatever its mood.
    """

    def __init__(self) -> None:
        self.mood = Mood.GROUNDED
        self.text = ""
        self.url = ""
        self.name = "fake-1"
        self.strict = False
        self.asked: list[dict[str, Any]] = []
        self.replies: dict[str, str] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._complete),
            ]
        )
        return app

    async def _models(self, request: web.Request) -> web.Response:
        if self.mood is Mood.ERROR:
            raise web.HTTPInternalServerError(text="out of memory at 0xdeadbeef")
        return web.json_response({"object": "list", "data": [{"id": self.name, "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if self.strict and body["model"] != self.name:
            raise web.HTTPNotFound(text="no such model")
        if self.mood is Mood.STALLS:
            await asyncio.sleep(60)
        if not body.get("stream"):
            return web.json_response(_whole("?"))
        if self.mood is Mood.ERROR:
            raise web.HTTPInternalServerError(text="out of memory at 0xdeadbeef")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if self.mood in (Mood.GARBAGE, Mood.NONSENSE):
            raw = b"\xff\xfe\x80\x81" if self.mood is Mood.GARBAGE else b'{"choices": [[1, 2]]}'
            await response.write(b"data: " + raw + b"\n\n")
            return response
        for piece in re.findall(r"\S+\s*|\s+", self._reply(body)):
            await response.write(_chunk(piece))
        await self._end(request, response)
        return response

    async def _end(self, request: web.Request, response: web.StreamResponse) -> None:
        match self.mood:
            case Mood.STALLS_HALFWAY:
                await asyncio.sleep(60)
            case Mood.CUT:
                if request.transport is not None:
                    request.transport.close()
            case Mood.UNFINISHED:
                pass
            case Mood.TOO_LONG:
                await response.write(_chunk("", finish="length"))
            case Mood.ENDLESS:
                while request.transport is not None and not request.transport.is_closing():
                    await response.write(_chunk("You can return items and return items. "))
                    await asyncio.sleep(0.001)
            case _:
                await response.write(_chunk("", finish="stop") + b"data: [DONE]\n\n")

    def _reply(self, body: dict[str, Any]) -> str:
        question = "".join(message["content"] for message in body["messages"][-1:])
        for words, text in self.replies.items():
            if words in question:
                return text
        if self.mood is Mood.SAYS:
            return self.text
        found = _SOURCES.search(question)
        match self.mood:
            case Mood.EMPTY | Mood.ENDLESS:
                return ""
            case Mood.TRANSLATES if not found:
                return _translation(body["messages"])
            case Mood.BABBLES:
                return "Call Bob Marley on 555-0199 or see https://evil.example/pay. It costs $999."
            case Mood.POINTS if found:
                return "{1.1}"
        sentence = _FIRST_SENTENCE.match(found[2]) if found else None
        return f"{sentence[0]} [1]" if sentence else "NO ANSWER"


def _translation(messages: list[dict[str, str]]) -> str:
    """What the phrasebook says, in the language that the instructions name last."""
    tags = re.findall(r"\(([a-z]{2})[^)]*\)", messages[0]["content"].partition(".")[0])
    text = messages[-1]["content"]
    try:
        return phrasebook.translated(text, tags[0], tags[-1])
    except (Rejected, IndexError):
        return text


def _whole(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    made = {"id": "1", "object": "chat.completion", "created": 0, "model": "fake-1"}
    return {**made, "choices": [choice]}


def _chunk(text: str, *, finish: str | None = None) -> bytes:
    delta = {"content": text} if text else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "fake-1"}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


@asynccontextmanager
async def fake_model(port: int = 0) -> AsyncIterator[FakeModel]:
    """Serve on the loopback until the block ends."""
    fake = FakeModel()
    runner = web.AppRunner(fake.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    address = runner.addresses[0]
    fake.url = f"http://127.0.0.1:{address[1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


async def _serve(port: int, mood: Mood) -> None:
    async with fake_model(port) as fake:
        fake.mood = mood
        print(f"{fake.url} ({fake.mood})", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    port, mood = [*sys.argv[1:], *("8001", Mood.GROUNDED)[len(sys.argv) - 1 :]][:2]
    with asyncio.Runner() as loop:
        loop.run(_serve(int(port), Mood(mood)))
