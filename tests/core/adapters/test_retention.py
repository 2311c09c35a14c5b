"""What is older than it is kept is deleted, and nothing else."""

import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, func, insert, select, update

from core.adapters.database import Database, open_database
from core.adapters.retention import Retention
from core.adapters.tables import conversations, desk_events, handoffs, inbox, messages, outbox
from core.turn import Owner
from tests.databases import sqlite_at
from tests.workers.nightly.story import DAY_S, HANDED_OVER, WORKSPACE, Chat, Story


@pytest.fixture
def story(database: Database) -> Story:
    return Story(database, time.time())


async def clean(database: Database, days: float = 90) -> None:
    """Look until everything was looked through once."""
    retention = Retention(database, days * DAY_S)
    for _ in range(10):
        await retention.look()


async def talk(story: Story, *, days_ago: float) -> Chat:
    """A customer who was handed over, answered and sent a reply, all of it done with."""
    chat = await story.chat("U1", days_ago=days_ago)
    await chat.customer("Where is my bicycle?")
    await chat.bot("A person will reply.", HANDED_OVER)
    await chat.hand_over(ended_at=chat.at, briefing='{"summary": "A bicycle"}')
    await chat.agent("It is on its way.")
    await send(chat, "sent")
    return chat


async def send(chat: Chat, state: str) -> None:
    parcel = {
        "workspace": WORKSPACE, "conversation_id": chat.id, "inbox_id": chat.turn, "part": 0,
        "epoch": 0, "body": "{}", "created_at": chat.at, "state": state,
    }  # fmt: skip
    await chat.database.write(lambda c: c.execute(insert(outbox).values(**parcel)).rowcount)


async def left(database: Database) -> dict[str, int]:
    def work(connection: Connection) -> dict[str, int]:
        return {
            table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0)
            for table in (conversations, inbox, messages, outbox, handoffs, desk_events)
        }

    return await database.read(work)


async def change(database: Database, table: Table, **columns: object) -> None:
    await database.write(lambda c: c.execute(update(table).values(**columns)).rowcount)


async def test_an_old_conversation_goes_with_all_that_hangs_on_it(
    database: Database, story: Story
) -> None:
    await talk(story, days_ago=100)
    await talk(story, days_ago=80)
    young = await left(database)
    await clean(database)
    assert await left(database) == {table: count // 2 for table, count in young.items()}


async def test_of_a_conversation_that_goes_on_the_old_part_goes(
    database: Database, story: Story
) -> None:
    chat = await talk(story, days_ago=100)
    chat.at = story.now - DAY_S
    await chat.customer("Is it there yet?")
    await clean(database)
    there = await database.read(lambda c: c.scalars(select(messages.c.text)).all())
    assert there == ["Is it there yet?"]
    assert (await left(database))["conversations"] == 1


@pytest.mark.parametrize("owner", [Owner.HUMAN, Owner.WAITING])
async def test_what_a_person_has_stays(database: Database, story: Story, owner: Owner) -> None:
    await talk(story, days_ago=100)
    await change(database, conversations, owner=owner)
    before = await left(database)
    await clean(database)
    assert await left(database) == before


async def test_what_is_still_to_be_done_stays(database: Database, story: Story) -> None:
    await talk(story, days_ago=100)
    await change(database, conversations, due_at=story.now)
    before = await left(database)
    await clean(database)
    assert await left(database) == before
    await change(database, conversations, due_at=None)
    await change(database, outbox, state="sending")
    await clean(database)
    assert (await left(database))["outbox"] == 1


async def test_many_rows_go_a_few_at_a_time(
    database: Database, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.retention.BATCH", 2)
    for _ in range(3):
        await talk(story, days_ago=100)
    retention = Retention(database, 90 * DAY_S)
    await retention.look()
    assert (await left(database))["messages"] == 7
    for _ in range(20):
        await retention.look()
    assert not any((await left(database)).values())


async def test_no_old_word_is_left_in_the_log(tmp_path: Path) -> None:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        await talk(Story(database, time.time()), days_ago=100)
        files = [tmp_path / "dragoman.db", tmp_path / "dragoman.db-wal"]
        assert any(b"Where is my bicycle" in file.read_bytes() for file in files)
        await clean(database)
        assert not any(b"Where is my bicycle" in file.read_bytes() for file in files)
