"""A channel that cannot be the desk is told at the start, and by `dragoman doctor`."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
from tests.bots.slack.desk.world import DESK, HOME, World, people, settings_for
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
    desk = world.channel.desk
    assert desk is not None
    desk.channel = "C0SHOP"
    with pytest.raises(Misconfigured, match="customers ask"):
        await desk.check()


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
