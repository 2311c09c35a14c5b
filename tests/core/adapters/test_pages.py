from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from core.adapters.pages import Pages, is_public
from core.errors import Rejected, Unavailable

TYPES = ("text/html", "text/plain")
Handler = Callable[[httpx.Request], httpx.Response]


class Network:
    """Names, and what is served at their addresses; remembers every connection."""

    def __init__(self, handler: Handler, **names: tuple[str, ...]) -> None:
        self.names = {name.replace("_", "."): found for name, found in names.items()}
        self.requests: list[httpx.Request] = []
        self._handler = handler

    def pages(self, *hosts: str) -> Pages:
        transport = httpx.MockTransport(self._serve)
        return Pages(hosts, resolve=self._resolve, transport=transport)

    async def _resolve(self, host: str, port: int) -> tuple[str, ...]:
        return self.names[host]

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._handler(request)


def page(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="hello", headers={"content-type": "text/html; charset=utf-8"})


async def test_an_allowed_page_is_fetched_from_the_address_that_was_checked() -> None:
    network = Network(page, help_example_org=("93.184.216.34",))
    fetched = await network.pages("help.example.org").fetch("https://help.example.org/a", TYPES)
    assert (fetched.data, fetched.media_type) == (b"hello", "text/html")
    (request,) = network.requests
    assert request.url.host == "93.184.216.34"
    assert request.headers["host"] == "help.example.org"
    assert request.extensions["sni_hostname"] == "help.example.org"


async def test_no_host_is_allowed_unless_named() -> None:
    network = Network(page, help_example_org=("93.184.216.34",))
    with pytest.raises(Rejected, match="DRAGOMAN_KNOWLEDGE_HOSTS"):
        await network.pages().fetch("https://help.example.org/", TYPES)
    assert network.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1.nip.io/",
        "http://localhost/",
        "http://help.example.org@127.0.0.1/",
        "http://help.example.org:8080/",
        "https://help.example.org:22/",
        "http://help.example.org#@127.0.0.1:8080/",
        "file:///etc/passwd",
        "gopher://help.example.org/",
        "ftp://help.example.org/",
        "https://",
        "http://help.example.org.evil.example/",
        "http://ⓛocalhost/",
    ],
)
async def test_no_spelling_of_an_address_reaches_inside(url: str) -> None:
    network = Network(page, help_example_org=("10.0.0.1",))
    with pytest.raises(Rejected):
        await network.pages("help.example.org").fetch(url, TYPES)
    assert network.requests == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("93.184.216.34", "10.1.2.3"),
        ("::ffff:10.0.0.1",),
        ("fe80::1%eth0",),
        ("64:ff9b::7f00:1",),
        ("2002:7f00:1::",),
        ("224.0.0.1",),
        ("0.0.0.0",),
    ],
)
async def test_an_allowed_name_that_leads_inside_is_refused(addresses: tuple[str, ...]) -> None:
    network = Network(page, help_example_org=addresses)
    with pytest.raises(Rejected, match="inner address"):
        await network.pages("help.example.org").fetch("https://help.example.org/", TYPES)
    assert network.requests == []


def test_public_addresses_are_told_from_inner_ones() -> None:
    assert all(map(is_public, ("93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822")))


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://inner.example.org/", "file:///etc/passwd", "//evil.example/"],
)
async def test_each_redirect_is_checked_anew(target: str) -> None:
    def redirect(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": target})

    network = Network(
        redirect, help_example_org=("93.184.216.34",), inner_example_org=("10.0.0.1",)
    )
    allowed = network.pages("help.example.org", "inner.example.org")
    with pytest.raises(Rejected):
        await allowed.fetch("https://help.example.org/", TYPES)
    assert [request.url.host for request in network.requests] == ["93.184.216.34"]


async def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    def rebind(request: httpx.Request) -> httpx.Response:
        network.names["help.example.org"] = ("127.0.0.1",)
        return httpx.Response(302, headers={"location": "/next"})

    network = Network(rebind, help_example_org=("93.184.216.34",))
    with pytest.raises(Rejected, match="inner address"):
        await network.pages("help.example.org").fetch("https://help.example.org/", TYPES)
    assert len(network.requests) == 1


async def test_a_redirect_within_the_host_is_followed_but_not_for_ever() -> None:
    def step(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/b":
            return page(request)
        target = "/b" if request.url.path == "/a" else "/loop"
        return httpx.Response(301, headers={"location": target})

    network = Network(step, help_example_org=("93.184.216.34",))
    allowed = network.pages("help.example.org")
    assert (await allowed.fetch("http://help.example.org/a", TYPES)).url.endswith("/b")
    with pytest.raises(Rejected, match="more than 5 redirects"):
        await allowed.fetch("http://help.example.org/loop", TYPES)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1_000_000


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(404), "answers 404"),
        (httpx.Response(200, content=b"x", headers={"content-type": "image/png"}), "image/png"),
        (
            httpx.Response(200, content=endless(), headers={"content-type": "text/html"}),
            "larger than 20 MB",
        ),
    ],
)
async def test_what_is_served_must_be_a_page_of_fair_size(
    response: httpx.Response, said: str
) -> None:
    network = Network(lambda request: response, help_example_org=("93.184.216.34",))
    with pytest.raises(Rejected, match=said):
        await network.pages("help.example.org").fetch("https://help.example.org/", TYPES)


async def test_a_site_that_is_down_can_be_tried_again() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    network = Network(down, help_example_org=("93.184.216.34",))
    with pytest.raises(Unavailable):
        await network.pages("help.example.org").fetch("https://help.example.org/", TYPES)


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    client = Pages(["a.example"])._client()
    assert isinstance(client._transport, httpx.AsyncHTTPTransport)
    assert not client._mounts
    await client.aclose()
