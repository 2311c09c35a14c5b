"""What is kept by name goes with whom it is about, or once it says nothing any more."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from bots.slack.desk.modes import Modes
from core.adapters.cursors import ALBUM, CARD, CUT, MARK, OLD_S, Cursors
from core.adapters.database import Database
from core.adapters.erasures import Erasures
from core.adapters.ledger import Person
from core.adapters.retention import Retention
from core.adapters.tables import conversations, cursors, desk_threads
from core.turn import Channel, ConversationId
from tests.workers.nightly.story import DAY_S, HANDED_OVER, KEY, WORKSPACE, Story


async def kept(database: Database) -> dict[str, str]:
    rows = select(cursors.c.name, cursors.c.value)
    return await database.read(lambda c: {row.name: row.value for row in c.execute(rows)})


async def put(database: Database, channel: Channel, **values: str) -> None:
    for name, value in values.items():
        await Cursors(database).write(WORKSPACE, channel, name, value)


@pytest.fixture
def story(database: Database) -> Story:
    return Story(database, time.time())


async def shown(story: Story, topic: int) -> str:
    """An old conversation in Slack that is shown in a topic of a Telegram desk; its place."""
    database = story.database
    chat = await story.chat(f"U{topic}", channel="slack", days_ago=100)
    await chat.customer("Where is my bicycle?")
    await chat.bot("A person will reply.", HANDED_OVER)
    thread = {
        "workspace": WORKSPACE, "channel": "telegram", "conversation_id": chat.id,
        "place": f"-100/{topic}",
    }  # fmt: skip
    wanted = select(conversations.c.place).where(conversations.c.id == chat.id)
    place = str(await database.read(lambda c: c.scalar(wanted)))
    await database.write(lambda c: c.execute(insert(desk_threads).values(**thread)).rowcount)
    await Modes(Cursors(database), WORKSPACE).switch(
        ConversationId(chat.id), internal=True, at=chat.at
    )
    names = (f"{CARD}-100/{topic}", f"{ALBUM}-100/{topic}/9", f"{CUT}-100/{topic}/7")
    await put(database, Channel.TELEGRAM, **dict.fromkeys(names, "7"))
    await put(database, Channel.SLACK, **{f"{MARK}{place}": "1.000000"})
    return place


@pytest.mark.parametrize("how", ["erased", "too old"])
async def test_what_desks_remember_of_a_conversation_goes_with_it(
    database: Database, story: Story, tmp_path: Path, how: str
) -> None:
    await shown(story, 10)
    others = await kept(database)
    await shown(story, 1)
    if how == "erased":
        gone = Person(workspace=WORKSPACE, channel="slack", id="U1")
        await Erasures(database, KEY.encode(), tmp_path).erase(gone)
    else:
        retention = Retention(database, 99 * DAY_S)
        for _ in range(10):
            await retention.look()
        others = {}
    marks = {name for name in await kept(database) if name.startswith("mark:")}
    assert (await kept(database)).keys() - marks == others.keys() - marks


async def test_what_somebody_said_before_they_were_erased_is_not_read_back(
    database: Database, story: Story, tmp_path: Path
) -> None:
    began = time.time()
    theirs, another = await shown(story, 1), await shown(story, 2)
    gone = Person(workspace=WORKSPACE, channel="slack", id="U1")
    await Erasures(database, KEY.encode(), tmp_path).erase(gone)
    left = await kept(database)
    assert float(left[f"mark:{theirs}"]) >= began - 0.001
    assert left[f"mark:{another}"] == "1.000000"


async def test_what_somebody_wrote_anew_before_a_backup_came_back_is_read(
    database: Database, story: Story, tmp_path: Path
) -> None:
    gone = Person(workspace=WORKSPACE, channel="slack", id="U1")
    erasures = Erasures(database, KEY.encode(), tmp_path)
    await erasures.erase(gone)
    asked_by = time.time()
    await asyncio.sleep(0.05)
    place = await shown(story, 1)
    assert await erasures.forget_again() == 1
    assert 1.0 < float((await kept(database))[f"{MARK}{place}"]) <= asked_by + 0.04


async def test_a_mark_that_says_nothing_any_more_goes(database: Database) -> None:
    old, new = f"{time.time() - OLD_S - 60:.6f}", f"{time.time() - 60:.6f}"
    await put(
        database,
        Channel.SLACK,
        **{"mark:C1/1.5": old, "mark:C1": new, "mark:D1": old, "mark:D1/1.5": old},
        start=old,
        **{"internal:1": f"off:{old}"},
    )
    await put(database, Channel.TELEGRAM, **{f"{CUT}-100/1/7": old, f"{CUT}-100/2/7": new})
    await Cursors(database).look()
    left = {"mark:C1", "mark:D1", "mark:D1/1.5", "start", "internal:1", f"{CUT}-100/2/7"}
    assert set(await kept(database)) == left
