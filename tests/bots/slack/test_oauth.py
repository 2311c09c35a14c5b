"""Adding the app to a team, and taking it away."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select

from bots.slack.channel import SlackChannel
from core.adapters.tables import installations
from core.errors import Misconfigured, Rejected, Unavailable
from core.turn import Address, Channel, Parcel, WorkspaceId
from tests.bots.slack.conftest import Rig
from tests.fakes.slack import FakeTeam
from tests.patience import http_client

GUEST = "T2GUEST"


@pytest.fixture
async def shop(rig: Rig) -> AsyncIterator[tuple[SlackChannel, httpx.AsyncClient]]:
    """A desk that any team may install, as a browser sees it."""
    public = {"bot_token": "", "public_url": "http://127.0.0.1:1"}
    secrets = {"client_id": rig.slack.client_id, "client_secret": rig.slack.client_secret}
    async with (
        rig.over_http(**public, **secrets) as (channel, url),
        http_client(url) as browser,
    ):
        yield channel, browser


async def agreed(browser: httpx.AsyncClient) -> str:
    """The path and query with which Slack sends the browser back."""
    there = await browser.get("/slack/install")
    assert there.status_code == 302
    assert "HttpOnly" in there.headers["set-cookie"]
    back = await browser.get(there.headers["location"])
    parts = urlsplit(back.headers["location"])
    return f"{parts.path}?{parts.query}"


def parcel() -> Parcel:
    address = Address(workspace=WorkspaceId(GUEST), channel=Channel.SLACK, place="D0CUSTOMER")
    return Parcel(id=1, address=address, body='{"text": "hello"}')


def guest(rig: Rig) -> FakeTeam:
    return rig.slack.api.teams["xoxb-fake-2"]


async def test_a_team_installs_writes_and_leaves(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    channel, browser = shop
    back = await browser.get(await agreed(browser))
    assert (back.status_code, "is added" in back.text) == (200, True)
    rig.slack.user_says("D0CUSTOMER", "hola", team=guest(rig))
    await rig.slack.push.idle()
    (inbound,) = rig.desk.inbounds
    assert inbound.address.workspace == GUEST
    await channel.port.send(parcel())
    rig.slack.uninstall(guest(rig))
    await rig.slack.push.idle()
    with pytest.raises(Rejected, match="not installed"):
        await channel.port.send(parcel())
    rig.slack.user_says("D0CUSTOMER", "anybody there?", team=guest(rig))
    await rig.slack.push.idle()
    assert rig.desk.texts == ["hola"]


async def test_an_old_notice_of_removal_does_not_throw_a_team_out(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    channel, browser = shop
    await browser.get(await agreed(browser))
    notice = guest(rig).callback({"type": "app_uninstalled"}, "EvOLD")
    rig.slack.push.send("events_api", notice)
    await rig.slack.push.idle()
    assert await channel.port.send(parcel())


async def test_what_waits_for_a_team_that_left_unnoticed_waits_no_longer(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    channel, browser = shop
    await browser.get(await agreed(browser))
    guest(rig).token_works = False
    with pytest.raises(Unavailable, match="token_revoked"):
        await channel.port.send(parcel())
    with pytest.raises(Rejected, match="not installed"):
        await channel.port.send(parcel())


async def test_a_team_that_only_its_organisation_shuts_out_for_now_stays(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    channel, browser = shop
    await browser.get(await agreed(browser))
    for method in ("chat.postMessage", "auth.test"):
        rig.slack.api.refuse[method] = "team_added_to_org"
    with pytest.raises(Unavailable):
        await channel.port.send(parcel())
    rig.slack.api.refuse.clear()
    assert await channel.port.send(parcel())


async def test_tokens_are_sealed_in_the_database(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    await shop[1].get(await agreed(shop[1]))
    rows = await rig.database.read(lambda c: c.execute(select(installations)).all())
    assert len(rows) == 1
    assert "xoxb" not in str(rows)


async def test_a_state_is_good_once_and_only_in_the_browser_that_asked(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    _, browser = shop
    path = await agreed(browser)
    async with http_client(browser.base_url) as other:
        assert (await other.get(path)).status_code == 400
    assert (await browser.get(path)).status_code == 200
    assert (await browser.get(path)).status_code == 400
    forged = f"/slack/oauth?code=1&state={parse_qs(urlsplit(path).query)['state'][0]}x"
    assert (await browser.get(forged)).status_code == 400
    assert (await browser.get("/slack/oauth")).status_code == 400
    exchanges = [method for method, _ in rig.slack.api.requests if method == "oauth.v2.access"]
    assert len(exchanges) == 1
    assert len(rig.slack.api.teams) == 2


@pytest.mark.parametrize("code", ["invalid_code", "<script>"])
async def test_a_refused_exchange_is_said_without_markup(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient], code: str
) -> None:
    path = await agreed(shop[1])
    rig.slack.api.refuse["oauth.v2.access"] = code
    answer = await shop[1].get(path)
    assert answer.status_code == 400
    assert "not added" in answer.text
    assert "<script>" not in answer.text


async def test_an_organisation_wide_installation_is_refused(
    rig: Rig, shop: tuple[SlackChannel, httpx.AsyncClient]
) -> None:
    path = await agreed(shop[1])
    rig.slack.next_guest().enterprise_install = True
    answer = await shop[1].get(path)
    assert (answer.status_code, "whole organisation" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bot_token": ""}, "SLACK_BOT_TOKEN"),
        ({"bot_token": "xapp-1"}, "must begin with xoxb-"),
        ({"app_token": "xoxb-1"}, "must begin with xapp-"),
        ({"app_token": ""}, "SLACK_SIGNING_SECRET"),
        ({"client_id": "1.2"}, "belong together"),
        ({"client_id": "1.2", "client_secret": "x"}, "public URL"),
    ],
)
async def test_settings_that_do_not_fit_are_said_at_the_start(
    rig: Rig, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(Misconfigured, match=says):
        async with rig.channel(**changes):
            pass


async def test_the_doctor_names_the_bot_or_what_it_lacks(rig: Rig) -> None:
    async with rig.channel() as channel:
        assert await channel.check() == "@dragoman in Fake, Socket Mode"
        rig.slack.api.scopes = "chat:write"
        with pytest.raises(Misconfigured, match="lacks the scopes app_mentions:read"):
            await channel.check()


async def test_an_organisation_wide_token_is_refused(rig: Rig) -> None:
    rig.slack.team.enterprise_install = True
    async with rig.channel() as channel:
        with pytest.raises(Misconfigured, match="organisation-wide"):
            await channel.check()
