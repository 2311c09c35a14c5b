"""In a group, what goes on from a message that was meant for us need not call us again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bots.telegram.api import TelegramApi
from bots.telegram.intake import Intake
from core.adapters.conversations import Conversations
from core.adapters.database import Database, open_database
from core.adapters.inbox import SqlInbox
from core.adapters.tables import inbox
from core.turn import Inbound
from tests.bots.telegram.conftest import WORKSPACE, Desk
from tests.bots.telegram.test_presses import bring
from tests.databases import sqlite_at
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.world import entities_of

GROUP = -500
LONG = "@desk_bot " + "a long story, " * 200
NOW = 1_700_000_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(sqlite_at(tmp_path / "kept.db")) as opened:
        yield opened


@pytest.fixture
def intake(api: TelegramApi, desk: Desk, database: Database) -> Intake:
    """Keeps what it takes; another process of ours would know as much."""
    kept = SqlInbox(database)

    async def accept(inbound: Inbound) -> bool:
        return await kept.accept(inbound, holder=None, held_s=60) is not None

    return Intake(
        api,
        WORKSPACE,
        accept=accept,
        rate=desk.rate,
        move=desk.move,
        last_said=Conversations(database).last_said,
    )


async def kept(database: Database) -> list[tuple[str, bool]]:
    """The beginning of what was kept, and whether a file came along."""
    wanted = select(inbox.c.text, inbox.c.attachments).order_by(inbox.c.id)
    rows = await database.read(lambda connection: connection.execute(wanted).all())
    return [(row.text[:20], row.attachments != "[]") for row in rows]


def shows(
    telegram: FakeTelegram, caption: str = "", *, user: int = 42, album: str = "a", late_s: int = 0
) -> int:
    """Send one photo of an album."""
    file = f"photo-{len(telegram.world.messages)}"
    return telegram.user_says(
        GROUP,
        "",
        user=user,
        date=NOW + late_s,
        media_group_id=album,
        photo=[{"file_id": file, "file_unique_id": file, "width": 90, "height": 60}],
        caption=caption,
        caption_entities=entities_of(caption),
    )


async def test_all_photos_of_an_album_come_with_the_one_that_calls_us(
    telegram: FakeTelegram, intake: Intake, database: Database
) -> None:
    shows(telegram, "@desk_bot is it broken?")
    shows(telegram)
    shows(telegram, user=43, album="b")
    shows(telegram, late_s=1)
    shows(telegram, album="c", late_s=9)
    await bring(telegram, intake)
    assert await kept(database) == [("is it broken?", True), ("", True), ("", True)]


async def test_an_album_that_nobody_called_us_for_is_left_alone(
    telegram: FakeTelegram, intake: Intake, database: Database
) -> None:
    telegram.user_says(GROUP, "@desk_bot hi", user=42, date=NOW)
    shows(telegram, "for Ben")
    shows(telegram)
    await bring(telegram, intake)
    assert await kept(database) == [("hi", False)]


async def test_a_question_that_an_app_has_cut_is_read_to_its_end(
    telegram: FakeTelegram, intake: Intake, database: Database
) -> None:
    telegram.user_says(GROUP, LONG, user=42, date=NOW)
    telegram.user_says(GROUP, "somebody else", user=43, date=NOW)
    telegram.user_says(GROUP, LONG.removeprefix("@desk_bot "), user=42, date=NOW)
    telegram.user_says(GROUP, "where is my refund?", user=42, date=NOW + 1)
    telegram.user_says(GROUP, "among us", user=42, date=NOW + 2)
    await bring(telegram, intake)
    story = (LONG.removeprefix("@desk_bot ")[:20], False)
    assert await kept(database) == [story, story, ("where is my refund?", False)]


@pytest.mark.parametrize(("asked", "later_s"), [(LONG, 60), ("@desk_bot where is it?", 0)])
async def test_what_is_said_later_or_after_a_short_question_is_for_others(
    telegram: FakeTelegram, intake: Intake, database: Database, asked: str, later_s: int
) -> None:
    telegram.user_says(GROUP, asked, user=42, date=NOW)
    telegram.user_says(GROUP, "Ben, look", user=42, date=NOW + later_s)
    telegram.user_says(GROUP, "/weather", user=42, date=NOW)
    await bring(telegram, intake)
    assert len(await kept(database)) == 1


async def test_an_edit_that_takes_our_name_away_is_still_of_the_message(
    telegram: FakeTelegram, intake: Intake, database: Database
) -> None:
    number = telegram.user_says(GROUP, "@desk_bot wher is it", user=42)
    other = telegram.user_says(GROUP, "a secret", user=42)
    telegram.user_edits(GROUP, number, "where is it")
    telegram.user_edits(GROUP, other, "another secret")
    await bring(telegram, intake)
    assert await kept(database) == [("where is it", False)]
