"""A night's report in the desk's channel, decided there or elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from core.adapters.database import open_database
from core.adapters.tables import holds
from core.nights import NightState, VersionState
from core.phrases import Phrase, say
from core.staff import Role
from core.turn import Channel
from tests.bots.slack.desk.test_faults import killed_at
from tests.bots.slack.desk.world import ANNA, BEN, DESK, OUTSIDER, World, open_world, words_of
from tests.databases import sqlite_at
from tests.deciding import SLOT, VERSION, Night, open_night
from tests.fakes.deciding import CONSOLE, HOME
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.team import FakeMessage

BUTTONS = {"promote", "refuse"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_at(tmp_path / "desk.db")


@pytest.fixture
async def night(url: str, tmp_path: Path) -> AsyncIterator[Night]:
    async with open_night(url, tmp_path) as opened:
        await opened.waits()
        yield opened


@pytest.fixture
async def world(slack: FakeSlack, url: str, tmp_path: Path, night: Night) -> AsyncIterator[World]:
    await night.person(Channel.SLACK, ANNA, "Anna", Role.ADMIN)
    decider = night.decider(Channel.SLACK)
    async with open_world(slack, url, tmp_path, decider=decider) as opened:
        await opened.until(lambda: asks(slack))
        yield opened


def reports(slack: FakeSlack) -> list[FakeMessage]:
    return [m for m in slack.messages(DESK) if VERSION in m.text and not m.deleted]


def asks(slack: FakeSlack) -> bool:
    return any("promote" in str(report.blocks) for report in reports(slack))


async def decided(world: World, *words: str) -> None:
    """Wait until the report tells it, without a button."""
    await world.until(lambda: all(w in words_of(world.card()) for w in words))
    assert not world.buttons()
    assert len(reports(world.slack)) == 1


async def test_the_desk_reads_what_the_night_found_in_its_own_language(world: World) -> None:
    read = words_of(world.card())
    assert say(Phrase.NIGHT_ASKS, "de", version=VERSION) in read
    assert f"{say(Phrase.NIGHT_RIGHT, 'de')}: \u206661% → 70%\u2069" in read
    assert f"{say(Phrase.NIGHT_HANDED_OVER, 'de')}: \u206625% → 18%\u2069" in read
    # German gains 14 of 100, English 10.
    assert say(Phrase.NIGHT_WORST, "de", language="English") in read
    assert f"✓ {say(Phrase.CHECK_BETTER, 'de')}" in read
    assert f"{CONSOLE}/desk/models/{SLOT}/report/encoder" in read
    assert world.buttons() == BUTTONS
    assert say(Phrase.DO_PROMOTE, "de") in read


async def test_an_admin_puts_it_into_service_once_however_often_it_is_pressed(
    world: World, night: Night
) -> None:
    night.models.gate.clear()
    world.press("promote")
    world.press("promote")
    # Nobody has waited for what takes minutes.
    told = await world.whispered(2)
    assert {each["text"] for each in told} == {say(Phrase.NIGHT_STARTED, "de")}
    assert all("thread_ts" not in each for each in told)
    night.models.gate.set()
    await decided(
        world,
        say(Phrase.NIGHT_IN_SERVICE, "de"),
        say(Phrase.NIGHT_DECIDED_BY, "de", name="Anna"),
    )
    version = await night.version()
    assert (version.state, version.account) == (VersionState.LIVE, "Anna")
    assert await night.state() is NightState.PUBLISHED
    assert night.models.begun == 1


async def test_an_admin_refuses_it_and_a_late_press_is_answered(world: World, night: Night) -> None:
    asked = list(world.card().blocks)
    world.press("refuse")
    refused = say(Phrase.NIGHT_REFUSED, "de")
    await decided(world, refused, say(Phrase.NIGHT_DECIDED_BY, "de", name="Anna"))
    version = await night.version()
    assert (version.state, version.reason) == (VersionState.REFUSED, "declined in Slack")
    assert await night.state() is NightState.REFUSED
    # As on a screen that has not seen it yet.
    world.card().blocks = asked
    world.press("promote")
    [whisper] = await world.whispered()
    assert whisper["text"].startswith(refused)
    await decided(world, refused)
    assert night.models.begun == 0


@pytest.mark.parametrize(("user", "phrase"), [(BEN, Phrase.NIGHT_ADMINS_ONLY), (OUTSIDER, None)])
async def test_who_is_no_admin_decides_nothing(
    world: World, night: Night, user: str, phrase: Phrase | None
) -> None:
    for action in BUTTONS:
        world.press(action, user)
    if phrase is not None:
        told = await world.whispered(2)
        assert {(each["user"], each["text"]) for each in told} == {(BEN, say(phrase, "en"))}
    await world.slack.push.idle()
    assert (await night.version()).state is VersionState.READY
    assert world.buttons() == BUTTONS


async def test_what_was_decided_in_the_console_is_told_on_the_desk(
    world: World, night: Night
) -> None:
    ada = await night.person(Channel.WEB, "ada", "Ada *!", Role.ADMIN)
    await night.models.refuse(HOME, VERSION, "declined in the console", account=ada.id)
    await decided(world, say(Phrase.NIGHT_REFUSED, "de"), "Ada")


async def test_what_was_decided_in_the_shell_is_told_on_the_desk(
    world: World, night: Night
) -> None:
    await night.models.models.promote(HOME, VERSION)
    await decided(world, say(Phrase.NIGHT_IN_SERVICE, "de"))


async def test_what_cannot_serve_is_told_to_who_pressed_and_still_asks(
    world: World, night: Night
) -> None:
    damaged = night.data / "models" / HOME / VERSION / "modules.json"
    damaged.write_text("[]")
    world.press("promote")
    told = await world.whispered(2)
    assert told[1]["text"].startswith(say(Phrase.NIGHT_FAILED, "de", reason=""))
    assert world.buttons() == BUTTONS


async def test_a_report_that_somebody_deletes_is_not_posted_again(
    world: World, night: Night
) -> None:
    world.slack.user_deletes(DESK, world.card().ts)
    ben = await night.person(Channel.WEB, "ben", "Ben", Role.ADMIN)
    await night.models.refuse(HOME, VERSION, "declined in the console", account=ben.id)
    await night.waits("2027-02-01")
    await world.until(lambda: any("2027-02-01" in m.text for m in world.slack.messages(DESK)))
    assert not reports(world.slack)


async def test_two_processes_post_one_report_and_a_restart_none(
    slack: FakeSlack, url: str, tmp_path: Path, night: Night
) -> None:
    deciders = [night.decider(Channel.SLACK) for _ in range(3)]
    async with (
        open_world(slack, url, tmp_path, decider=deciders[0]) as world,
        open_world(slack, url, tmp_path, decider=deciders[1]),
    ):
        await world.until(lambda: asks(slack))
    async with open_world(slack, url, tmp_path, decider=deciders[2]) as world:
        await night.waits("2027-02-01")
        await world.until(lambda: any("2027-02-01" in m.text for m in slack.messages(DESK)))
    assert len(reports(slack)) == 1


@pytest.mark.long
async def test_a_process_killed_before_it_kept_the_place_leaves_no_second_report(
    slack: FakeSlack, url: str, tmp_path: Path, night: Night
) -> None:
    async with open_world(slack, url, tmp_path, runs_desk=False):
        await killed_at("report_posted", slack.url, url, tmp_path)
    assert len(reports(slack)) == 1
    assert not asks(slack)
    async with open_database(url) as database:
        # Its lease would last for another half minute.
        await database.write(lambda c: c.execute(delete(holds)).rowcount)
    async with open_world(slack, url, tmp_path, decider=night.decider(Channel.SLACK)) as world:
        await world.until(lambda: asks(slack))
    assert len(reports(slack)) == 1
