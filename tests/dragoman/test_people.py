"""Links to the staff console from a terminal."""

import json
import re
from pathlib import Path

import pytest

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import open_database
from core.adapters.invitations import Invitations
from core.staff import Role
from core.turn import WorkspaceId
from tests.desk import command, environment

HERE = WorkspaceId("default")


@pytest.mark.long
async def test_a_link_is_made_for_somebody_new_and_for_who_forgot_a_password(
    tmp_path: Path,
) -> None:
    env = environment(tmp_path, port=18_123)
    invited = command("people", "invite", "--role", "admin", "--json", env=env)
    assert invited.returncode == 0, invited.stderr
    link = json.loads(invited.stdout)["link"]
    token = re.fullmatch(r"http://127\.0\.0\.1:18123/desk/join/([\w-]{43})", link)
    assert token
    unknown = command("people", "invite", "--login", "ana", env=env)
    assert (unknown.returncode, "nobody signs in as ana" in unknown.stderr) == (1, True)
    async with open_database(f"sqlite:///{tmp_path / 'dragoman.db'}") as database:
        invitations = Invitations(database)
        invitation = await invitations.look(HERE, token[1])
        assert invitation
        assert invitation.role is Role.ADMIN
        new = NewAccount(name="Ana", role=Role.AGENT, language="es", login="ana", password="hash")
        await Accounts(database).create(HERE, new)
        public = environment(tmp_path, public_url="https://desk.shop.example/")
        again = command("people", "invite", "--login", " ANA ", env=public)
        assert again.stdout.startswith("https://desk.shop.example/desk/join/")
        renewed = await invitations.look(HERE, again.stdout.strip().rpartition("/")[2])
        assert renewed
        assert renewed.account
        assert (renewed.account.login, renewed.role) == ("ana", Role.AGENT)
    listed = command("people", "list", "--json", env=env)
    (account,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (account["login"], account["role"]) == ("ana", "agent")
    assert "hash" not in listed.stdout
    assert "Ana" in command("people", "list", env=env).stdout
