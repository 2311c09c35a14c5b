"""Socket Mode: what Slack reports comes over a websocket that we open."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import structlog
from slack_bolt.response import BoltResponse

from bots.proxies import proxy_for
from core.errors import Misconfigured, Rejected, Unavailable

# Slack pings every few seconds, we every ten: without any frame for so long it is dead.
SILENT_S = 30.0
PING_S = 10.0
CONNECT_S = 15.0
# After it has announced a disconnect, Slack lets what is under way end.
LEAVE_S = 30.0
MAX_PAUSE_S = 30.0

log = structlog.get_logger()

Take = Callable[[object], Awaitable[BoltResponse]]


class SocketMode:
    """Keeps one websocket open, opening the next before Slack closes the last."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        open_url: Callable[[], Awaitable[str]],
        take: Take,
        connected: Callable[[], None],
        silent_s: float = SILENT_S,
    ) -> None:
        """Hand each payload to `take`, which returns once it is committed."""
        self._session = session
        self._open_url = open_url
        self._take = take
        self._connected = connected
        self._silent_s = silent_s
        self._leaving = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises: Misconfigured: Slack refuses the app-level token.
        """
        url = await self._first_url()
        failures = 0
        async with asyncio.TaskGroup() as readers:
            while True:
                try:
                    socket = await self._connect(url or await self._open_url())
                except (Unavailable, Rejected, TimeoutError, aiohttp.ClientError, OSError) as error:
                    failures += 1
                    pause_s = _pause_s(failures, error)
                    log.warning("slack_socket_not_open", error=str(error), retry_in_s=pause_s)
                    await asyncio.sleep(pause_s)
                    continue
                finally:
                    url = None
                self._leaving = asyncio.Event()
                self._connected()
                opened_s = asyncio.get_running_loop().time()
                readers.create_task(self._read(socket, self._leaving))
                await self._leaving.wait()
                # A socket that closes as soon as it opens must not be reopened in a tight loop.
                lasted_s = asyncio.get_running_loop().time() - opened_s
                failures = 0 if lasted_s > MAX_PAUSE_S else failures + 1
                await asyncio.sleep(0 if failures < 3 else _pause_s(failures - 2))

    def reconnect(self) -> None:
        """Open a new socket and let go of the present one."""
        self._leaving.set()

    async def check(self) -> str:
        """The address of a new socket.

        Raises:
            Misconfigured: Slack refuses the app-level token.
            Unavailable, TimeoutError: Slack does not answer.
        """
        try:
            return await self._open_url()
        except Rejected as error:
            raise Misconfigured(
                f"SLACK_APP_TOKEN is refused ({error}); make an app-level token (xapp-…) with the"
                " scope connections:write on the app's page Basic Information"
            ) from error

    async def _first_url(self) -> str | None:
        try:
            return await self.check()
        except (Unavailable, TimeoutError):
            return None

    async def _connect(self, url: str) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(CONNECT_S):
            return await self._session.ws_connect(
                url,
                heartbeat=PING_S,
                timeout=aiohttp.ClientWSTimeout(ws_receive=self._silent_s, ws_close=2.0),
                proxy=proxy_for(url),
            )

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, leaving: asyncio.Event) -> None:
        """Read one socket to its end."""
        closer = asyncio.create_task(_close_after(socket, leaving))
        try:
            # One at a time keeps the order of a conversation; more sockets mean more replicas.
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                if await self._envelope(socket, frame.data):
                    leaving.set()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            log.warning("slack_socket_lost", error=type(error).__name__)
        finally:
            leaving.set()
            closer.cancel()
            await asyncio.gather(closer, return_exceptions=True)
            await socket.close()

    async def _envelope(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> bool:
        """Take one envelope and acknowledge it; True if Slack announces that it will close."""
        envelope = _parsed(text)
        if envelope.get("type") == "disconnect":
            log.info("slack_socket_leaving", reason=str(envelope.get("reason"))[:64])
            return True
        envelope_id = envelope.get("envelope_id")
        if not isinstance(envelope_id, str):
            return False
        try:
            response = await self._take(envelope.get("payload"))
        except Unavailable as error:
            # Not acknowledged, it is sent again.
            log.warning("slack_event_not_committed", error=str(error))
            return False
        except Exception:  # an edge: one event that trips us must not end all others
            log.exception("slack_event_failed")
            return False
        if response.status == 200:
            await socket.send_str(json.dumps({"envelope_id": envelope_id, **_answer(response)}))
        return False


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _answer(response: BoltResponse) -> Mapping[str, Any]:
    """What Slack is told besides that we have it, such as what is wrong in a modal."""
    body = _parsed(response.body) if response.body else {}
    return {"payload": body} if body else {}


async def _close_after(socket: aiohttp.ClientWebSocketResponse, leaving: asyncio.Event) -> None:
    await leaving.wait()
    await asyncio.sleep(LEAVE_S)
    await socket.close()


def _pause_s(failures: int, error: Exception | None = None) -> float:
    """Longer after each failure, and not the same for every replica."""
    told_s = getattr(error, "retry_after_s", None)
    if told_s is not None:
        return float(told_s)
    return min(MAX_PAUSE_S, 0.5 * 2.0 ** min(failures, 8)) * random.uniform(0.5, 1.0)
