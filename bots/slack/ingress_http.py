"""The endpoints that Slack posts to, closed to everybody else."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import structlog
from slack_bolt.adapter.starlette.async_handler import to_starlette_response
from slack_bolt.response import BoltResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

# Slack's own advice against replay; within it, the unique event id is the defence.
WINDOW_S = 300

log = structlog.get_logger()

Take = Callable[[object], Awaitable[BoltResponse]]


class HttpIngress:
    """Takes signed requests; what is refused is neither parsed nor logged."""

    def __init__(self, take: Take, *, signing_secret: str) -> None:
        """Pass on the payload of what is signed with `signing_secret`."""
        self._take = take
        self._secret = signing_secret.encode()

    async def serve(self, request: Request) -> Response:
        """Answer 200 once what is reported is committed.

        Raises: Unavailable: it is not; any 5xx makes Slack send it again.
        """
        body = await request.body()
        if not signed(
            body,
            self._secret,
            timestamp=request.headers.get("x-slack-request-timestamp", ""),
            signature=request.headers.get("x-slack-signature", ""),
            now_s=time.time(),
        ):
            return PlainTextResponse("not signed by Slack", 401)
        payload = _parsed(body)
        if not isinstance(payload, dict):
            return PlainTextResponse("no payload", 400)
        return to_starlette_response(await self._take(payload))


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


def _parsed(body: bytes) -> object:
    """The payload, be it JSON as of an event, or a field of a form as of a pressed button."""
    try:
        text = body.decode()
        if not text.startswith("{"):
            text = parse_qs(text, max_num_fields=8)["payload"][0]
        payload: object = json.loads(text)
    except (KeyError, ValueError, RecursionError):
        return None
    return payload
