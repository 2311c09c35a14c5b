"""A customer of the chat page without a browser: its routes over HTTP, its events as they come."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import BaseModel

from core.errors import Rejected, Unavailable

ATTEMPTS = 4


class _Citation(BaseModel):
    title: str
    href: str


class _OfferedLanguage(BaseModel):
    tag: str
    name: str


class Said(BaseModel):
    """A line of the conversation as the desk shows it to a customer."""

    id: int
    author: str
    language: str
    text: str
    turn: int | None = None
    outcome: str = ""
    citations: tuple[_Citation, ...] = ()
    choices: tuple[str, ...] = ()
    languages: tuple[_OfferedLanguage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A sign of life: a whole line, or the beginning of one, or neither (work goes on)."""

    said: Said | None = None
    beginning: str = ""


class Connection:
    """A connection to a desk that survives the desk's restart."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Speak through `client`, which keeps the cookie that makes us one visitor."""
        self._client = client
        self._last_id = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, language: str) -> AsyncIterator[Self]:
        """Call the desk at `url`.

        Raises: Unavailable: nothing answers there.
        """
        headers = {"Accept-Language": language}
        timeout = httpx.Timeout(10.0, read=30.0)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=timeout, trust_env=False
        ) as client:
            try:
                (await client.get("/")).raise_for_status()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                raise Unavailable(
                    "desk", f"nothing answers at {url}; start it with `dragoman run`"
                ) from error
            yield cls(client)

    async def do(self, path: str, **body: object) -> None:
        """Do something once, asking again with the same key until the desk has it.

        Raises:
            Rejected: the desk will not take it; the text says why.
            Unavailable: it could not be reached for several seconds.
        """
        body = {"key": secrets.token_hex(16), **body}
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(2.0 ** (attempt - 1))
            try:
                response = await self._client.post(path, json=body)
            except httpx.TransportError:
                continue
            # A balancer answers 502 or 504 when a replica dies with our message in its hands.
            if response.status_code in {429, 502, 503, 504}:
                await asyncio.sleep(min(10.0, float(response.headers.get("Retry-After", "1"))))
            elif response.is_success:
                return
            else:
                raise Rejected(_reason(response))
        raise Unavailable("desk", "it does not answer; your message was not sent")

    async def begin_anew(self) -> None:
        """Leave this conversation and begin another."""
        await self.do("/chat/new", sure=True)
        self._last_id = 0

    async def events(self) -> AsyncIterator[Heard]:
        """Everything that happens, from the first line on, across lost connections."""
        while True:
            with suppress(httpx.TransportError):
                async for heard in self._events_until_lost():
                    yield heard
            await asyncio.sleep(1.0)

    async def _events_until_lost(self) -> AsyncIterator[Heard]:
        path = f"/chat/events?after={self._last_id}"
        async with self._client.stream("GET", path) as response:
            if not response.is_success:
                return
            name = ""
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "line":
                    said = Said.model_validate_json(value)
                    self._last_id = said.id
                    yield Heard(said=said)
                elif field == "data" and name in {"working", "partial"}:
                    yield Heard(beginning=json.loads(value).get("text", ""))


def _reason(response: httpx.Response) -> str:
    with suppress(json.JSONDecodeError, KeyError, TypeError):
        return str(response.json()["error"])
    return f"the desk answered {response.status_code}"
