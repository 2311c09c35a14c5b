"""Coming in: by link, by password; and what keeps others out."""

import re
from collections import Counter

import httpx
import pytest
from sqlalchemy import select

from bots.web.console.throttle import LOGIN_AT_ONCE
from core.adapters.tables import sessions
from core.staff import Role
from tests.bots.web.console.world import HERE, PASSWORD, Client, Console, browser_of, fields_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def sign_in(client: Client, login: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/desk/sign-in", login=login, password=password)


async def test_a_link_lets_the_first_admin_in_once(console: Console, stranger: Client) -> None:
    link = await console.needs.invitations.make(HERE, Role.ADMIN)
    path = f"/desk/join/{link}"
    for _ in range(2):
        page = await stranger.get(path)
        assert "Administrator" in page.text
    fields = {"name": "Ada", "login": "Ada@Shop.Example", "password": PASSWORD, "language": "de"}
    response = await stranger.post(path, **fields)
    assert (response.status_code, response.headers["location"]) == (303, "/desk")
    profile = await stranger.get("/desk/profile")
    assert 'lang="de"' in profile.text
    assert "ada@shop.example" in profile.text
    async with browser_of(console, None) as other:
        assert (await other.get(path)).status_code == 404
        assert (await other.post(path, **fields)).status_code == 404
        assert (await sign_in(other, " ADA@shop.example ")).status_code == 303


@pytest.mark.parametrize(
    "wrong",
    [{"password": "too short"}, {"login": "has spaces"}, {"name": " \u202e "}, {"login": "taken"}],
)
async def test_a_link_stays_good_when_the_form_is_wrong(
    console: Console, stranger: Client, wrong: dict[str, str]
) -> None:
    await console.person(Role.VIEWER, "taken")
    path = f"/desk/join/{await console.needs.invitations.make(HERE, Role.AGENT)}"
    await stranger.get(path)
    fields = {"name": "Bo", "login": "bo", "password": PASSWORD, "language": "en"}
    response = await stranger.post(path, **(fields | wrong))
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert (await stranger.get(path)).status_code == 200


async def test_signing_in_replaces_whatever_session_the_browser_came_with(
    console: Console, stranger: Client
) -> None:
    await console.person(Role.ADMIN)
    viewer = await console.person(Role.VIEWER)
    for planted, page in (
        (await console.needs.sessions.begin(viewer), "/desk/profile"),
        ("made-up", "/desk/sign-in"),
    ):
        stranger.http.cookies.clear()
        stranger.http.cookies.set("dragoman-desk", planted)
        await stranger.get("/desk/sign-in")
        await stranger.get(page)
        response = await sign_in(stranger, "admin@shop.example")
        assert response.status_code == 303
        assert response.cookies["dragoman-desk"] != planted
        assert await console.needs.sessions.find(HERE, planted) is None


async def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(
    console: Console, stranger: Client
) -> None:
    await console.person(Role.AGENT)
    response = await sign_in(stranger, "agent@shop.example")
    cookie = next(c for c in response.headers.get_list("set-cookie") if "dragoman-desk=" in c)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_is_bound_to_this_host(
    console: Console, stranger: Client
) -> None:
    await console.person(Role.AGENT)
    headers = {"X-Forwarded-Proto": "https"}
    page = await stranger.get("/desk/sign-in", **headers)
    forms = page.cookies["__Host-dragoman-desk-forms"]
    response = await stranger.http.post(
        "/desk/sign-in",
        data={"csrf": stranger.csrf, "login": "agent@shop.example", "password": PASSWORD},
        headers={**headers, "Cookie": f"__Host-dragoman-desk-forms={forms}"},
    )
    assert response.status_code == 303
    cookie = response.headers.get_list("set-cookie")[0]
    assert cookie.startswith("__Host-dragoman-desk=")
    assert "; Secure" in cookie
    assert "; Path=/;" in cookie
    assert "Domain" not in cookie
    # A cookie without the prefix may come from a page of a sibling domain.
    token = cookie.partition("=")[2].partition(";")[0]
    planted = {**headers, "Cookie": f"dragoman-desk={token}"}
    assert (await stranger.http.get("/desk/profile", headers=planted)).status_code == 303


async def test_guessing_is_slowed_down_by_login_and_the_right_password_waits_too(
    console: Console,
) -> None:
    await console.person(Role.AGENT, "guessed@shop.example")
    async with browser_of(console, None) as client:
        await client.get("/desk/sign-in")
        codes: Counter[int] = Counter()
        for n in range(LOGIN_AT_ONCE + 5):
            client.http.headers["X-Test-Address"] = f"guesser-{n}"
            codes[(await sign_in(client, "guessed@shop.example", f"guess {n}")).status_code] += 1
        assert codes == {401: LOGIN_AT_ONCE, 429: 5}
        right = {"login": "guessed@shop.example", "password": PASSWORD, "next": "/desk/people"}
        later = await client.post("/desk/sign-in", **right)
        assert later.status_code == 429
        assert 'name="next" value="/desk/people"' in later.text
        # Others come in as ever.
        await console.person(Role.VIEWER)
        assert (await sign_in(client, "viewer@shop.example")).status_code == 303


async def test_trying_many_logins_from_one_place_is_slowed_down(console: Console) -> None:
    async with browser_of(console, None) as client:
        await client.get("/desk/sign-in")
        client.http.headers["X-Test-Address"] = "sprayer"
        codes = [(await sign_in(client, f"nobody-{n}")).status_code for n in range(40)]
    assert codes[:30] == [401] * 30
    assert 429 in codes[30:]


async def test_a_wrong_login_looks_like_a_wrong_password(
    console: Console, stranger: Client
) -> None:
    await console.person(Role.AGENT)

    def shown(response: httpx.Response) -> str:
        return re.sub(r"[\w.-]+@shop\.example", "", response.text)

    unknown = await sign_in(stranger, "who@shop.example", "wrong password")
    known = await sign_in(stranger, "agent@shop.example", "wrong password")
    assert unknown.status_code == known.status_code == 401
    assert shown(unknown) == shown(known)


@pytest.mark.parametrize(
    ("forward", "goes"),
    [
        ("/desk/people", "/desk/people"),
        ("https://evil.example/desk", "/desk"),
        ("//evil.example/desk", "/desk"),
        ("/desk/\\evil.example", "/desk"),
        ("/desk\r\nSet-Cookie: a=b", "/desk"),
        ("javascript:alert(1)", "/desk"),
    ],
)
async def test_after_signing_in_nobody_is_led_away(
    console: Console, stranger: Client, forward: str, goes: str
) -> None:
    await console.person(Role.ADMIN)
    stranger.http.headers["X-Test-Address"] = f"forward {abs(hash(forward))}"
    fields = {"login": "admin@shop.example", "password": PASSWORD, "next": forward}
    response = await stranger.post("/desk/sign-in", **fields)
    if response.status_code == 429:
        pytest.fail("the throttle of another test")
    assert response.headers["location"] == goes


async def test_who_has_signed_in_by_another_tab_goes_on_to_where_this_one_was_going(
    console: Console, stranger: Client
) -> None:
    await console.person(Role.ADMIN)
    stranger.http.headers["X-Test-Address"] = "two tabs"
    await sign_in(stranger, "admin@shop.example")
    # The form of this tab is older than the session.
    fields = {"login": "admin@shop.example", "password": PASSWORD, "next": "/desk/people"}
    response = await stranger.post("/desk/sign-in", **fields)
    assert response.headers["location"] == "/desk/sign-in?next=%2Fdesk%2Fpeople"
    for forward, goes in (("/desk/people", "/desk/people"), ("//evil.example", "/desk")):
        response = await stranger.http.get("/desk/sign-in", params={"next": forward})
        assert response.headers["location"] == goes


async def test_signing_out_ends_the_session_on_the_server(console: Console) -> None:
    account = await console.person(Role.VIEWER)
    async with browser_of(console, account) as client:
        token = client.http.cookies["dragoman-desk"]
        response = await client.post("/desk/sign-out")
        assert response.headers["location"].startswith("/desk/sign-in")
        assert await console.needs.sessions.find(HERE, token) is None
        assert (await client.get("/desk/profile")).status_code == 303


@pytest.mark.parametrize(
    ("came_from", "back"),
    [
        ("/desk/replies", "?next=%2Fdesk%2Freplies"),
        ("/desk/conversations/7?filter=mine", "?next=%2Fdesk%2Fconversations%2F7%3Ffilter%3Dmine"),
        ("/desk", ""),
        # A page that a post has answered with.
        ("/desk/people/invite", "?next=%2Fdesk%2Fpeople%2Finvite"),
        ("//[", ""),
        (None, ""),
    ],
)
async def test_a_form_of_an_ended_session_leads_to_the_sign_in_and_back_to_its_page(
    console: Console, came_from: str | None, back: str
) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    if came_from is not None:
        headers["Referer"] = console.url + came_from
    async with browser_of(console, await console.person(Role.AGENT)) as client:
        await console.needs.sessions.end(client.http.cookies["dragoman-desk"])
        response = await client.http.post("/desk/replies", data={"title": "Hi"}, headers=headers)
        assert response.status_code == 303
        assert response.headers["location"] == f"/desk/sign-in{back}"
        elsewhere = {**headers, "Referer": "https://evil.example/desk/replies"}
        response = await client.http.post("/desk/replies", headers=elsewhere)
        assert response.headers["location"] == "/desk/sign-in"


async def test_what_was_written_outlives_the_session(console: Console) -> None:
    agent = await console.person(Role.AGENT)
    written = {"title": "Opening", "text": "We open at\n<b>nine</b>.", "language": "en"}
    async with browser_of(console, agent) as client:
        client.http.headers["Accept"] = "text/html"
        await console.needs.sessions.end(client.http.cookies["dragoman-desk"])
        page = await client.post("/desk/replies", **written)
        assert (page.status_code, "You are signed out." in page.text) == (401, True)
        # Meanwhile they sign in, in another tab.
        client.http.cookies.set("dragoman-desk", await console.needs.sessions.begin(agent))
        stale = await client.http.post("/desk/replies", data=fields_of(page.text))
        assert (stale.status_code, "Please try again." in stale.text) == (403, True)
        assert fields_of(stale.text).items() >= written.items()
        assert await console.needs.canned.of(HERE) == ()
        kept = await client.http.post("/desk/replies", data=fields_of(stale.text))
        assert kept.status_code == 303
        (answer,) = await console.needs.canned.of(HERE)
        assert (answer.title, answer.text) == (written["title"], written["text"])
        await console.needs.canned.remove(HERE, answer.id)


async def test_no_more_is_read_of_a_stranger_than_anybody_writes(stranger: Client) -> None:
    stranger.http.headers["Accept"] = "text/html"
    response = await stranger.post("/desk/knowledge/write", text="x" * 1_100_000)
    assert (response.status_code, response.headers["location"]) == (303, "/desk/sign-in")


@pytest.mark.parametrize(
    "headers", [{}, {"Accept": "application/json"}, {"Accept": "text/html", "X-Part": "1"}]
)
async def test_a_program_of_an_ended_session_reads_that_it_is_signed_out(
    stranger: Client, headers: dict[str, str]
) -> None:
    response = await stranger.http.post("/desk/replies", headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": "signed_out"})


async def test_a_changed_password_signs_out_every_other_browser(console: Console) -> None:
    account = await console.person(Role.AGENT, "changes@shop.example")
    async with browser_of(console, account) as here, browser_of(console, account) as there:
        wrong = await here.post("/desk/profile/password", old="wrong", new="another long one")
        assert wrong.status_code == 422
        short = await here.post("/desk/profile/password", old=PASSWORD, new="short")
        assert short.status_code == 422
        done = await here.post("/desk/profile/password", old=PASSWORD, new="another long one")
        assert done.status_code == 303
        assert (await here.get("/desk/profile")).status_code == 200
        assert (await there.get("/desk/profile")).status_code == 303
    async with browser_of(console, None) as client:
        await client.get("/desk/sign-in")
        assert (await sign_in(client, "changes@shop.example")).status_code == 401
        again = await sign_in(client, "changes@shop.example", "another long one")
        assert again.status_code == 303


async def test_an_admin_shuts_somebody_out_at_once(console: Console) -> None:
    admin, leaver = await console.person(Role.ADMIN), await console.person(Role.AGENT, "leaver")
    async with browser_of(console, admin) as boss, browser_of(console, leaver) as gone:
        assert (await gone.get("/desk/profile")).status_code == 200
        await boss.post(f"/desk/people/{leaver.id}/access", disabled="true")
        assert (await gone.get("/desk/profile")).status_code == 303
        async with browser_of(console, None) as client:
            await client.get("/desk/sign-in")
            assert (await sign_in(client, "leaver")).status_code == 401
        await boss.post(f"/desk/people/{leaver.id}/access", disabled="false")
        async with browser_of(console, None) as client:
            await client.get("/desk/sign-in")
            assert (await sign_in(client, "leaver")).status_code == 303


async def test_who_is_shut_out_does_not_come_back_by_a_link_of_their_own(
    console: Console, stranger: Client
) -> None:
    admin, leaver = await console.person(Role.ADMIN), await console.person(Role.ADMIN, "former")
    async with browser_of(console, admin) as boss, browser_of(console, leaver) as gone:
        made = await gone.post("/desk/people/invite", role="admin")
        link = re.search(r"/desk/join/[\w-]+", made.text)
        assert link is not None
        assert (await stranger.get(link[0])).status_code == 200
        await boss.post(f"/desk/people/{leaver.id}/access", disabled="true")
        assert (await stranger.get(link[0])).status_code == 404


async def test_an_open_link_is_withdrawn(console: Console, stranger: Client) -> None:
    async with browser_of(console, await console.person(Role.ADMIN)) as boss:
        made = await boss.post("/desk/people/invite", role="viewer")
        link = re.search(r"/desk/join/[\w-]+", made.text)
        assert link is not None
        newest = (await console.needs.invitations.open(HERE))[-1]
        page = (await boss.get("/desk/people")).text
        assert f'name="ref" value="{newest.ref}"' in page
        await boss.post("/desk/people/withdraw", ref=newest.ref)
        assert newest.ref not in (await boss.get("/desk/people")).text
        assert (await stranger.get(link[0])).status_code == 404


async def test_a_name_is_shown_as_it_is_and_runs_nothing(console: Console) -> None:
    admin = await console.person(Role.ADMIN)
    evil = "<img src=x onerror=alert(1)>"
    await console.needs.accounts.change(HERE, admin.id, name=evil)
    async with browser_of(console, admin) as client:
        page = await client.get("/desk/people")
    await console.needs.accounts.change(HERE, admin.id, name="Admin")
    assert evil not in page.text
    assert "&lt;img src=x" in page.text


async def test_a_link_is_shown_once_and_its_hash_is_all_that_is_kept(console: Console) -> None:
    async with browser_of(console, await console.person(Role.ADMIN)) as client:
        page = await client.post("/desk/people/invite", role="agent")
        match = re.search(r"/desk/join/([\w-]+)", page.text)
        assert match is not None
        assert match[1] not in (await client.get("/desk/people")).text
    kept = select(sessions.c.token)
    tokens = await console.database.read(lambda connection: connection.scalars(kept).all())
    assert match[1] not in tokens
