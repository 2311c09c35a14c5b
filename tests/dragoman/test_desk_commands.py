"""A shell does what every desk does, and says in one line why not."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.accounts import Accounts
from core.adapters.database import open_database
from core.phrases import Phrase, say
from tests.core.takeover import PERSON, WORKSPACE, Rig, open_rig
from tests.databases import sqlite_at
from tests.desk import command, environment

pytestmark = pytest.mark.long


class Shell:
    """A desk on SQLite, and a shell on the same machine."""

    def __init__(self, data_dir: Path, rig: Rig) -> None:
        self.rig = rig
        self.env = environment(data_dir) | {"USER": "anna", "LOGNAME": "anna"}

    async def __call__(self, *words: str, user: str = "") -> subprocess.CompletedProcess[str]:
        env = self.env | ({"USER": user, "LOGNAME": user} if user else {})
        return await asyncio.to_thread(command, "desk", *words, env=env)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    url = sqlite_at(tmp_path / "dragoman.db")
    async with open_database(url) as database, open_rig(database) as rig:
        yield Shell(tmp_path, rig)


def failed(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that says why."""
    assert (done.returncode, done.stdout) == (code, "")
    [line] = done.stderr.strip().splitlines()
    return line


async def test_a_conversation_is_taken_answered_and_resolved_from_a_shell(shell: Shell) -> None:
    where = str(await shell.rig.says(PERSON))
    [listed] = (await shell("list", "--json")).stdout.splitlines()
    keys = ["id", "channel", "language", "reason", "owner", "agent", "priority", "opened_at"]
    assert list(json.loads(listed)) == [*keys, "rating", "waited_s", "last_message"]
    assert json.loads(listed)["last_message"] == PERSON
    taken = json.loads((await shell("take", where, "--json")).stdout)
    assert (taken["owner"], taken["agent"]) == ("human", "Anna")
    for _ in range(2):
        done = await shell("reply", where, "日本 [b]", "--key", "once")
        assert done.returncode == 0, done.stderr
    assert "Anna" in (await shell("list")).stdout
    resolved = json.loads((await shell("resolve", where, "--json")).stdout)
    assert resolved["owner"] == "closed"
    await shell.rig.idle()
    assert (await shell("list")).stdout == "Nobody is waiting.\n"
    joined, answer, asked = shell.rig.port.texts[1:]
    assert joined == say(Phrase.PERSON_JOINED, "ja")
    assert answer == "日本 [b]"
    assert asked.endswith(say(Phrase.RATE_US, "ja"))


async def test_what_a_customer_wrote_neither_styles_nor_steers_the_terminal(shell: Shell) -> None:
    await shell.rig.says(f"{PERSON} \\[/x] [red] ::1 :key: \x1b[2J\x1b]0;mine\x07")
    done = await shell("list")
    assert done.returncode == 0, done.stderr
    assert f"{PERSON} \\[/x] [red] ::1 :key: [2J]0;mine" in " ".join(done.stdout.split())
    assert "\x1b" not in done.stdout


async def test_each_wrong_use_gets_one_line_and_its_exit_code(shell: Shell) -> None:
    where = str(await shell.rig.says(PERSON))
    assert "claimed" in failed(await shell("reply", where, "hi"), 1)
    assert "no such conversation" in failed(await shell("take", "999"), 2)
    assert "nobody signs in as nobody" in failed(await shell("take", where, "--as", "nobody"), 2)
    assert "not write" in failed(await shell("take", where, "--as", "vera"), 1)
    await shell("take", where, "--as", "Ben")
    assert "Ben has this conversation" in failed(await shell("take", where), 1)
    assert "nothing to send" in failed(await shell("reply", where, " ", "--as", "ben"), 2)
    released = json.loads((await shell("release", where, "--as", "ben", "--json")).stdout)
    assert (released["owner"], released["agent"]) == ("waiting", None)
    back = json.loads((await shell("return", where, "--as", "ben", "--json")).stdout)
    assert back["owner"] == "bot"
    assert "assistant has this" in failed(await shell("resolve", where), 1)


async def test_who_calls_is_known_by_login_then_an_admin_then_the_machines_name(
    shell: Shell,
) -> None:
    where = str(await shell.rig.says(PERSON))
    taken = json.loads((await shell("take", where, "--json", user="ben")).stdout)
    assert taken["agent"] == "Ben"
    await shell("return", where, user="ben")
    taken = json.loads((await shell("take", where, "--json", user="someone")).stdout)
    assert taken["agent"] == "Cora"
    people = Accounts(shell.rig.database)
    stranger = await people.for_identity(WORKSPACE, "terminal", "someone")
    assert stranger is None


async def test_where_there_is_no_account_yet_the_machines_user_becomes_an_agent(
    tmp_path: Path,
) -> None:
    url = sqlite_at(tmp_path / "dragoman.db")
    async with open_database(url) as database:
        env = environment(tmp_path) | {"USER": "root2", "LOGNAME": "root2"}
        done = await asyncio.to_thread(command, "desk", "take", "1", env=env)
        assert "no such conversation" in failed(done, 2)
        account = await Accounts(database).for_identity(WORKSPACE, "terminal", "root2")
    assert account is not None
    assert (account.role, account.login) == ("agent", None)
