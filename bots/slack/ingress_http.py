"""The endpoints that Slack posts to, closed to everybody else."""

import hashlib
import hmac
import json
import re
import time
from urllib.parse import parse_qs

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from bots.slack.ingress import Ingress

MAX_BODY_BYTES = 1_000_000
# Slack's own advice against replay; within it, the unique event id is the defence.
WINDOW_S = 300

log = structlog.get_logger()


class HttpIngress:
    """Takes signed requests; what is refused is neither parsed nor logged."""

    def __init__(self, ingress: Ingress, *, signing_secret: str) -> None:
        """Pass on what is signed with `signing_secret`."""
        self._ingress = ingress
        self._secret = signing_secret.encode()

    async def events(self, request: Request) -> Response:
        """Answer 200 once an event is committed.

        Raises: Unavailable: it is not; any 5xx makes Slack send it again.
        """
        body = await self._verified(request)
        if isinstance(body, Response):
            return body
        payload = _parsed(body)
        if not isinstance(payload, dict):
            return PlainTextResponse("not a JSON object", 400)
        if payload.get("type") == "url_verification":
            return PlainTextResponse(str(payload.get("challenge", "")))
        await self._ingress.event(payload)
        return Response()

    async def interactions(self, request: Request) -> Response:
        """Answer 200 once a pressed button is committed.

        Raises: Unavailable: it is not.
        """
        body = await self._verified(request)
        if isinstance(body, Response):
            return body
        try:
            payload = _parsed(parse_qs(body.decode(), max_num_fields=8)["payload"][0].encode())
        except (KeyError, ValueError):
            payload = None
        if not isinstance(payload, dict):
            return PlainTextResponse("no payload", 400)
        await self._ingress.interaction(payload)
        return Response()

    async def _verified(self, request: Request) -> bytes | Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too large", 413)
        if not signed(
            body,
            self._secret,
            timestamp=request.headers.get("x-slack-request-timestamp", ""),
            signature=request.headers.get("x-slack-signature", ""),
            now_s=time.time(),
        ):
            return PlainTextResponse("not signed by Slack", 401)
        return body


def signed(body: bytes, secret: bytes, *, timestamp: str, signature: str, now_s: float) -> bool:
    """Whether Slack signed the body within the last minutes; of no input does it raise.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    digest = hmac.new(secret, b"v0:%s:%s" % (timestamp.encode(), body), hashlib.sha256)
    genuine = hmac.compare_digest(
        f"v0={digest.hexdigest()}".encode(), signature.encode(errors="replace")
    )
    off_s = now_s - int(timestamp)
    if genuine and abs(off_s) > WINDOW_S:
        # A replay, or a clock that is wrong here: an operator would look for a wrong secret.
        log.warning("slack_request_out_of_time", off_s=round(off_s))
    return genuine and abs(off_s) <= WINDOW_S


async def _body(request: Request) -> bytes | None:
    """The body; None if it is longer than we read, or if its sender went away."""
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:12]) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed
