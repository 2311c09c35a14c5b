"""The guard in front of Slack's HTTP endpoints."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from itertools import product
from urllib.parse import urlencode

import httpx
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.server import MAX_BODY_BYTES
from bots.slack.ingress_http import signed
from tests.bots.slack.conftest import Rig
from tests.patience import http_client

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BODY = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"})


@pytest.fixture
async def http(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        rig.over_http() as (_, url),
        http_client(url) as client,
    ):
        yield client


async def test_the_address_is_verified(http: httpx.AsyncClient, rig: Rig) -> None:
    answer = await http.post("/slack/events", content=BODY, headers=rig.slack.push.signed(BODY))
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})


async def test_an_old_or_future_request_is_refused(http: httpx.AsyncClient, rig: Rig) -> None:
    for off_s in (-301, 302, -86_400, 10**9):
        headers = rig.slack.push.signed(BODY, at_s=time.time() + off_s)
        answer = await http.post("/slack/events", content=BODY, headers=headers)
        assert answer.status_code == 401, off_s


async def test_malformed_headers_are_refused(http: httpx.AsyncClient) -> None:
    for timestamp, signature in (
        ("", ""),
        ("soon", "v0=00"),
        ("-1", "v0=00"),
        ("1e9", "v0=00"),
        ("٣", "v0=00"),
        ("9" * 400, "v0=00"),
        ("1700000000", "v0=é"),
        ("1700000000", "\xff" * 90),
        ("1700000000", ""),
    ):
        headers = [
            (b"X-Slack-Request-Timestamp", timestamp.encode()),
            (b"X-Slack-Signature", signature.encode()),
            (b"X-Slack-Retry-Num", b"1"),
        ]
        answer = await http.post("/slack/events", content=BODY, headers=headers)
        assert answer.status_code == 401, (timestamp, signature)


async def test_what_is_refused_is_not_logged(http: httpx.AsyncClient, rig: Rig) -> None:
    marker = secrets.token_hex(8)
    with structlog.testing.capture_logs() as logs:
        forged = {**rig.slack.push.signed(BODY), "X-Slack-Signature": f"v0={marker}"}
        await http.post("/slack/events", content=f'{{"x":"{marker}"}}', headers=forged)
        await http.post("/slack/interactions", content=marker, headers=forged)
    assert marker not in str(logs)


async def test_a_signed_body_of_another_form_is_a_bad_request(
    rig: Rig, http: httpx.AsyncClient
) -> None:
    bodies = (b"", b"\xff\xfe", b"[]", b'{"a":', b"[" * 90_000, b"payload=1")
    for path, body in product(("/slack/events", "/slack/interactions"), bodies):
        # The SDK can sign text only.
        at = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), b"v0:%s:%s" % (at.encode(), body), hashlib.sha256)
        headers = {
            "X-Slack-Request-Timestamp": at,
            "X-Slack-Signature": f"v0={digest.hexdigest()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 400, (path, body[:9])
    assert not rig.desk.inbounds


async def test_a_megabyte_is_too_much_whether_announced_or_not(
    http: httpx.AsyncClient, rig: Rig
) -> None:
    body = "x" * (MAX_BODY_BYTES + 1)

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536].encode()

    headers = rig.slack.push.signed(body)
    announced = await http.post("/slack/events", content=body, headers=headers)
    streamed = await http.post("/slack/events", content=in_pieces(), headers=headers)
    assert (announced.status_code, streamed.status_code) == (413, 413)


async def test_a_replayed_request_is_not_served_again(http: httpx.AsyncClient, rig: Rig) -> None:
    event = {
        "type": "message",
        "channel_type": "im",
        "channel": "D1",
        "user": "U1",
        "text": "hi",
        "ts": "1700000000.000100",
    }
    body = json.dumps(rig.slack.team.callback(event, "Ev1"))
    headers = rig.slack.push.signed(body, at_s=time.time() - 290)
    statuses = [
        (await http.post("/slack/events", content=body, headers=headers)).status_code
        for _ in range(20)
    ]
    assert statuses == [200] * 20
    assert len(rig.desk.inbounds) == 1


async def test_an_interaction_is_form_encoded(http: httpx.AsyncClient, rig: Rig) -> None:
    body = urlencode({"payload": json.dumps({"type": "shortcut", "team": {"id": "T"}})})
    headers = {**rig.slack.push.signed(body), "Content-Type": "application/x-www-form-urlencoded"}
    answer = await http.post("/slack/interactions", content=body, headers=headers)
    assert answer.status_code == 200


@settings(max_examples=2_000, deadline=None)
@given(body=st.binary(max_size=200), timestamp=st.text(max_size=20), signature=st.text(max_size=80))
def test_no_input_trips_the_guard(body: bytes, timestamp: str, signature: str) -> None:
    """Of 2,000 forgeries none is accepted, and none raises."""
    assert not signed(
        body, SECRET.encode(), timestamp=timestamp, signature=signature, now_s=1_700_000_000
    )


async def test_hostile_requests_are_answered_401_over_the_wire(rig: Rig) -> None:
    chance = rig.slack.faults.chance
    printable = [*range(0x21, 0x7F), *range(0x80, 0x100)]
    statuses = set()
    async with rig.over_http() as (_, url):
        for _ in range(500):
            stamp, mark = (bytes(chance.choices(printable, k=chance.randrange(40))) for _ in "12")
            lines = [b"X-Slack-Request-Timestamp: " + stamp, b"X-Slack-Signature: " + mark]
            body = chance.randbytes(chance.randrange(200))
            statuses.add(await _posted(url, lines, body))
    assert statuses == {b"401"}
    assert not rig.desk.inbounds


async def _posted(url: str, lines: list[bytes], body: bytes) -> bytes:
    """The status of a request that no client library would send."""
    _, _, port = url.rpartition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    head = [
        b"POST /slack/events HTTP/1.1",
        b"Host: x",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        *lines,
    ]
    writer.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
    status = (await reader.readline()).split()[1]
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return status
