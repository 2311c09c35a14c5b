"""A channel that cannot be the desk is told at the start, and by `dragoman doctor`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.accounts import Accounts
from core.adapters.database import open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.errors import Misconfigured
from core.serving import Pace, Station
from core.staff import Role
from dragoman.channels import open_channels
from dragoman.settings import Settings
from tests.bots.slack.desk.world import (
    DESK,
    HOME,
    PERSON,
    World,
    open_world,
    people,
    settings_for,
    words_of,
)
from tests.core.takeover import bot
from tests.databases import sqlite_at
from tests.fakes.slack import FakeSlack


async def checked(settings: Settings, folder: Path) -> str:
    async with open_database(sqlite_at(folder / "desk.db")) as database:
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=bot,
            ports={},
            presences={},
            pace=Pace(),
            default_language="en",
        )
        delivery = Delivery(inbox=SqlInbox(database), leases=SqlLeases(database), station=station)
        async with open_channels(settings, database, delivery) as channels:
            return await channels[0].check()


async def test_a_channel_that_will_do_is_named(slack: FakeSlack, tmp_path: Path) -> None:
    people(slack)
    assert f"desk in {DESK}" in await checked(settings_for(slack, "", tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda slack: slack.team.channels.pop(DESK), "does not exist"),
        (lambda slack: setattr(slack.team.channels[DESK], "member", False), "/invite"),
        (lambda slack: setattr(slack.team.channels[DESK], "archived", True), "archived"),
        (lambda slack: setattr(slack.team.channels[DESK], "shared", True), "another company"),
        (lambda slack: setattr(slack.team.channels[DESK], "kind", "im"), "direct message"),
    ],
)
async def test_one_that_will_not_do_is_refused_with_what_to_do(
    slack: FakeSlack, tmp_path: Path, spoil: Callable[[FakeSlack], object], why: str
) -> None:
    people(slack)
    spoil(slack)
    with pytest.raises(Misconfigured, match=why) as refused:
        await checked(settings_for(slack, "", tmp_path), tmp_path)
    assert "DRAGOMAN_SLACK_DESK" in str(refused.value)


async def test_a_channel_where_customers_ask_is_refused(world: World) -> None:
    world.slack.team.open("C0SHOP", "channel").people.append("U0CUSTOMER")
    world.slack.user_says("C0SHOP", "wo?", mention=True)
    await world.until(lambda: bool(world.slack.messages("C0SHOP")))
    settings = world.settings.model_copy(update={"slack_desk": "C0SHOP"})
    async with open_channels(settings, world.database, world.delivery) as channels:
        with pytest.raises(Misconfigured, match="customers ask"):
            await channels[0].check()


async def test_a_channel_that_will_not_do_leaves_customers_served_until_it_does(
    slack: FakeSlack, tmp_path: Path
) -> None:
    people(slack)
    slack.team.channels[DESK].archived = True
    url = sqlite_at(tmp_path / "desk.db")
    with capture_logs() as logs:
        async with open_world(slack, url, tmp_path, check_s=0.05) as world:
            slack.user_says("D0CUSTOMER", "hello")
            await world.until(lambda: "bot: hello" in read_in(world, "D0CUSTOMER"))
            slack.user_says("D0CUSTOMER", PERSON)
            await world.until(lambda: "to a person" in read_in(world, "D0CUSTOMER"))
            await slack.called("conversations.info", 3)
            slack.team.channels[DESK].archived = False
            await world.shown(PERSON)
    assert [log["error"] for log in logs if log["event"] == "slack_desk_closed"] == [
        f"DRAGOMAN_SLACK_DESK: the channel {DESK} is archived; bring it back, or name another"
    ]


async def test_once_it_is_shared_with_another_company_nothing_more_is_posted(
    slack: FakeSlack, tmp_path: Path
) -> None:
    url = sqlite_at(tmp_path / "desk.db")
    with capture_logs() as logs:
        async with open_world(slack, url, tmp_path, check_s=0.05) as world:
            await world.handed_over()
            await world.claimed()
            slack.team.channels[DESK].shared = True
            await world.until(lambda: any(log["event"] == "slack_desk_closed" for log in logs))
            world.customer_says("ganz geheim")
            ts = world.agent_says("weiter geht es")
            await world.told("weiter geht es")
            await world.delivery.sweep()
            assert "ganz geheim" not in world.read()
            slack.team.channels[DESK].shared = False
            await world.shown("ganz geheim")
            await world.until(lambda: "white_check_mark" in world.reactions(ts))
    assert len([log for log in logs if log["event"] == "slack_desk_closed"]) == 1


def read_in(world: World, channel: str) -> str:
    return "\n".join(words_of(message) for message in world.slack.messages(channel))


async def test_without_a_team_of_its_own_there_is_no_desk(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, "", tmp_path).model_copy(
        update={"slack_bot_token": Settings().slack_bot_token}
    )
    with pytest.raises(Misconfigured, match="SLACK_BOT_TOKEN"):
        await checked(settings, tmp_path)


async def test_members_become_agents_in_the_language_of_their_slack(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    [anna] = await Accounts(world.database).list(HOME)
    assert (anna.name, anna.role, anna.language, anna.login) == ("Anna", Role.AGENT, "de", None)
