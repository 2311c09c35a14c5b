"""The desk in Telegram from the outside: `dragoman run` and `dragoman doctor` with a group set."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import open_database
from core.adapters.sealing import Manifest
from core.adapters.tables import model_versions
from core.nights import VersionKind, VersionState
from core.phrases import Phrase, say
from core.staff import Role
from core.turn import Channel, WorkspaceId
from tests.desk import command, environment, running
from tests.fakes.telegram import FakeTelegram
from tests.patience import until

pytestmark = pytest.mark.long

WORKSPACE = WorkspaceId("default")
WAITS = {
    "workspace": WORKSPACE,
    "kind": VersionKind.ENCODER,
    "name": "encoder-2027-01-31",
    "state": VersionState.READY,
    "manifest": Manifest(files={}, signature="").to_json(),
    "data_sha256": "d" * 64,
    "code_version": "1",
    "created_at": 1.0,
}
GROUP = -1_001_234_567_890
ANNA = 501
CUSTOMER = 1001


def settings_of(telegram: FakeTelegram) -> dict[str, Any]:
    return {
        # Without knowledge everything is handed over.
        "demo": False,
        "telegram_bot_token": telegram.token,
        "telegram_api_url": telegram.url,
        "telegram_desk": GROUP,
        "desk_language": "de",
    }


async def test_a_customer_gets_a_person_s_answer_from_a_topic(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    async with FakeTelegram() as telegram:
        telegram.open_forum(GROUP, ANNA)
        async with running(empty, tmp_path / "home", **settings_of(telegram)):
            telegram.user_says(CUSTOMER, "Welche Farbe hat der Mond?", language_code="de")
            await until(lambda: telegram.topics(GROUP))
            [thread] = telegram.topics(GROUP)
            await until(lambda: len(telegram.in_topic(GROUP, thread)) > 1)
            card, before = telegram.in_topic(GROUP, thread)[:2]
            assert "Welche Farbe hat der Mond?" in before.text
            data = next(data for label, data in card.buttons if label.startswith("🙋"))
            telegram.press(GROUP, card.message_id, data, user=ANNA, language_code="de")
            joined = say(Phrase.PERSON_JOINED, "de")
            await until(lambda: any(joined in m.text for m in telegram.messages(CUSTOMER)))
            telegram.user_says(GROUP, "Grau, meist.", user=ANNA, thread=thread, language_code="de")
            await until(lambda: any("Grau, meist." in m.text for m in telegram.messages(CUSTOMER)))


async def test_an_admin_refuses_in_the_group_what_a_night_made(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    async with FakeTelegram() as telegram:
        telegram.open_forum(GROUP, ANNA)
        home = tmp_path / "home"
        async with (
            running(empty, home, **settings_of(telegram)),
            open_database(f"sqlite:///{home / 'dragoman.db'}") as database,
        ):
            admin = NewAccount(name="Anna", role=Role.ADMIN, language="de")
            await Accounts(database).identify(WORKSPACE, Channel.TELEGRAM, str(ANNA), admin)
            await database.write(lambda c: c.execute(insert(model_versions), WAITS).rowcount)
            await until(lambda: any(report.buttons for report in telegram.messages(GROUP)))
            [report] = telegram.messages(GROUP)
            # Without an address of its own, the console is not where to look.
            assert f"dragoman models show {WAITS['name']}" in report.text
            _, (_, refuse) = report.buttons
            telegram.press(GROUP, report.message_id, refuse, user=ANNA, language_code="de")
            decided = say(Phrase.NIGHT_DECIDED_BY, "de", name="Anna")
            await until(lambda: decided in telegram.messages(GROUP)[0].text)


async def test_the_doctor_says_whether_the_group_can_be_a_desk(tmp_path: Path) -> None:
    async with FakeTelegram() as telegram:
        telegram.open_forum(GROUP, rights={})
        env = environment(tmp_path, **settings_of(telegram))
        done = await asyncio.to_thread(command, "doctor", "--json", env=env)
    findings = {line["part"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert findings["telegram"]["state"] == "bad", done.stdout
    assert "may manage topics" in findings["telegram"]["text"]


@pytest.mark.parametrize("value", ["my group", "12345"])
def test_what_cannot_be_a_group_is_refused_at_the_start(tmp_path: Path, value: str) -> None:
    done = command("doctor", env=environment(tmp_path, telegram_desk=value))
    assert done.returncode == 2
    assert "DRAGOMAN_TELEGRAM_DESK" in done.stderr
