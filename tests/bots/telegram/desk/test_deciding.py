"""A night's report in the desk's group, decided there or elsewhere; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from core.adapters.database import Database
from core.adapters.tables import holds
from core.adapters.versions import Versions
from core.nights import NightState, VersionState
from core.phrases import Phrase, say
from core.staff import Role
from core.turn import Channel
from tests.bots.telegram.desk.test_killed import killed
from tests.bots.telegram.desk.world import ANNA, BEN, GROUP, World, desk_group, open_world
from tests.deciding import SLOT, VERSION, Night, open_night
from tests.fakes.deciding import CONSOLE, HOME
from tests.fakes.telegram.world import Shown
from tests.patience import until

IN_SERVICE = say(Phrase.NIGHT_IN_SERVICE, "de")
REFUSED = say(Phrase.NIGHT_REFUSED, "de")


@pytest.fixture
async def night(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    async with open_night(database_url, tmp_path) as opened:
        await opened.waits()
        await opened.person(Channel.TELEGRAM, str(ANNA), "Anna", Role.ADMIN)
        yield opened


@pytest.fixture
async def world(database: Database, night: Night) -> AsyncIterator[World]:
    async with open_world(database, decider=night.decider(Channel.TELEGRAM)) as opened:
        await until(lambda: asking(opened))
        yield opened


def reports(world: World) -> list[Shown]:
    return [m for m in world.telegram.messages(GROUP) if VERSION in m.text]


def asking(world: World) -> list[Shown]:
    return [report for report in reports(world) if report.buttons]


async def press(world: World, label: Phrase, user: int = ANNA) -> str:
    """Press a button of the report; what is told on that screen alone."""
    [report] = asking(world)
    data = next(data for text, data in report.buttons if say(label, "de") in text)
    return await world.pressed(report.message_id, data, user=user)


async def decided(world: World, *words: str) -> None:
    """Wait until the report tells it, without a button."""
    await until(lambda: all(word in reports(world)[0].text for word in words))
    assert not asking(world)


async def test_the_group_reads_what_the_night_found_in_its_own_language(world: World) -> None:
    [report] = asking(world)
    assert report.thread is None
    assert say(Phrase.NIGHT_ASKS, "de", version=VERSION) in report.text
    assert f"{say(Phrase.NIGHT_WRONG, 'de')}: \u206614% → 12%\u2069" in report.text
    assert say(Phrase.NIGHT_WORST, "de", language="English") in report.text
    assert f"✓ {say(Phrase.CHECK_SPEED, 'de')}" in report.text
    assert f"{CONSOLE}/desk/models/{SLOT}/report/encoder" in report.text
    # Telegram makes an address in it one to tap, which it does not in `code`.
    assert not [entity for entity in report.entities if entity["type"] == "code"]


async def test_an_admin_puts_it_into_service_once_however_often_it_is_pressed(
    world: World, night: Night
) -> None:
    night.models.gate.clear()
    # Nobody has waited for what takes minutes.
    for _ in range(2):
        assert await press(world, Phrase.DO_PROMOTE) == say(Phrase.NIGHT_STARTED, "de")
    night.models.gate.set()
    await decided(world, IN_SERVICE, say(Phrase.NIGHT_DECIDED_BY, "de", name="Anna"))
    version = await night.version()
    assert (version.state, version.account) == (VersionState.LIVE, "Anna")
    assert await night.state() is NightState.PUBLISHED
    assert night.models.begun == 1


async def test_an_admin_refuses_it_and_a_late_press_is_answered(world: World, night: Night) -> None:
    [report] = asking(world)
    assert await press(world, Phrase.DO_REFUSE) == ""
    await decided(world, REFUSED, say(Phrase.NIGHT_DECIDED_BY, "de", name="Anna"))
    version = await night.version()
    assert (version.state, version.reason) == (VersionState.REFUSED, "declined in Telegram")
    # As on a screen that has not seen it yet.
    for _, data in report.buttons:
        told = await world.pressed(report.message_id, data)
        assert told.startswith(REFUSED)
    await decided(world, REFUSED)
    assert night.models.begun == 0


async def test_a_member_who_is_no_admin_decides_nothing(world: World, night: Night) -> None:
    why = say(Phrase.NIGHT_ADMINS_ONLY, "de")
    assert await press(world, Phrase.DO_PROMOTE, BEN) == why
    assert await press(world, Phrase.DO_REFUSE, BEN) == why
    strangers = say(Phrase.DESK_MEMBERS_ONLY, "de")
    assert await press(world, Phrase.DO_REFUSE, user=999) == strangers
    assert (await night.version()).state is VersionState.READY


async def test_the_first_of_two_desks_decides_and_the_other_tells_it(
    world: World, night: Night
) -> None:
    ada = await night.person(Channel.SLACK, "U1", "Ada", Role.ADMIN)
    elsewhere = night.decider(Channel.SLACK)
    assert await elsewhere.refuse(ada, VERSION, "C1/1.0") == ""
    await decided(world, REFUSED, "Ada")


async def test_what_an_erasure_took_away_asks_no_longer(world: World, night: Night) -> None:
    await Versions(night.database).refuse(HOME, VERSION, "a customer was erased")
    await decided(world, say(Phrase.NIGHT_WITHDRAWN, "de"), "a customer was erased")


async def test_what_cannot_serve_is_told_below_the_report_which_still_asks(
    world: World, night: Night
) -> None:
    (night.data / "models" / HOME / VERSION / "modules.json").write_text("[]")
    await press(world, Phrase.DO_PROMOTE)
    why = say(Phrase.NIGHT_FAILED, "de", reason="")
    await until(lambda: any(why in m.text for m in world.telegram.messages(GROUP)))
    assert asking(world)


@pytest.mark.long
async def test_what_telegram_puts_off_is_posted_once(database: Database, night: Night) -> None:
    async with open_world(database, with_desk=False) as world:
        world.telegram.fail_next("sendMessage", "429:0")
        world.telegram.fail_next("editMessageText", "429:0")
        async with shown_by(world, night):
            await until(lambda: asking(world))
        # A desk that begins anew finds it told.
        async with shown_by(world, night):
            await night.waits("2027-02-01")
            await until(lambda: "2027-02-01" in world.telegram.messages(GROUP)[-1].text)
        assert len(reports(world)) == 1


@pytest.mark.long
async def test_a_process_killed_before_it_kept_the_place_leaves_no_button_behind(
    database: Database, database_url: str, night: Night
) -> None:
    async with open_world(database, with_desk=False) as world:
        await killed(world, database_url, "report_posted", 1)
        [lost] = reports(world)
        assert not lost.buttons
        # The leases of the dead process would last for another half minute.
        await database.write(lambda c: c.execute(delete(holds)).rowcount)
        async with shown_by(world, night):
            await until(lambda: asking(world))
        assert len(asking(world)) == 1


@asynccontextmanager
async def shown_by(world: World, night: Night) -> AsyncIterator[None]:
    """Another process shows the desk."""
    decider = night.decider(Channel.TELEGRAM)
    desk = desk_group(world.api, world.database, world.desk, {}, held_s=0.5, decider=decider)
    showing = asyncio.create_task(desk.run())
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
