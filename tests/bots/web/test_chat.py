"""The routes of the chat page over real HTTP: each deed once, and nothing for strangers."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Select, select

from bots.web.chat import ADDRESS_AT_ONCE, VISITOR_AT_ONCE
from core.adapters.database import open_database
from core.adapters.tables import desk_events, inbox, messages
from core.phrases import Phrase, say
from core.turn import Author
from tests.bots.web.desk import Desk, Script, delivery_on, open_desk
from tests.databases import sqlite_at
from tests.patience import PATIENCE_S, http_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

Event = tuple[str, dict[str, Any]]


async def send(visitor: httpx.AsyncClient, text: str, key: str = "key-00001") -> httpx.Response:
    return await visitor.post("/chat/messages", json={"key": key, "text": text})


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def until_reply(visitor: httpx.AsyncClient, path: str = "/chat/events") -> list[Event]:
    """What the stream tells, up to the first line of the bot."""
    seen: list[Event] = []
    async with asyncio.timeout(PATIENCE_S), visitor.stream("GET", path) as response:
        assert response.status_code == 200
        async for name, data in events(response):
            seen.append((name, data))
            if name == "line" and data["author"] == "bot":
                break
    return seen


async def stored(folder: Path, query: Select[Any]) -> list[Any]:
    async with open_database(sqlite_at(folder / "desk.db")) as database:
        return list(await database.read(lambda connection: connection.scalars(query).all()))


def break_database(path: Path) -> None:
    """Leave a file that is still there, and damaged."""
    with sqlite3.connect(path) as connection:
        connection.execute("pragma writable_schema = on")
        connection.execute("update sqlite_master set rootpage = 999999 where type = 'table'")
        # Whoever is connected has to read it again.
        connection.execute("pragma schema_version = 999999")
    connection.close()


def lines(seen: list[Event]) -> list[dict[str, Any]]:
    return [data for name, data in seen if name == "line"]


async def test_a_question_is_answered_with_its_source(visitor: httpx.AsyncClient) -> None:
    assert (await send(visitor, "Wie kann ich etwas zurückgeben?")).status_code == 202
    asked, reply = lines(await until_reply(visitor))
    assert asked["text"] == "Wie kann ich etwas zurückgeben?"
    assert reply["language"] == "de"
    assert "<strong>30 Tagen</strong>" in reply["html"]
    assert reply["citations"][0]["href"] == "https://shop.example/de/returns"


async def test_the_customer_is_not_told_how_a_reply_came_about(visitor: httpx.AsyncClient) -> None:
    await send(visitor, "How do I return it?")
    reply = lines(await until_reply(visitor))[-1]
    assert not {"probability", "model", "index", "timings_ms", "reason"} & set(reply)


async def test_a_repeated_key_is_answered_once(desk: Desk, visitor: httpx.AsyncClient) -> None:
    codes = [(await send(visitor, "How do I return it?")).status_code for _ in range(3)]
    await until_reply(visitor)
    assert codes == [202, 200, 200]
    assert desk.script.asked == ["How do I return it?"]


async def test_the_same_key_of_two_visitors_is_two_messages(
    desk: Desk, visitor: httpx.AsyncClient
) -> None:
    async with http_client(desk.url) as other:
        await other.get("/")
        assert (await send(visitor, "one")).status_code == 202
        assert (await send(other, "two")).status_code == 202
        assert lines(await until_reply(other))[0]["text"] == "two"
    assert lines(await until_reply(visitor))[0]["text"] == "one"


async def test_a_reconnected_stream_goes_on_after_the_last_line(visitor: httpx.AsyncClient) -> None:
    await send(visitor, "first", "key-00001")
    seen = lines(await until_reply(visitor))
    await send(visitor, "second", "key-00002")
    visitor.headers["Last-Event-ID"] = str(seen[-1]["id"])
    assert lines(await until_reply(visitor))[0]["text"] == "second"


async def test_the_beginning_of_a_reply_is_shown_while_it_is_written(
    desk: Desk, visitor: httpx.AsyncClient
) -> None:
    seen: list[str] = []
    async with asyncio.timeout(PATIENCE_S), visitor.stream("GET", "/chat/events") as response:
        async for name, data in events(response):
            seen.append(name)
            if name == "caught_up":
                await send(visitor, "a slow one")
            elif name == "partial":
                assert data["html"] == "<p>You can return any item</p>\n"
                desk.script.go.set()
            elif name == "line" and data["author"] == "bot":
                break
    told = [name for name in seen if name != "working"]
    assert told == ["conversation", "caught_up", "partial", "line", "line"]


async def test_a_reply_of_another_process_is_seen_by_looking(tmp_path: Path) -> None:
    """The visitor's window is open here, while the reply is written over there."""
    database_url = sqlite_at(tmp_path / "desk.db")
    async with (
        open_desk(database_url) as desk,
        http_client(desk.url) as visitor,
        open_database(database_url) as database,
    ):
        replied = select(messages.c.id).where(messages.c.author == Author.BOT).limit(1)
        await visitor.get("/")
        elsewhere = delivery_on(database, Script(), None)
        await desk.delivery.__aexit__(None, None, None)
        assert (await send(visitor, "How do I return it?")).status_code == 202
        async with asyncio.timeout(PATIENCE_S), visitor.stream("GET", "/chat/events") as response:
            async for name, data in events(response):
                if name == "caught_up":
                    async with elsewhere:
                        # Its own sweep may be faster than ours: what counts is that it replied.
                        while not await database.read(lambda c: c.scalar(replied)):
                            await elsewhere.sweep()
                            await asyncio.sleep(0.01)
                if name == "line" and data["author"] == "bot":
                    break


async def test_a_forged_cookie_opens_nothing(desk: Desk, visitor: httpx.AsyncClient) -> None:
    cookie = visitor.cookies["dragoman"]
    payload, rest = cookie.split(".", 1)
    for forged in (f"{payload}x.{rest}", f"{payload}.{rest[:-2]}xx", "null", ""):
        async with http_client(desk.url) as thief:
            thief.cookies.set("dragoman", forged)
            assert (await send(thief, "hello")).status_code == 401
            assert (await thief.get("/chat/events")).status_code == 401


async def test_another_site_can_change_nothing(visitor: httpx.AsyncClient) -> None:
    body = {"key": "key-00001", "text": "x", "language": "de", "turn": 1, "helpful": True}
    foreign = (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    )
    for path, headers in product(("messages", "person", "language", "feedback", "new"), foreign):
        response = await visitor.post(f"/chat/{path}", json=body, headers=headers)
        assert response.status_code == 403, (path, headers)


async def test_a_form_post_is_refused(visitor: httpx.AsyncClient) -> None:
    text = json.dumps({"key": "key-00001", "text": "x"})
    response = await visitor.post(
        "/chat/messages", content=text, headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 415


async def test_our_own_page_may_post(desk: Desk, visitor: httpx.AsyncClient) -> None:
    response = await visitor.post(
        "/chat/messages", json={"key": "key-00001", "text": "x"}, headers={"Origin": desk.url}
    )
    assert response.status_code == 202


async def test_a_message_that_is_too_long_is_refused(visitor: httpx.AsyncClient) -> None:
    for size in (4_001, 1_000_000, 10_000_000):
        assert (await send(visitor, "x" * size)).status_code == 413
    assert (await send(visitor, "x" * 4_000)).status_code == 202


async def test_a_long_message_is_refused_in_the_customers_language(
    visitor: httpx.AsyncClient,
) -> None:
    visitor.headers["Accept-Language"] = "ar"
    response = await send(visitor, "x" * 5_000)
    assert response.json()["error"] == say(Phrase.TOO_LONG, "ar", limit=4_000)


@pytest.mark.parametrize("length", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
async def test_a_huge_body_is_refused_before_it_is_all_there(
    desk: Desk, visitor: httpx.AsyncClient, length: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(desk.url.rpartition(":")[2]))
    cookie = visitor.cookies["dragoman"]
    head = (
        f"POST /chat/messages HTTP/1.1\r\nHost: x\r\nCookie: dragoman={cookie}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n"
    )
    writer.write(head.encode())
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    writer.write((chunk if "chunked" in length else chunk[7:-2]) * 17)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_no_page_sends_is_refused(visitor: httpx.AsyncClient) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b'{"key": "key-00001"}',
        b'{"key": "short", "text": "x"}',
        b'{"key": "key 00001", "text": "x"}',
        b'{"key": "key-00001", "text": "\\ud800"}',
        b'{"key": "key-00001", "text": "\xff"}',
        b'{"key": "key-00001", "text": " \\u0000 "}',
    ):
        response = await visitor.post(
            "/chat/messages", content=body, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 400, body


async def test_unusual_texts_are_kept_as_they_are(visitor: httpx.AsyncClient) -> None:
    texts = ["👍🏽", "\u202eevil", "\u200b", "a\x00b", "<script>", "مرحبا"]
    for number, text in enumerate(texts):
        assert (await send(visitor, text, f"key-{number:05}")).status_code == 202
        # Each is answered before the next, or they would be read in one go.
        visitor.headers["Last-Event-ID"] = str(lines(await until_reply(visitor))[-1]["id"])
    del visitor.headers["Last-Event-ID"]
    kept: list[str] = []
    async with asyncio.timeout(PATIENCE_S), visitor.stream("GET", "/chat/events") as response:
        async for name, data in events(response):
            if name == "caught_up":
                break
            if name == "line" and data["author"] == "customer":
                kept.append(data["text"])
    assert kept == [text.replace("\x00", "") for text in texts]


async def test_a_visitor_who_writes_too_fast_is_told_to_wait(
    desk: Desk, visitor: httpx.AsyncClient
) -> None:
    visitor.headers["Accept-Language"] = "de"
    with desk.clock.stopped():
        answers = [await send(visitor, "x", f"key-{i:05}") for i in range(VISITOR_AT_ONCE + 1)]
    assert [each.status_code for each in answers[:-1]] == [202] * VISITOR_AT_ONCE
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"] == "2"
    assert answers[-1].json()["error"] == say(Phrase.TOO_FAST, "de")


async def test_one_address_cannot_be_a_thousand_visitors(desk: Desk) -> None:
    """Each of them stays below what one visitor may do."""

    async def visit() -> list[int]:
        async with http_client(desk.url) as client:
            await client.get("/")
            posts = [await client.post("/chat/new", json={}) for _ in range(VISITOR_AT_ONCE - 2)]
            return [each.status_code for each in posts]

    with desk.clock.stopped():
        visits = await asyncio.gather(*(visit() for _ in range(18)))
    codes = [code for visit in visits for code in visit]
    assert codes.count(200) >= ADDRESS_AT_ONCE
    assert 429 in codes


async def test_a_visitor_has_only_so_many_streams(desk: Desk, visitor: httpx.AsyncClient) -> None:
    async def hold() -> None:
        async with visitor.stream("GET", "/chat/events") as response:
            async for _ in response.aiter_lines():
                pass

    held = [asyncio.create_task(hold()) for _ in range(8)]
    try:
        async with asyncio.timeout(PATIENCE_S):
            refused = await visitor.get("/chat/texts")
            while refused.status_code != 429:
                async with visitor.stream("GET", "/chat/events") as refused:
                    pass
        assert "Retry-After" in refused.headers
    finally:
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        while refused.status_code != 200:
            async with visitor.stream("GET", "/chat/events") as refused:
                pass


async def test_who_asks_for_the_head_of_a_stream_may_ask_on(visitor: httpx.AsyncClient) -> None:
    head = await visitor.head("/chat/events")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    # On the same connection.
    assert (await visitor.get("/chat/texts")).status_code == 200


async def test_a_verdict_is_kept_and_a_strangers_is_not(
    desk: Desk, visitor: httpx.AsyncClient, desk_folder: Path
) -> None:
    await send(visitor, "How do I return it?")
    turn = lines(await until_reply(visitor))[-1]["turn"]
    async with http_client(desk.url) as other:
        await other.get("/")
        verdict = {"turn": turn, "helpful": True}
        assert (await other.post("/chat/feedback", json=verdict)).status_code == 404
    verdict = {"turn": turn, "helpful": False}
    assert (await visitor.post("/chat/feedback", json=verdict)).status_code == 204
    of_turn = (messages.c.author == Author.BOT, messages.c.inbox_id == turn)
    query = select(messages.c.rating).where(*of_turn)
    assert await stored(desk_folder, query) == [-1]


async def test_a_person_can_be_asked_for(visitor: httpx.AsyncClient) -> None:
    assert (await visitor.post("/chat/person", json={"key": "key-00001"})).status_code == 202
    reply = lines(await until_reply(visitor))[-1]
    assert reply["outcome"] == "handoff"
    assert reply["text"] == say(Phrase.HANDOFF_ASKED, "en")


async def test_a_picked_language_stays_for_the_page(visitor: httpx.AsyncClient) -> None:
    body = {"key": "key-00001", "language": "ar"}
    assert (await visitor.post("/chat/language", json=body)).status_code == 202
    assert lines(await until_reply(visitor))[-1]["text"] == say(Phrase.LANGUAGE_SET, "ar")
    assert '<html lang="ar" dir="rtl">' in (await visitor.get("/")).text


async def test_what_is_no_language_cannot_be_picked(visitor: httpx.AsyncClient) -> None:
    body = {"key": "key-00001", "language": "not a tag"}
    assert (await visitor.post("/chat/language", json=body)).status_code == 400


async def test_a_new_conversation_shows_nothing_of_the_old(visitor: httpx.AsyncClient) -> None:
    await send(visitor, "first")
    await until_reply(visitor)
    begun = await visitor.post("/chat/new", json={"key": "key-00002"})
    assert (await send(visitor, "second")).json() == begun.json()
    assert lines(await until_reply(visitor))[0]["text"] == "second"


async def test_who_waits_for_a_person_begins_anew_only_if_they_are_sure(
    visitor: httpx.AsyncClient, desk_folder: Path
) -> None:
    left = select(desk_events.c.id).where(desk_events.c.kind == "left")
    already = len(await stored(desk_folder, left))
    body = {"key": "key-00001"}
    before = (await visitor.post("/chat/person", json=body)).json()["conversation"]
    await until_reply(visitor)
    assert (await visitor.post("/chat/new", json=body)).status_code == 409
    assert (await send(visitor, "I stay")).json()["conversation"] == before
    begun = await visitor.post("/chat/new", json=body | {"sure": True})
    assert begun.json()["conversation"] != before
    told = len(await stored(desk_folder, left))
    assert told > already
    # The bot has this one.
    await send(visitor, "second")
    await until_reply(visitor)
    assert (await visitor.post("/chat/new", json=body)).status_code == 200
    assert len(await stored(desk_folder, left)) == told


async def test_a_second_window_learns_that_the_conversation_is_over(
    visitor: httpx.AsyncClient,
) -> None:
    before = (await send(visitor, "first")).json()["conversation"]
    await visitor.post("/chat/new", json={"key": "key-00002"})
    begun = (await send(visitor, "again")).json()["conversation"]
    assert begun != before
    assert (await until_reply(visitor))[0] == ("conversation", {"conversation": begun})


async def test_the_page_is_closed_to_frames_scripts_and_caches(desk: Desk) -> None:
    async with http_client(desk.url) as client:
        page = await client.get("/", headers={"Accept-Language": "sw, de-AT;q=0.8"})
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert "HttpOnly" in page.headers["Set-Cookie"]
    assert '<html lang="de" dir="ltr">' in page.text


async def test_behind_https_the_cookie_is_bound_to_host_and_tls(tmp_path: Path) -> None:
    opening = open_desk(sqlite_at(tmp_path / "desk.db"), client_ip_header="X-Forwarded-For")
    async with opening as desk, http_client(desk.url) as client:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        cookie = (await client.get("/", headers=headers)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-dragoman=")
    assert "Secure" in cookie
    assert "SameSite=lax" in cookie


async def test_in_frames_each_site_has_a_visitor_of_its_own_and_may_post_nothing(
    tmp_path: Path,
) -> None:
    database_url, https = sqlite_at(tmp_path / "desk.db"), {"X-Forwarded-Proto": "https"}
    opening = open_desk(database_url, client_ip_header="X-Forwarded-For", framed=True)
    async with opening as desk, http_client(desk.url, headers=https) as client:
        https["X-Forwarded-For"] = "203.0.113.7"
        framed = (await client.get("/", headers=https)).headers["Set-Cookie"]
        cookie, *bounds = framed.split("; ")
        assert cookie.startswith("__Host-dragoman=")
        assert {"HttpOnly", "Path=/", "Secure", "SameSite=none", "Partitioned"} < set(bounds)

        async def post(**headers: str) -> int:
            # A browser that knows no partitions brings the cookie to every site's posts.
            told = https | {"Cookie": cookie, **headers}
            body = {"key": "key-00001", "text": "How do I return it?"}
            return (await client.post("/chat/messages", json=body, headers=told)).status_code

        assert await post(**{"Sec-Fetch-Site": "cross-site"}) == 403
        # The site that shows the page is another one, too, and so is an old browser there.
        assert await post(Origin="https://shop.example") == 403
        assert await post(**{"Sec-Fetch-Site": "same-origin"}) == 202
        plain = (await client.get("/", headers={"X-Forwarded-Proto": "http"})).headers["Set-Cookie"]
    # Without TLS no browser would keep the other one.
    assert "SameSite=lax" in plain
    assert "Partitioned" not in plain


async def test_without_a_database_the_browser_is_told_to_come_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "desk.db"
    async with (
        open_desk(f"sqlite:///{path}") as desk,
        http_client(desk.url) as client,
    ):
        await client.get("/")
        await desk.delivery.__aexit__(None, None, None)
        break_database(path)
        answers = [await send(client, "hello"), await client.get("/chat/events")]
        assert [each.status_code for each in answers] == [503, 503]
        assert all(int(each.headers["Retry-After"]) > 0 for each in answers)
        assert "malformed" not in answers[0].text
        assert (await client.get("/")).status_code == 200


async def test_two_posts_at_once_with_one_key_are_one_message(
    visitor: httpx.AsyncClient, desk_folder: Path
) -> None:
    answers = await asyncio.gather(*(send(visitor, "at once") for _ in range(5)))
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 200, 202]
    query = select(inbox.c.text).where(inbox.c.text == "at once")
    assert await stored(desk_folder, query) == ["at once"]
