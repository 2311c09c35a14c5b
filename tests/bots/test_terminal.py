"""The chat in a terminal, against a running desk."""

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from rich.console import Console

from bots.terminal import Terminal, typed_lines
from bots.web.client import Connection
from core.errors import Unavailable
from core.phrases import Phrase, say
from tests.bots.web.desk import Desk, open_desk
from tests.databases import sqlite_at
from tests.patience import PATIENCE_S
from tests.services import free_port


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(sqlite_at(tmp_path / "desk.db")) as opened:
        yield opened


async def chatted(url: str, *typed: str, terminal: bool = False) -> str:
    """What the screen shows after these lines were typed, without colours."""

    async def lines() -> AsyncIterator[str]:
        for line in typed:
            yield line

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=80, highlight=False)
    async with asyncio.timeout(PATIENCE_S), Connection.open(url, language="en") as connection:
        await Terminal(connection, console, language="en").run(lines())
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


async def test_each_line_is_answered_with_its_source(desk: Desk) -> None:
    shown = await chatted(desk.url, "How do I return it?", "Wie geht das?")
    assert "within **30 days**" in shown
    assert "Source: Returns (https://shop.example/en/returns)" in shown
    assert "Quelle: Rückgabe (https://shop.example/de/returns)" in shown
    assert shown.index("Returns") < shown.index("Rückgabe")
    assert desk.script.asked == ["How do I return it?", "Wie geht das?"]


async def test_a_number_picks_a_choice(desk: Desk) -> None:
    shown = await chatted(desk.url, "which one?", "2")
    assert "1. Returns\n2. Refunds" in shown
    assert desk.script.asked == ["which one?", "Refunds"]


async def test_a_number_that_is_no_choice_is_a_message(desk: Desk) -> None:
    await chatted(desk.url, "which one?", "3", "12345")
    assert desk.script.asked == ["which one?", "3", "12345"]


async def test_commands_do_what_the_page_can_do(desk: Desk) -> None:
    shown = await chatted(
        desk.url, "/good", "Hello", "/good", "/language ar", "/new", "again", "/person", "/what"
    )
    assert "there is no reply to rate yet" in shown
    assert say(Phrase.FEEDBACK_THANKS, "en") in shown
    assert say(Phrase.LANGUAGE_SET, "ar") in shown
    assert say(Phrase.HANDOFF_ASKED, "en") in shown
    assert "/language TAG" in shown


async def test_quit_ends_before_the_input_does(desk: Desk) -> None:
    await chatted(desk.url, "/quit", "never sent")
    assert desk.script.asked == []


async def test_a_refused_line_is_said_and_the_chat_goes_on(desk: Desk) -> None:
    shown = await chatted(desk.url, "x" * 5_000, "Hello")
    assert say(Phrase.TOO_LONG, "en", limit=4_000) in shown
    assert desk.script.asked == ["Hello"]


async def test_a_terminal_shows_markdown_and_a_prompt(desk: Desk) -> None:
    shown = await chatted(desk.url, "How do I return it?", terminal=True)
    assert "within 30 days" in shown
    assert "> " in shown


async def test_a_desk_that_is_not_there_is_one_clear_line() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=f"nothing answers at {url}; start it with"):
        await chatted(url, "Hello")


async def test_the_chat_survives_a_restart_of_the_desk(tmp_path: Path) -> None:
    database_url, port = sqlite_at(tmp_path / "desk.db"), free_port()
    async with AsyncExitStack() as running:

        async def start() -> Desk:
            return await running.enter_async_context(open_desk(database_url, port=port))

        async def lines() -> AsyncIterator[str]:
            yield "first"
            await running.aclose()
            await start()
            yield "second"

        desk = await start()
        screen = io.StringIO()
        async with (
            asyncio.timeout(PATIENCE_S),
            Connection.open(desk.url, language="en") as connection,
        ):
            await Terminal(connection, Console(file=screen), language="en").run(lines())
    assert screen.getvalue().count("Source: Returns") == 2


async def test_lines_are_read_from_a_pipe_and_from_a_file(tmp_path: Path) -> None:
    source, sink = os.pipe()
    os.write(sink, "one\nzwö\nthree".encode())
    os.close(sink)
    path = tmp_path / "typed.txt"
    path.write_text("one\nzwö\nthree")
    with os.fdopen(source, "rb") as pipe, path.open("rb") as file:
        for reader in (pipe, file):
            lines = [line async for line in typed_lines(reader.fileno())]
            assert lines == ["one", "zwö", "three"]
