"""The web application's frame: errors, headers, health, limits and its end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bots.server import build_app, serving
from core.errors import LeaseLost, Misconfigured, Rejected, Unavailable
from tests.patience import PATIENCE_S, http_client

ERRORS: dict[str, Exception] = {
    "rejected": Rejected("secret"),
    "unavailable": Unavailable("database", "secret"),
    "later": Unavailable("slack", "secret", retry_after_s=7.2),
    "lost": LeaseLost("secret"),
    "unknown": RuntimeError("secret"),
    "refused": HTTPException(418, "short and stout", headers={"X-Pot": "tea"}),
}


async def fail(request: Request) -> Response:
    raise ERRORS[request.path_params["name"]]


async def show(request: Request) -> Response:
    assert request.client is not None
    body = await request.body()
    return PlainTextResponse(f"{request.client.host} {request.url.scheme} {len(body)}")


async def half(request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield "one half"
        raise RuntimeError("secret")

    return StreamingResponse(chunks())


async def healthy() -> Mapping[str, str | None]:
    return {"database": None}


@asynccontextmanager
async def served(**options: object) -> AsyncIterator[httpx.AsyncClient]:
    routes = [Route("/fail/{name}", fail), Route("/show", show, methods=["GET", "POST"])]
    routes.append(Route("/half", half))
    app = build_app(routes, **{"ready": healthy, **options})  # type: ignore[arg-type]  # shorthand
    async with (
        serving(app, host="127.0.0.1", port=0) as url,
        http_client(url) as client,
    ):
        yield client


async def test_an_error_is_a_status_and_its_text_stays_here() -> None:
    statuses = {"rejected": 400, "unavailable": 503, "later": 503, "lost": 500, "unknown": 500}
    async with served() as client:
        for name, status in statuses.items():
            response = await client.get(f"/fail/{name}")
            assert response.status_code == status
            assert "secret" not in response.text
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_who_should_come_back_is_told_when() -> None:
    async with served() as client:
        assert (await client.get("/fail/unavailable")).headers["Retry-After"] == "5"
        assert (await client.get("/fail/later")).headers["Retry-After"] == "8"


async def test_what_a_route_refuses_it_may_explain() -> None:
    async with served() as client:
        response = await client.get("/fail/refused")
        missing = await client.get("/nowhere")
    assert response.json() == {"error": "short and stout"}
    assert response.headers["X-Pot"] == "tea"
    assert missing.status_code == 404
    assert "Content-Security-Policy" in missing.headers


async def test_a_reply_that_breaks_off_is_not_taken_for_whole() -> None:
    async with served() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/half")
        assert (await client.get("/healthz")).status_code == 200


async def test_frames_are_allowed_where_the_operator_says() -> None:
    async with served(frame_ancestors=["https://shop.example"]) as client:
        policy = (await client.get("/healthz")).headers["Content-Security-Policy"]
    assert "frame-ancestors https://shop.example" in policy
    assert "default-src 'self'" in policy


async def test_readiness_names_what_failed_and_not_why() -> None:
    faults: dict[str, str | None] = {"database": None, "model": None}

    async def ready() -> Mapping[str, str | None]:
        return faults

    async with served(ready=ready) as client:
        fine = await client.get("/readyz")
        faults["model"] = "secret host refused"
        broken = await client.get("/readyz")
    assert (fine.status_code, fine.json()) == (
        200,
        {"ready": True, "database": "ok", "model": "ok"},
    )
    assert (broken.status_code, broken.json()) == (
        503,
        {"ready": False, "database": "ok", "model": "failed"},
    )


async def test_metrics_count_known_paths_only() -> None:
    async with served() as client:
        await client.get("/show")
        await client.get("/a-path-that-nobody-serves")
        text = (await client.get("/metrics")).text
    assert 'dragoman_http_request_seconds_count{path="/show",status="200"}' in text
    assert "a-path-that-nobody-serves" not in text


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("", "127.0.0.1 http 0"),
        ("X-Forwarded-For", "203.0.113.7 https 0"),
        ("X-Real-IP", "198.51.100.1 https 0"),
    ],
)
async def test_a_proxy_is_believed_only_if_named(header: str, shown: str) -> None:
    sent = {
        # The left one was written by the client, to be somebody else.
        "X-Forwarded-For": "10.9.9.9, 203.0.113.7",
        "X-Real-IP": "198.51.100.1",
        "X-Forwarded-Proto": "https",
    }
    async with served(client_ip_header=header) as client:
        assert (await client.get("/show", headers=sent)).text == shown


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("10.9.9.8, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
async def test_of_two_header_lines_the_proxys_is_the_last(last: str, shown: str) -> None:
    lines = [("X-Forwarded-For", "10.9.9.9"), ("X-Forwarded-For", last)]
    async with served(client_ip_header="X-Forwarded-For") as client:
        assert (await client.get("/show", headers=lines)).text == f"{shown} http 0"


async def test_a_body_over_the_limit_is_413_in_our_form() -> None:
    async with served(max_body_bytes=1_000) as client:
        assert (await client.post("/show", content=b"x" * 1_000)).status_code == 200
        assert (await client.post("/show", content=b"x" * 1_001)).status_code == 413


async def test_who_says_that_a_body_is_over_the_limit_need_not_send_it() -> None:
    async with served(max_body_bytes=1_000) as client:
        port = client.base_url.port
        reader, writer = await asyncio.open_connection(client.base_url.host, port)
        async with asyncio.timeout(PATIENCE_S):
            writer.write(b"POST /show HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n")
            writer.write(b"Expect: 100-continue\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


async def test_a_taken_port_is_one_clear_line() -> None:
    async with served() as client:
        with pytest.raises(Misconfigured, match=r"cannot listen on 127\.0\.0\.1:.*DRAGOMAN_PORT"):
            async with serving(
                build_app([], ready=healthy), host="127.0.0.1", port=client.base_url.port or 0
            ):
                pass


async def test_stopping_ends_what_would_keep_a_connection_open() -> None:
    stopping = asyncio.Event()

    async def wait(request: Request) -> Response:
        async def chunks() -> AsyncIterator[str]:
            yield "begun"
            await stopping.wait()

        return StreamingResponse(chunks())

    app = build_app([Route("/wait", wait)], ready=healthy)
    async with http_client() as client:
        async with serving(app, host="127.0.0.1", port=0, on_stop=[stopping.set]) as url:
            context = client.stream("GET", f"{url}/wait")
            response = await context.__aenter__()
            assert response.status_code == 200
        # Had it not ended by itself, it would have been cut off.
        assert await response.aread() == b"begun"
        await context.__aexit__(None, None, None)
