"""The one web application that every channel with HTTP routes is served from."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import cast

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import DragomanError, Misconfigured, Rejected, Unavailable

# Slack and Telegram stay far below; a customer's message has 4,000 characters.
MAX_BODY_BYTES = 1 << 20
RETRY_AFTER_S = 5.0
READY_S = 5.0
STOP_S = 5
REQUEST_SECONDS = Histogram(
    "dragoman_http_request_seconds",
    "Until the first byte of the response",
    ["path", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

Ready = Callable[[], Awaitable[Mapping[str, str | None]]]
"""What is wrong with each dependency, by its name; None where nothing is."""

log = structlog.get_logger()


def build_app(
    routes: Sequence[BaseRoute],
    *,
    ready: Ready,
    spare: Collection[str] = (),
    frame_ancestors: Sequence[str] = (),
    client_ip_header: str = "",
    max_body_bytes: int = MAX_BODY_BYTES,
    larger_bodies: Mapping[str, int] = MappingProxyType({}),
) -> Starlette:
    """Assemble the application.

    We are ready without the `spare` parts: a balancer must not take all replicas out of service for
    what each of them does without. `frame_ancestors` are sites that may show our pages in a frame.
    `client_ip_header` is set by a proxy in front of us; naming it also makes us believe that
    proxy's X-Forwarded-Proto. `larger_bodies` are paths that take files, with what they take in
    bytes.
    """
    known_paths = frozenset(getattr(route, "path", "") for route in routes)
    return Starlette(
        routes=[*_operator_routes(ready, spare), *routes],
        middleware=[
            Middleware(_BehindProxy, client_ip_header=client_ip_header),
            Middleware(_Edge, headers=_headers(frame_ancestors), known_paths=known_paths),
            Middleware(_BodyLimit, most_bytes=max_body_bytes, larger=larger_bodies),
        ],
        exception_handlers={HTTPException: _answer_refusal},
    )


@asynccontextmanager
async def serving(
    app: ASGIApp, *, host: str, port: int, on_stop: Sequence[Callable[[], None]] = ()
) -> AsyncIterator[str]:
    """Serve `app` in this loop for the length of the block; yields its base URL.

    `on_stop` ends what would otherwise keep a connection open. Signals stay the caller's: uvicorn
    would raise a caught SIGTERM again and so end the process before the others have stopped.

    Raises: Misconfigured: the port is taken, or the address is not of this machine.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve_without_signals(listener))
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listener.getsockname()[1]}"
    finally:
        for stop in on_stop:
            stop()
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    async def serve_without_signals(self, listener: socket.socket) -> None:
        await self._serve([listener])


def check_free(host: str, port: int) -> None:
    """See whether `serving` could listen there, before what takes minutes.

    Raises: Misconfigured: the port is taken, or the address is not of this machine.
    """
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {error.strerror};"
            " set DRAGOMAN_PORT or DRAGOMAN_HOST to another"
        ) from error


def refusal(error: DragomanError) -> HTTPException:
    """The one place where an error of ours becomes an HTTP status; its text stays with us."""
    if isinstance(error, Rejected):
        log.info("request_rejected", reason=str(error))
        return HTTPException(400, "rejected")
    if isinstance(error, Unavailable):
        log.warning("request_unserved", dependency=error.dependency, reason=str(error))
        wait_s = math.ceil(error.retry_after_s or RETRY_AFTER_S)
        return HTTPException(503, "unavailable", headers={"Retry-After": str(wait_s)})
    log.error("request_failed", exc_info=error)
    return HTTPException(500, "failed")


async def _answer_refusal(request: Request, error: Exception) -> Response:
    """What a route refuses itself, in words meant for the reader."""
    return _answer(cast("HTTPException", error))


def _answer(refused: HTTPException) -> Response:
    return JSONResponse({"error": refused.detail}, refused.status_code, headers=refused.headers)


class _Edge:
    """Puts headers on every response, an answer in place of every error, a time on every path."""

    def __init__(
        self, app: ASGIApp, *, headers: Mapping[str, str], known_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._headers = headers
        self._known_paths = known_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        answered = False

        async def send_on(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._complete(message)
                took_s = time.perf_counter() - started_s
                # A label for every path that somebody tries would never end.
                path = scope["path"] if scope["path"] in self._known_paths else "other"
                REQUEST_SECONDS.labels(path, message["status"]).observe(took_s)
            await send(message)

        response = await self._fault(scope, receive, send_on)
        if response is not None and not answered:
            await response(scope, receive, send_on)

    async def _fault(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Run the application; what to answer if it fails."""
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return None
        except DragomanError as error:
            return _answer(refusal(error))
        except Exception:
            log.exception("request_failed", path=scope["path"])
            return PlainTextResponse("Something went wrong on our side.", 500)
        return None

    def _complete(self, message: Message) -> None:
        present = MutableHeaders(scope=message)
        for name, value in self._headers.items():
            present.setdefault(name, value)


class _BodyLimit:
    """Takes no more of a body than its path is for: whoever reads on is refused.

    Starlette's own answers in place of whoever reads, who could say it in the reader's language.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = left_bytes = self._larger.get(scope["path"], self._most_bytes)
        size = Headers(scope=scope).get("content-length", "")
        declared_bytes = int(size) if size.isdecimal() else 0

        async def receive_within() -> Message:
            nonlocal left_bytes
            # Who says beforehand how much it is need not send it.
            if declared_bytes <= most_bytes:
                message = await receive()
                left_bytes -= len(message.get("body", b""))
                if left_bytes >= 0:
                    return message
            raise HTTPException(413, "too_large")

        await self._app(scope, receive_within, send)


class _BehindProxy:
    """Sees the customer's address and scheme through the proxy that hides them."""

    def __init__(self, app: ASGIApp, *, client_ip_header: str) -> None:
        self._app = app
        self._header = client_ip_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._header and scope["type"] == "http":
            headers = Headers(scope=scope)
            # What stands further left, or in a line above, was written by the client itself.
            last = ",".join(headers.getlist(self._header)).rpartition(",")[2].strip()
            if address := _without_port(last):
                scope["client"] = (address, 0)
            if headers.get("x-forwarded-proto") in {"http", "https"}:
                scope["scheme"] = headers["x-forwarded-proto"]
        await self._app(scope, receive, send)


def _without_port(address: str) -> str:
    """The host of `203.0.113.9:51234` and `[2001:db8::1]:443`, which some proxies write."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _headers(frame_ancestors: Sequence[str]) -> Mapping[str, str]:
    ancestors = " ".join(frame_ancestors) or "'none'"
    policy = {
        "default-src": "'self'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "form-action": "'self'",
        "frame-ancestors": ancestors,
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        # Files are asked for again, and mostly answered with 304: an update shows at once.
        "Cache-Control": "no-cache",
    }


def _operator_routes(ready: Ready, spare: Collection[str]) -> list[BaseRoute]:
    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        try:
            async with asyncio.timeout(READY_S):
                faults = await ready()
        except TimeoutError:
            faults = {"checks": f"took longer than {READY_S:g} s"}
        broken = {name: fault for name, fault in faults.items() if fault is not None}
        if broken:
            # What exactly is wrong is for the log: anyone may ask this address.
            log.warning("not_ready", **broken)
        states = {name: "failed" if name in broken else "ok" for name in faults}
        is_ready = broken.keys() <= set(spare)
        return JSONResponse({"ready": is_ready, **states}, 200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
