"""What is a part of something longer is for whom the whole is meant."""

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
        sends(world, thread, "3", kind="document")
        assert await internal(world, 6) == [False] * 5 + [True]
        await world.reads(thread, KEPT)


async def test_what_comes_before_the_caption_is_kept_and_its_author_told(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        first = sends(world, thread, "1", kind="document")
        await world.reads(thread, KEPT)
        assert world.shown(thread)[-1].reply_to == first
        sends(world, thread, "1", "Danke, beide", kind="document")
        sends(world, thread, "1", kind="document")
        await until(lambda: photos(world) == 2)
        # Delivered again, it stays what it was.
        world.telegram.updates.add("message", world.telegram.world.messages[GROUP, first])
        await world.idle()
        assert [is_internal for _, is_internal in await lines_of(world)] == [True, False, False]


async def test_another_process_knows_whose_album_it_is(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        numbers = [sends(world, thread, "1", "// intern"), sends(world, thread, "2", "Danke, dies")]
        assert await internal(world, 2) == [True, False]
        other = desk_group(world.api, database, world.desk, {})
        for number in numbers:
            item = {**world.telegram.world.messages[GROUP, number], "message_id": number + 900}
            del item["caption"], item["caption_entities"]
            update = Update.de_json({"update_id": number + 900, "message": item}, None)
            assert update is not None
            assert await other.take(update)
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
