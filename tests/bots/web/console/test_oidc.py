"""Signing in at the company's provider, which may be down, or lie."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey

from bots.web.console.needs import Provider
from bots.web.console.oidc import CALLBACK
from core.staff import Role
from tests.bots.web.console.world import HERE, Client, Console, browser_of, open_console
from tests.fakes.oidc import CLIENT_ID, CLIENT_SECRET, FakeProvider, open_provider
from tests.patience import http_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    closed: Console
    open: Console
    provider: FakeProvider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def consoles(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(open_provider())
        opened = []
        for role in (None, Role.VIEWER):
            provider = Provider(
                issuer=fake.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, role=role
            )
            folder = tmp_path_factory.mktemp("oidc")
            console = await stack.enter_async_context(open_console(folder, provider=provider))
            fake.redirect_uris.add(console.url + CALLBACK)
            opened.append(console)
        yield World(closed=opened[0], open=opened[1], provider=fake)


@pytest.fixture
def world(consoles: World) -> World:
    """A provider that vouches for somebody new, and tells no lie yet."""
    fake = consoles.provider
    subject = secrets.token_hex(6)
    fake.claims = {
        "sub": subject,
        "name": "Yui",
        "email": f"{subject}@shop.example",
        "email_verified": True,
    }
    fake.lies, fake.signs_with, fake.down = {}, None, False
    return consoles


async def leave(client: Client, **query: str) -> str:
    """To the provider; returns the address that it sends the browser back to."""
    away = await client.http.get("/desk/provider", params=query)
    assert away.status_code == 303, away.text
    async with http_client() as elsewhere:
        response = await elsewhere.get(away.headers["location"])
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


async def comes_in(console: Console, **query: str) -> httpx.Response:
    async with browser_of(console, None) as client:
        response = await client.get(await leave(client, **query))
        if response.status_code == 303:
            assert (await client.get("/desk/profile")).status_code == 200
        return response


async def test_whoever_the_provider_vouches_for_gets_the_role_that_is_set(world: World) -> None:
    for _ in range(2):
        response = await comes_in(world.open, next="/desk/try")
        assert response.headers["location"] == "/desk/try"
    people = await world.open.needs.accounts.list(HERE)
    (yui,) = [person for person in people if person.login == world.provider.claims["email"]]
    assert yui.role is Role.VIEWER


async def test_without_such_a_role_nobody_comes_in_uninvited(world: World) -> None:
    assert (await comes_in(world.closed)).status_code == 403
    link = await world.closed.needs.invitations.make(HERE, Role.AGENT)
    assert (await comes_in(world.closed, invitation=link)).status_code == 303
    # The link is spent, and from now on the identity alone is enough.
    assert (await comes_in(world.closed)).status_code == 303
    people = await world.closed.needs.accounts.list(HERE)
    assert [p.role for p in people if p.login == world.provider.claims["email"]] == [Role.AGENT]
    world.provider.claims |= {"sub": "another", "email": "another@shop.example"}
    assert (await comes_in(world.closed, invitation=link)).status_code == 403


async def test_a_verified_address_finds_the_account_and_an_unverified_one_does_not(
    world: World,
) -> None:
    mail = world.provider.claims["email"]
    account = await world.closed.person(Role.ADMIN, mail)
    world.provider.claims["email_verified"] = False
    assert (await comes_in(world.closed)).status_code == 403
    world.provider.claims["email_verified"] = True
    assert (await comes_in(world.closed)).status_code == 303
    await world.closed.person(Role.ADMIN, "the-other-admin")
    await world.closed.needs.accounts.change(HERE, account.id, disabled=True)
    assert (await comes_in(world.closed)).status_code == 403


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "of another sign-in"},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 600},
        {"sub": None},
        {"configured": "https://evil.example"},
    ],
    ids=lambda lies: str(next(iter(lies))),
)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    world: World, lies: dict[str, Any]
) -> None:
    async with browser_of(world.open, None) as client:
        back = await leave(client)
        world.provider.lies = lies
        response = await client.get(back)
    assert response.status_code in (403, 503)
    assert "dragoman-desk" not in response.cookies


async def test_a_token_of_another_signer_is_refused(world: World) -> None:
    world.provider.signs_with = RSAKey.generate_key(2048, {"kid": "1"})
    assert (await comes_in(world.open)).status_code == 403


async def test_a_browser_that_did_not_leave_from_here_is_not_let_in(world: World) -> None:
    async with browser_of(world.open, None) as attacker, browser_of(world.open, None) as victim:
        back = await leave(attacker)
        assert (await victim.get(back)).status_code == 403
        await leave(victim)
        assert (await victim.get(back)).status_code == 403
        assert (await attacker.get(back)).status_code == 303
        assert (await attacker.get(back)).status_code in (303, 403)


async def test_a_return_is_good_once(world: World) -> None:
    async with browser_of(world.open, None) as client:
        back = await leave(client)
        assert (await client.get(back)).status_code == 303
        await client.post("/desk/sign-out")
        client.http.cookies.delete("dragoman-desk")
        assert (await client.get(back)).status_code == 403


async def test_a_provider_that_is_down_is_told_and_a_password_still_works(world: World) -> None:
    world.provider.down = True
    async with browser_of(world.open, None) as client:
        assert (await client.get("/desk/provider")).status_code == 503
        assert (await client.get("/desk/sign-in")).status_code == 200


async def test_without_a_provider_there_is_no_such_door(console: Console) -> None:
    async with browser_of(console, None) as client:
        assert (await client.get("/desk/provider")).status_code == 404
        assert "/desk/provider" not in (await client.get("/desk/sign-in")).text
