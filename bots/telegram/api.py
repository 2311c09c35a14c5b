"""One bot's connection to the Telegram Bot API."""

import asyncio
import hmac
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from bots.telegram.limits import Limits
from bots.telegram.requests import CONNECT_S, READ_S, AiohttpRequest
from core.errors import Misconfigured, Rejected, Unavailable

API_URL = "https://api.telegram.org"
# Everything else (reactions, polls, channel posts) is nothing that we answer.
ALLOWED_UPDATES = ("message", "edited_message", "callback_query")

CONNECTIONS = 64

_TOKEN = re.compile(r"(\d{1,20}):[A-Za-z0-9_-]{20,}")
# The request never left this machine, or never reached the other.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)


# An update's number, then the update as raw JSON.
NumberedUpdate = tuple[int, dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who the bot is; `username` is without its @."""

    id: int
    username: str


class TelegramApi:
    """A python-telegram-bot `Bot`, a connection of its own for polling, and the send limits."""

    def __init__(self, token: str, api_url: str = API_URL, *, limits: Limits | None = None) -> None:
        """Connect as the bot of `token`.

        Raises: Misconfigured: this cannot be a token.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise Misconfigured(
                "TELEGRAM_BOT_TOKEN is no bot token: copy it whole from @BotFather (123456:ABC...)"
            )
        _quiet_the_library()
        self.bot_id = int(match[1])
        # Told to Telegram only. Every replica derives the same, and a new token changes both.
        self.webhook_path = f"/telegram/{_derive(token, 'webhook path')[:24]}"
        self.webhook_secret = _derive(token, "webhook secret")
        self.limits = limits or Limits()
        self.api_url = api_url.rstrip("/")
        self._url = f"{self.api_url}/bot{token}"
        self._calls = AiohttpRequest(self.api_url, connections=CONNECTIONS)
        self._polls = AiohttpRequest(self.api_url, connections=1)
        self.bot = Bot(
            token,
            base_url=f"{self.api_url}/bot",
            base_file_url=f"{self.api_url}/file/bot",
            request=self._calls,
            get_updates_request=self._polls,
        )
        self._me: Me | None = None

    async def __aenter__(self) -> Self:
        """Open nothing yet: the first call connects."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await asyncio.gather(self._calls.shutdown(), self._polls.shutdown())

    async def me(self) -> Me:
        """Who we are, asked once.

        Raises: TelegramError: as the Bot API answers.
        """
        if self._me is None:
            user = await self.bot.get_me()
            self._me = Me(id=user.id, username=user.username or "")
        return self._me

    async def updates(self, offset: int | None, *, wait_s: int) -> list[NumberedUpdate]:
        """Wait for updates from `offset` on, which confirms all before it; in order.

        Not `Bot.get_updates`: there one update that the library cannot read loses its whole batch.

        Raises: TelegramError: as the Bot API answers.
        """
        query = {"timeout": wait_s, "allowed_updates": json.dumps(ALLOWED_UPDATES)}
        if offset is not None:
            query["offset"] = offset
        # The query goes into the address: `retrieve` is the library's only way to raw bytes.
        async with asyncio.timeout(wait_s + READ_S + CONNECT_S):
            payload = await self._polls.retrieve(
                f"{self._url}/getUpdates?{urlencode(query)}", read_timeout=wait_s + READ_S
            )
        result = self._polls.parse_json_payload(payload).get("result")
        if not isinstance(result, list):
            raise TelegramError("getUpdates answered without a list")
        return sorted(
            ((update["update_id"], update) for update in result), key=lambda numbered: numbered[0]
        )


def _derive(token: str, purpose: str) -> str:
    """An unguessable name that only who has the token can make, and that does not give it away."""
    return hmac.digest(token.encode(), purpose.encode(), "sha256").hex()


def _quiet_the_library() -> None:
    # It logs whole payloads that it cannot read; we report those ourselves, without their text.
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    # The library's own switch for durations as `timedelta`, without a warning at each use.
    os.environ.setdefault("PTB_TIMEDELTA", "true")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the library's errors into ours; `ChatMigrated` is left to the caller.

    Raises:
        Unavailable: the call had no effect for sure, and may have later.
        Rejected: the call will never succeed.
        TimeoutError: nobody knows whether the call had its effect.
    """
    try:
        yield
    except ChatMigrated:
        raise
    except TelegramError as error:
        raise _plain(error) from error


def _plain(error: TelegramError) -> Exception:
    if isinstance(error, RetryAfter):
        return Unavailable("telegram", "too many requests", retry_after_s=wait_of(error))
    if isinstance(error, InvalidToken):
        return Unavailable("telegram", "the bot token is refused", retry_after_s=60.0)
    if isinstance(error, BadRequest | Forbidden):
        return Rejected(f"telegram: {error.message}")
    if isinstance(error.__cause__, _NOT_SENT):
        return Unavailable("telegram", f"cannot be reached ({type(error.__cause__).__name__})")
    if isinstance(error, NetworkError) and "Too Many Requests" in error.message:
        return Unavailable("telegram", "too many requests", retry_after_s=5.0)
    return TimeoutError(f"telegram: {type(error).__name__}")


def wait_of(error: RetryAfter) -> float:
    """The seconds that a 429 asks to wait."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
