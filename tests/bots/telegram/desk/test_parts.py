"""What is a part of something longer is for whom the whole is meant."""

from typing import Any

import pytest
from telegram import Update

from core.adapters.database import Database
from core.phrases import Phrase, say
from tests.bots.telegram.desk.test_agents import lines_of, until_lines
from tests.bots.telegram.desk.world import (
    ANNA,
    BEN,
    CUSTOMER,
    GROUP,
    World,
    desk_group,
    open_world,
)
from tests.fakes.telegram.world import entities_of
from tests.patience import until

KEPT = say(Phrase.DESK_KEPT_AS_NOTE, "de")
LONG = "log " * 1_000


def sends(
    world: World,
    thread: int,
    album: str,
    caption: str = "",
    *,
    user: int = ANNA,
    kind: str = "photo",
) -> int:
    """An agent sends one item of an album; the message's id."""
    files = world.telegram.methods.files
    file = f"file-photo-{len(files)}"
    files[file] = b"a picture"
    told = {"file_id": file, "file_unique_id": file}
    item = [{**told, "width": 90, "height": 60}] if kind == "photo" else told
    words = {"caption": caption, "caption_entities": entities_of(caption)} if caption else {}
    return world.writes(thread, "", user=user, media_group_id=album, **{kind: item}, **words)


def photos(world: World) -> int:
    """How many the customer has received."""
    return sum(message.file is not None for message in world.telegram.messages(CUSTOMER))


async def internal(world: World, count: int) -> list[bool]:
    """Of the agents' lines, which are internal, once there are so many."""
    return [is_internal for _, is_internal in await until_lines(world, count)]


@pytest.mark.parametrize("mark", ["// intern", "/note intern", "@bennnn intern"])
async def test_an_album_that_is_a_note_is_one_as_a_whole(database: Database, mark: str) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        for caption in (mark, "", "a caption of its own", ""):
            sends(world, thread, "1", caption)
        assert await internal(world, 4) == [True] * 4
        assert photos(world) == 0


async def test_an_album_for_the_customer_arrives_as_a_whole(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        for caption in ("Danke, die Fotos", "", ""):
            sends(world, thread, "1", caption)
        await until(lambda: photos(world) == 3)
        await world.customer_reads("Danke, die Fotos")
        # The next one has no caption.
        sends(world, thread, "2")
        sends(world, thread, "2")
        await until(lambda: photos(world) == 5)
        # Files may have theirs on the last.
        for caption in ("", "", "Danke, die Rechnungen"):
            sends(world, thread, "3", caption, kind="document")
        await until(lambda: photos(world) == 8)
        await world.customer_reads("Danke, die Rechnungen")
        assert await internal(world, 8) == [False] * 8
        # What is for colleagues after that takes nothing of it back.
        sends(world, thread, "3", "// intern", kind="document")
        assert await internal(world, 9) == [False] * 8 + [True]
        await world.idle()
        assert photos(world) == 8


@pytest.mark.parametrize("mark", ["// intern", "@bennnn intern"])
async def test_what_came_before_the_caption_of_a_note_is_taken_back(
    database: Database, mark: str
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        items = [sends(world, thread, "1", kind="document") for _ in range(2)]
        await until(lambda: photos(world) == 2)
        caption = sends(world, thread, "1", mark, kind="document")
        await until(lambda: photos(world) == 0)
        await world.reads(thread, say(Phrase.DESK_DELETED, "de"))
        sends(world, thread, "1", kind="document")
        assert await internal(world, 4) == [False, False, True, True]
        # Delivered again, it stays what it was.
        for number in (*items, caption):
            world.comes_again(number)
        await world.idle()
        assert len(await lines_of(world)) == 4
        assert photos(world) == 0


async def test_what_is_on_its_way_as_the_caption_of_a_note_comes_is_taken_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        reply = world.desk.reply

        async def meanwhile(*given: Any, **more: Any) -> Any:
            monkeypatch.undo()
            assert await take_elsewhere(world, first, caption="// intern")
            return await reply(*given, **more)

        monkeypatch.setattr(world.desk, "reply", meanwhile)
        first = sends(world, thread, "1")
        await until_lines(world, 1)
        await world.idle()
        assert photos(world) == 0


async def take_elsewhere(world: World, number: int, **changes: str) -> bool:
    """Another process takes the next item of an album, which is like that one."""
    item = {**world.telegram.world.messages[GROUP, number], "message_id": number + 900, **changes}
    update = Update.de_json({"update_id": number + 900, "message": item}, None)
    assert update is not None
    return await desk_group(world.api, world.database, world.desk, {}).take(update)


async def test_another_process_knows_whose_album_it_is(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        numbers = [sends(world, thread, "1", "// intern"), sends(world, thread, "2", "Danke, dies")]
        assert await internal(world, 2) == [True, False]
        for number in numbers:
            assert await take_elsewhere(world, number, caption="")
        assert await internal(world, 4) == [True, False, True, False]


@pytest.mark.parametrize("mark", ["//", "/note", "@bennnn"])
async def test_a_note_that_the_app_has_cut_is_one_to_its_end(database: Database, mark: str) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        world.writes(thread, f"{mark} {LONG}")
        world.writes(thread, f"SECRET {LONG}")
        world.writes(thread, "SECRET in the end")
        await world.reads(thread, KEPT)
        assert await internal(world, 3) == [True] * 3
        assert "SECRET" not in world.customer_read()


async def test_what_comes_a_while_after_a_long_note_is_for_the_customer(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        note = world.writes(thread, f"// {LONG}")
        await until_lines(world, 1)
        written = world.telegram.world.messages[GROUP, note]["date"]
        world.writes(thread, "Danke, später", date=written + 6)
        await world.customer_reads("Danke, später")
        # Nor is a short note followed by more of it.
        world.writes(thread, "// kurz")
        world.writes(thread, "Danke, sogleich", date=written + 7)
        await world.customer_reads("Danke, sogleich")


async def test_a_long_note_of_a_colleague_keeps_nobody_from_answering(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        world.writes(thread, f"// {LONG}", user=BEN)
        world.writes(thread, "Danke, von mir")
        await world.customer_reads("Danke, von mir")
