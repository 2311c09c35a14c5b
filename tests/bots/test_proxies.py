"""Outside addresses are asked by way of the environment's proxy."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bots.proxies import proxy_for
from bots.telegram.api import TelegramApi


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://api.telegram.org", "http://proxy:3128"),
        ("wss://wss-primary.slack.com/link", "http://proxy:3128"),
        ("http://api.telegram.org", None),
        ("https://127.0.0.1:8081", None),
        ("https://localhost", None),
    ],
)
def test_the_proxy_goes_by_scheme_and_this_machine_needs_none(url: str, proxy: str | None) -> None:
    assert proxy_for(url) == proxy


def test_a_host_of_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "telegram.org")
    assert proxy_for("https://api.telegram.org") is None


async def test_telegram_is_asked_by_way_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.url.host)
        me = {"id": 1, "is_bot": True, "first_name": "b", "username": "b_bot"}
        return web.json_response({"ok": True, "result": me})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as proxy:
        monkeypatch.setenv("HTTP_PROXY", str(proxy.make_url("")))
        async with TelegramApi(f"1:{'a' * 35}", "http://telegram.invalid") as api:
            assert (await api.me()).username == "b_bot"
    assert asked == ["telegram.invalid"]
