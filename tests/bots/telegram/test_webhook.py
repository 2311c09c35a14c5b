import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from structlog.testing import capture_logs

from bots.telegram.api import API_URL, TelegramApi
from bots.telegram.channel import TelegramChannel
from bots.telegram.commands import set_commands
from bots.telegram.intake import Intake
from bots.telegram.webhook import BODY_S, SECRET_HEADER, Webhook, can_be_called
from core.adapters.holds import Holds
from tests.bots.telegram.conftest import WORKSPACE, Desk
from tests.fakes.telegram import FakeTelegram, Faults
from tests.fakes.telegram.server import TOKEN
from tests.patience import http_client, until


@asynccontextmanager
async def served(make: Callable[[str], TelegramChannel]) -> AsyncIterator[TelegramChannel]:
    """The channel behind a real web server, its webhook set."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    channel = make(url)
    app = Starlette(routes=list(channel.routes))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    running = asyncio.create_task(channel.run())
    try:
        yield channel
    finally:
        running.cancel()
        server.should_exit = True
        await asyncio.gather(running, serving, return_exceptions=True)
        listener.close()


def maker(api: TelegramApi, desk: Desk, holds: Holds) -> Callable[[str], TelegramChannel]:
    return lambda url: TelegramChannel(
        api,
        workspace=WORKSPACE,
        accept=desk.accept,
        rate=desk.rate,
        move=desk.move,
        holds=holds,
        languages=("en", "de"),
        public_url=url,
    )


@pytest.fixture
async def hooked(
    telegram: FakeTelegram, api: TelegramApi, desk: Desk, idle_holds: Holds
) -> AsyncIterator[str]:
    async with served(maker(api, desk, idle_holds)):
        await until(lambda: telegram.updates.hook)
        assert telegram.updates.hook is not None
        yield telegram.updates.hook.url


async def test_an_update_is_brought_kept_and_answered_200(
    telegram: FakeTelegram, hooked: str, desk: Desk
) -> None:
    telegram.user_says(7, "مرحبا", language_code="ar")
    await until(lambda: desk.texts == ["مرحبا"])
    await until(lambda: telegram.updates.statuses == [200])
    assert set(telegram.updates.allowed) == {"message", "edited_message", "callback_query"}


async def test_what_could_not_be_committed_is_answered_503_and_brought_again(
    telegram: FakeTelegram, hooked: str, desk: Desk
) -> None:
    desk.broken = 2
    telegram.user_says(7, "hello")
    await until(lambda: desk.texts == ["hello"])
    await until(lambda: telegram.updates.statuses == [503, 503, 200])


async def test_duplicates_disorder_and_losses_on_the_way_change_nothing(
    desk: Desk, idle_holds: Holds
) -> None:
    faults = Faults(seed=5, duplicate=0.2, reorder=0.1, drop=0.1, delay_s=0.01)
    async with (
        FakeTelegram(faults=faults) as telegram,
        TelegramApi(telegram.token, telegram.url) as api,
        served(maker(api, desk, idle_holds)),
    ):
        await until(lambda: telegram.updates.hook)
        for number in range(120):
            telegram.user_says(number % 8 + 1, str(number))
        await until(lambda: not telegram.updates.pending)
    assert sorted(desk.texts, key=int) == [str(number) for number in range(120)]


async def post(url: str, body: bytes, secret: str | None) -> int:
    headers = {SECRET_HEADER: secret} if secret is not None else {}
    async with http_client() as client:
        return (await client.post(url, content=body, headers=headers)).status_code


async def test_without_the_secret_nothing_is_read(
    hooked: str, api: TelegramApi, desk: Desk
) -> None:
    body = json.dumps({"update_id": 1, "message": {"text": "forged"}}).encode()
    with capture_logs() as logs:
        assert await post(hooked, body, None) == 401
        assert await post(hooked, body, "") == 403
        assert await post(hooked, body, api.webhook_secret[:-1]) == 403
        assert await post(hooked, body, api.webhook_secret + "0") == 403
        assert await post(hooked[:-1], body, api.webhook_secret) == 404
    assert desk.tries == 0
    assert logs == []


async def test_no_bytes_in_the_secret_header_pass_or_raise(
    api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    webhook = Webhook(api, intake, "http://127.0.0.1:9")
    app = Starlette(routes=list(webhook.routes))
    transport = httpx.ASGITransport(app)
    dice = random.Random(11)
    secret = api.webhook_secret.encode()
    guesses = [dice.randbytes(dice.randrange(1, 80)) for _ in range(300)]
    guesses += [secret[:n] + secret[n + 1 :] for n in range(len(secret))]
    guesses += [secret[:n] + dice.randbytes(1) + secret[n:] for n in range(len(secret))]
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        for guess in guesses:
            headers = [(SECRET_HEADER.encode(), guess)]
            answer = await client.post(api.webhook_path, content=b"{}", headers=headers)
            assert answer.status_code == 403
        answer = await client.post(
            api.webhook_path, content=b"{}", headers=[(SECRET_HEADER.encode(), secret)]
        )
        assert answer.status_code == 200
    assert desk.tries == 0


async def test_a_body_of_a_megabyte_and_more_is_refused(
    hooked: str, api: TelegramApi, desk: Desk
) -> None:
    assert await post(hooked, b"[" * (1024 * 1024 + 1), api.webhook_secret) == 413
    assert desk.tries == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"7", b"[" * 200_000, b'{"a": NaN']
)
async def test_a_body_that_is_no_update_is_answered_400(
    hooked: str, api: TelegramApi, desk: Desk, body: bytes
) -> None:
    assert await post(hooked, body, api.webhook_secret) == 400
    assert desk.tries == 0


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"update_id": 1},
        {"update_id": 1, "message": {}},
        {"update_id": 1, "message": []},
        {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "odd"}}},
        {"update_id": 1, "message": {"message_id": 1, "date": 10**20, "chat": {"id": 1}}},
        {"update_id": 1, "guest_message": {"text": "?"}},
        {"update_id": 1, "from_the_future": {"x": 1}},
        {"update_id": 1, "callback_query": {"id": 4}},
    ],
)
async def test_an_update_that_nobody_can_read_is_taken_and_forgotten(
    hooked: str, api: TelegramApi, desk: Desk, update: dict[str, object]
) -> None:
    assert await post(hooked, json.dumps(update).encode(), api.webhook_secret) == 200
    assert desk.tries == 0


async def test_text_that_no_database_takes_is_mended(
    hooked: str, api: TelegramApi, desk: Desk
) -> None:
    update = (
        b'{"update_id": 1, "message": {"message_id": 1, "date": 1, "text": "a\\u0000b\\ud83d c",'
        b' "chat": {"id": 7, "type": "private"},'
        b' "from": {"id": 7, "is_bot": false, "first_name": "x"}}}'
    )
    assert await post(hooked, update, api.webhook_secret) == 200
    assert desk.texts == ["ab\ufffd c"]
    desk.texts[0].encode()


async def test_a_slow_body_ends_in_time_and_does_not_hold_up_others(
    telegram: FakeTelegram, hooked: str, api: TelegramApi, desk: Desk
) -> None:
    host, port = hooked.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {api.webhook_path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        f"{SECRET_HEADER}: {api.webhook_secret}\r\n\r\n{{".encode()
    )
    await writer.drain()
    started_s = time.monotonic()
    telegram.user_says(7, "hello")
    await until(lambda: desk.texts == ["hello"])
    assert time.monotonic() - started_s < BODY_S
    writer.close()
    await reader.read()


async def test_the_menu_of_commands_is_set_in_each_language(
    telegram: FakeTelegram, hooked: str
) -> None:
    await until(lambda: {"", "en", "de"} <= set(telegram.methods.commands))
    names = [command["command"] for command in telegram.methods.commands["de"]]
    assert names == ["ask", "human", "language", "help"]


async def test_the_doctor_sees_the_webhook(
    telegram: FakeTelegram, hooked: str, idle_holds: Holds
) -> None:
    async with TelegramApi(telegram.token, telegram.url) as api:
        desk = Desk()
        base = hooked.removesuffix(api.webhook_path)
        channel = maker(api, desk, idle_holds)(base)
        assert await channel.check() == "@desk_bot, webhook"


@pytest.mark.parametrize(
    "url", ["http://desk.example", "https://desk.example:8080", "desk.example", "https://[", ""]
)
def test_where_telegram_cannot_call_it_is_polled(url: str, desk: Desk, idle_holds: Holds) -> None:
    assert not can_be_called(url, API_URL)
    api = TelegramApi(TOKEN)
    assert maker(api, desk, idle_holds)(url).routes == ()
    [route] = maker(api, desk, idle_holds)("https://desk.example:8443/").routes
    assert route.path == api.webhook_path


async def test_the_menu_knows_all_our_languages_if_none_is_named(
    telegram: FakeTelegram, api: TelegramApi
) -> None:
    await set_commands(api, ())
    assert {"", "de", "zh", "ar", "uk"} <= set(telegram.methods.commands)


def test_the_secret_and_the_path_follow_from_the_token_and_do_not_show_it() -> None:
    one, same = TelegramApi(TOKEN), TelegramApi(TOKEN)
    other = TelegramApi(TOKEN[:-1] + "1")
    assert one.webhook_secret == same.webhook_secret != other.webhook_secret
    assert one.webhook_path == same.webhook_path != other.webhook_path
    assert 1 <= len(one.webhook_secret) <= 256
    assert one.webhook_secret not in one.webhook_path
