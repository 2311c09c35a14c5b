"""`dragoman erase`, as an operator runs it."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.adapters.database import Database, open_database
from core.adapters.inbox import SqlInbox
from core.adapters.tables import conversations
from core.turn import Address, Channel, Inbound
from tests.databases import sqlite_at
from tests.desk import command, environment
from tests.workers.nightly.story import WORKSPACE, Story


class Shell:
    """A shell on the machine of a desk that knows two customers of the same id, and another."""

    def __init__(self, data_dir: Path, database: Database) -> None:
        self.env = environment(data_dir)
        self._database = database

    async def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(command, "erase", *words, env=self.env)

    async def joins(self, customer: str, place: str) -> None:
        """Let somebody write in a conversation that another began in Slack."""
        address = Address(workspace=WORKSPACE, channel=Channel.SLACK, place=place)
        inbound = Inbound(address=address, event_id="joins", customer=customer, text="Mine too!")
        await SqlInbox(self._database).accept(inbound, holder=None, held_s=0.0)

    async def left(self) -> int:
        counted = select(func.count()).select_from(conversations)
        return await self._database.read(lambda c: c.execute(counted).scalar_one())


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with open_database(sqlite_at(tmp_path / "dragoman.db")) as database:
        story = Story(database, time.time())
        for customer, channel in (("U1", "web"), ("U1", "slack"), ("U2", "slack")):
            await (await story.chat(customer, channel=channel)).customer("My secret is out.")
        yield Shell(tmp_path, database)


@pytest.mark.long
async def test_one_customer_is_erased_and_the_count_told(shell: Shell) -> None:
    done = await shell("--customer", "U2", "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["channel"], told["complete"], told["rows"]["messages"]) == ("slack", True, 1)
    assert "U2" not in done.stdout
    assert await shell.left() == 2
    again = await shell("--customer", "U2", "--channel", "slack", "--yes")
    assert again.returncode == 0
    assert "No rows were there." in again.stdout


@pytest.mark.long
async def test_a_customer_may_be_named_by_one_of_their_conversations(shell: Shell) -> None:
    done = await shell("--conversation", "1", "--yes", "--json")
    assert json.loads(done.stdout)["channel"] == "web"
    missing = await shell("--conversation", "1", "--yes")
    assert (missing.returncode, "no conversation 1" in missing.stderr) == (2, True)
    assert await shell.left() == 2


async def test_a_conversation_with_others_goes_as_a_whole_and_that_is_told(shell: Shell) -> None:
    await shell.joins("U9", "place-2")
    done = await shell("--customer", "U9", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Others wrote in 1 of these conversations too" in done.stdout
    assert await shell.left() == 2


@pytest.mark.long
async def test_wrong_use_erases_nothing_and_is_told_in_one_line(shell: Shell) -> None:
    for words, why in (
        (("--customer", "U1", "--yes"), "known in slack, web: name one with --channel"),
        (("--customer", "nobody", "--yes"), "nobody is known by that id"),
        (("--customer", "U2"), "say --yes"),
        (("--customer", " ", "--yes"), "name the customer"),
    ):
        done = await shell(*words)
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.strip().splitlines()
        assert why in line
    assert await shell.left() == 3


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 3), ("y", 0, 2)])
async def test_in_a_terminal_it_asks_first(shell: Shell, answer: str, code: int, left: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "dragoman", "erase", "--customer", "U2"],
        stdin=theirs, capture_output=True, text=True, env=shell.env, check=False,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert done.returncode == code, done.stderr
    assert "for good?" in done.stderr
    assert await shell.left() == left


def test_nobody_else_on_the_machine_may_read_what_a_command_writes(tmp_path: Path) -> None:
    # As an operator makes a folder.
    tmp_path.chmod(0o755)
    words = ("--customer", "U1", "--channel", "web", "--yes")
    done = command("erase", *words, env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    assert modes.keys() >= {"dragoman.db", "erasures.jsonl", "secret-key"}
    assert not any(modes.values()), modes
