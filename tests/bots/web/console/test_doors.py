"""Every route of the console, by every role, from everywhere: generated from the one table."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Mount, Route

from bots.web.console.console import console_routes
from bots.web.console.doors import DOORS, Anyone, Door
from core.adapters.accounts import NewAccount
from core.staff import Account, Role
from tests.bots.web.console.world import (
    ELSEWHERE,
    Client,
    Console,
    browser_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def ids_of(doors: list[Door]) -> list[str]:
    return [f"{door.method} {door.path}" for door in doors]


GUARDED = [door for door in DOORS if not isinstance(door.takes, Anyone)]
UNSAFE = [door for door in DOORS if door.method != "GET"]
PAGES = [door for door in DOORS if door.method == "GET" and door.path != "/desk/news"]
# Signing out would end the session that the other cases share; it has tests of its own.
TRIED = [door for door in GUARDED if door.path != "/desk/sign-out"]
SIGNED_OUT_MAY = {
    "GET /desk/sign-in",
    "POST /desk/sign-in",
    "GET /desk/join/{token}",
    "POST /desk/join/{token}",
    "GET /desk/provider",
    "GET /desk/provider/back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """A browser for each role, and one of another company's admin."""

    by_role: dict[Role, Client]
    foreign: Client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(console: Console) -> AsyncIterator[People]:
    accounts = {role: await console.person(role) for role in Role}
    mallory = await _of_elsewhere(console)
    async with (
        browser_of(console, accounts[Role.ADMIN]) as admin,
        browser_of(console, accounts[Role.AGENT]) as agent,
        browser_of(console, accounts[Role.VIEWER]) as viewer,
        browser_of(console, mallory) as foreign,
    ):
        by_role = {Role.ADMIN: admin, Role.AGENT: agent, Role.VIEWER: viewer}
        yield People(by_role=by_role, foreign=foreign)


async def _of_elsewhere(console: Console) -> Account:
    accounts = console.needs.accounts
    known = await accounts.list(ELSEWHERE)
    if known:
        return known[0]
    new = NewAccount(name="Mallory", role=Role.ADMIN, language="en", login="mallory")
    account = await accounts.get(ELSEWHERE, await accounts.create(ELSEWHERE, new))
    assert account is not None
    return account


def address(door: Door) -> str:
    """The path with an id that is nobody's."""
    return re.sub(r"\{[^}]*\}", "987654", door.path)


async def knock(client: Client, door: Door, **headers: str) -> httpx.Response:
    if door.path == "/desk/news":
        return await _first_of_stream(client, door, headers)
    data = {} if door.method == "GET" else {"csrf": client.csrf}
    return await client.http.request(door.method, address(door), data=data, headers=headers)


async def _first_of_stream(client: Client, door: Door, headers: dict[str, str]) -> httpx.Response:
    async with client.http.stream(door.method, address(door), headers=headers) as response:
        return response


def turned_away(response: httpx.Response) -> bool:
    to_sign_in = response.headers.get("location", "").startswith("/desk/sign-in")
    return response.status_code in (401, 403) or (response.status_code == 303 and to_sign_in)


async def test_only_the_way_in_is_open_to_anyone() -> None:
    open_to_all = {f"{d.method} {d.path}" for d in DOORS if isinstance(d.takes, Anyone)}
    assert open_to_all == SIGNED_OUT_MAY
    assert all(isinstance(door.takes, (Role, Anyone)) for door in DOORS)


async def test_every_route_comes_from_the_table_and_stands_there_once(console: Console) -> None:
    routes = console_routes(console.needs)
    (static,) = [route for route in routes if isinstance(route, Mount)]
    assert static.path == "/desk/static"
    built = [
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    ]
    assert sorted(built) == sorted((door.method, door.path) for door in DOORS)
    assert len(set(built)) == len(built)


async def test_who_asks_for_the_head_of_the_news_may_ask_on(people: People) -> None:
    client = people.by_role[Role.AGENT].http
    head = await client.head("/desk/news")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    # On the same connection.
    assert (await client.get("/desk/people")).status_code == 403


async def test_an_address_that_is_none_of_ours_is_told_in_words(console: Console) -> None:
    reader = await console.person(Role.VIEWER, "leser@shop.example", language="de")
    async with browser_of(console, reader) as client:
        for path in ("/desk/nothing", "/desk/models/encoder/report", "/desk/conversations/x"):
            page = await client.get(path)
            assert (page.status_code, "Das gibt es hier nicht." in page.text) == (404, True)
            assert 'href="/desk"' in page.text
        part = await client.get("/desk/nothing", **{"X-Part": "1"})
        assert part.json() == {"error": "Das gibt es hier nicht.", "why": "no_page"}
        slashed = await client.get("/desk/knowledge/?q=a+b&path=c")
        assert slashed.headers["location"] == "/desk/knowledge?q=a+b&path=c"
        # Where a post was answered with a page before the browser was opened again.
        for path in (
            "/desk/knowledge/file",
            "/desk/knowledge/page",
            "/desk/profile/password",
            "/desk/proposals/1/approve",
        ):
            assert (await client.get(path)).status_code == 200


async def test_nothing_changes_by_being_read() -> None:
    assert {door.method for door in DOORS} == {"GET", "POST"}


@pytest.mark.parametrize("door", GUARDED, ids=ids_of(GUARDED))
async def test_who_is_not_signed_in_is_turned_away(stranger: Client, door: Door) -> None:
    assert turned_away(await knock(stranger, door))


@pytest.mark.parametrize("door", GUARDED, ids=ids_of(GUARDED))
async def test_another_company_s_session_opens_nothing(people: People, door: Door) -> None:
    assert turned_away(await knock(people.foreign, door))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("door", TRIED, ids=ids_of(TRIED))
async def test_a_role_opens_what_it_covers_and_nothing_else(
    console: Console, people: People, door: Door, role: Role
) -> None:
    assert isinstance(door.takes, Role)
    response = await knock(people.by_role[role], door)
    if role.covers(door.takes):
        assert not turned_away(response), response.text
        assert response.status_code < 500
    else:
        assert response.status_code == 403


@pytest.mark.parametrize("door", UNSAFE, ids=ids_of(UNSAFE))
@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        ("right", {"Origin": "https://evil.example"}),
        ("right", {"Sec-Fetch-Site": "cross-site"}),
        ("right", {"Sec-Fetch-Site": "same-site"}),
        ("another's", {}),
    ],
)
async def test_a_post_of_another_site_does_nothing(
    people: People, stranger: Client, door: Door, token: str, headers: dict[str, str]
) -> None:
    admin = people.by_role[Role.ADMIN]
    tokens = {"right": admin.csrf, "another's": stranger.csrf}
    response = await admin.http.post(
        address(door),
        data={"csrf": tokens.get(token, token), "text": "Words of theirs."},
        headers=headers,
    )
    if isinstance(door.takes, Anyone) and not headers:
        # Signed in meanwhile by another tab: the same page leads on from there, and that is all.
        assert response.headers["location"].partition("?")[0] == address(door)
    else:
        assert response.status_code == 403
    # Words of ours may be sent again.
    assert not headers or "Words of theirs." not in response.text


@pytest.mark.parametrize(
    "door", [door for door in DOORS if "{id:" in door.path], ids=lambda door: door.path
)
async def test_a_number_beyond_those_of_rows_is_no_address(people: People, door: Door) -> None:
    client = people.by_role[Role.ADMIN]
    path = re.sub(r"\{id:[^}]*\}", str(2**63), door.path).format(act="claim", what="role")
    response = await client.http.request(door.method, path, data={"csrf": client.csrf})
    assert response.status_code == 404


@pytest.mark.parametrize("door", PAGES, ids=ids_of(PAGES))
async def test_no_page_is_kept_or_framed_or_runs_a_script_that_is_not_ours(
    people: People, door: Door
) -> None:
    response = await knock(people.by_role[Role.ADMIN], door)
    assert response.headers["cache-control"] == "no-store"
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    # The policy would not run these; a page that has them would be broken.
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))", response.text)
    assert not re.search(r"<[^>]+\s(on\w+|style)=", response.text)
    assert "https://" not in re.sub(r"placeholder=\"[^\"]*\"", "", _loaded(response.text))


def _loaded(html: str) -> str:
    """The addresses that a browser fetches by itself."""
    return " ".join(re.findall(r"<(?:script|link|img)[^>]*>", html))
