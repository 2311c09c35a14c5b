"""The web address to which Telegram brings updates."""

import asyncio
import hmac
import json
from urllib.parse import urlsplit

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from telegram.error import BadRequest, InvalidToken, RetryAfter, TelegramError

from bots.telegram.api import ALLOWED_UPDATES, API_URL, TelegramApi, wait_of
from bots.telegram.intake import Intake
from bots.telegram.trouble import Trouble
from core.errors import Unavailable

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
CHECK_EVERY_S = 60.0
RETRY_S = 5.0
BODY_S = 20.0
SECRET_HEADER = "x-telegram-bot-api-secret-token"
# The only ports that Telegram calls (core.telegram.org/bots/webhooks).
PORTS = (None, 80, 88, 443, 8443)


class Webhook:
    """Takes updates in over HTTP, and keeps Telegram informed of where to bring them."""

    def __init__(self, api: TelegramApi, intake: Intake, public_url: str) -> None:
        """Serve below `public_url`, the address under which the world reaches this program."""
        self._api = api
        self._intake = intake
        self._url = public_url.rstrip("/") + api.webhook_path
        self._secret = api.webhook_secret.encode()
        self._trouble = Trouble()
        self.routes = (Route(api.webhook_path, self._receive, methods=["POST"]),)

    async def run(self) -> None:
        """Set the webhook, then look after it until cancelled."""
        while True:
            try:
                await self._register()
                wait_s = CHECK_EVERY_S
            except RetryAfter as error:
                wait_s = wait_of(error)
            except (TelegramError, TimeoutError) as error:
                self._trouble.say("telegram_webhook_not_set", _advice(error))
                wait_s = RETRY_S
            await asyncio.sleep(wait_s)

    async def _register(self) -> None:
        """Set the webhook unless it is; say if Telegram could not deliver of late."""
        bot = self._api.bot
        info = await bot.get_webhook_info()
        if info.url != self._url or set(info.allowed_updates) != set(ALLOWED_UPDATES):
            await bot.set_webhook(
                self._url,
                secret_token=self._api.webhook_secret,
                allowed_updates=ALLOWED_UPDATES,
                drop_pending_updates=False,
            )
            log.info("telegram_webhook_set")
        elif info.pending_update_count and info.last_error_message:
            self._trouble.say("telegram_webhook_failing", info.last_error_message)
            return
        self._trouble.over()

    async def _receive(self, request: Request) -> Response:
        status = self._refusal(request)
        if status is not None:
            return Response(status_code=status)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
            if body is None:
                return Response(status_code=413)
            raw = json.loads(body)
        except (ValueError, RecursionError, ClientDisconnect, TimeoutError):
            return Response(status_code=400)
        if not isinstance(raw, dict):
            return Response(status_code=400)
        return await self._take(raw)

    def _refusal(self, request: Request) -> int | None:
        """The status for whoever is not Telegram; nothing of the request is read or logged."""
        told = request.headers.get(SECRET_HEADER)
        if told is None:
            return 401
        # On bytes: two texts that are not ASCII cannot be compared in constant time.
        if not hmac.compare_digest(told.encode("latin-1", "replace"), self._secret):
            return 403
        return None

    async def _take(self, raw: dict[str, object]) -> Response:
        try:
            await self._intake.take(raw)
        except (Unavailable, TelegramError, TimeoutError) as error:
            # Telegram brings it again; anything but 2xx would do, 503 says why.
            log.warning("telegram_update_not_kept", error=type(error).__name__)
            return Response(status_code=503, headers={"retry-after": "1"})
        return Response(status_code=200)


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _advice(error: Exception) -> str:
    if isinstance(error, InvalidToken):
        return "the token is refused: set TELEGRAM_BOT_TOKEN to the one that @BotFather shows"
    if isinstance(error, BadRequest):
        return f"Telegram does not take DRAGOMAN_PUBLIC_URL: {error.message}"
    return type(error).__name__


def can_be_called(public_url: str, api_url: str) -> bool:
    """Whether Telegram would take this as the address of a webhook."""
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname:
        return False
    # A Bot API server of one's own calls any address.
    return api_url != API_URL or (parts.scheme == "https" and port in PORTS)
