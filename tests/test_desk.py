"""The main job from the outside: a question comes in, a grounded answer or a handoff goes out."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from core.phrases import Phrase, say
from tests.desk import command, environment, running
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

# A question in three scripts, the article that answers it, and what the answer must hold.
QUESTIONS = {
    "de": ("Wie lange dauert die Erstattung?", "Erstattung: Wann", "PayPal"),
    "zh": ("退货期限是多少天？", "退货", "60"),
    "ar": ("كم يستغرق استرداد المبلغ؟", "استرداد المبلغ", "PayPal"),
}
UNKNOWN = ("Welche Farbe hat der Mond?", say(Phrase.HANDOFF_UNSURE, "de"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A desk on all channels and the platforms that it is connected to."""

    url: str
    data_dir: Path
    slack: FakeSlack
    telegram: FakeTelegram


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_socket(
    demo_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """No public address: Slack by Socket Mode, Telegram by long polling."""
    data_dir = tmp_path_factory.mktemp("socket") / "home"
    async with FakeSlack() as slack, FakeTelegram() as telegram:
        settings: dict[str, Any] = {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "telegram_bot_token": telegram.token,
            "telegram_api_url": telegram.url,
        }
        async with running(demo_home, data_dir, **settings) as url:
            await slack.connected()
            yield Rig(url=url, data_dir=data_dir, slack=slack, telegram=telegram)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_http(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Both platforms reach us: Slack's Events API, Telegram's webhook."""
    data_dir = tmp_path_factory.mktemp("http") / "home"
    async with FakeSlack() as slack, FakeTelegram() as telegram:
        settings: dict[str, Any] = {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": slack.api_url,
            "telegram_bot_token": telegram.token,
            "telegram_api_url": telegram.url,
            "public_url": "http://127.0.0.1:1",
        }
        async with running(demo_home, data_dir, **settings) as url:
            slack.push.events_url = f"{url}/slack/events"
            # The desk cannot know the port that it will be given; the test points Telegram there.
            await _point_webhook(telegram, url)
            yield Rig(url=url, data_dir=data_dir, slack=slack, telegram=telegram)


@pytest.fixture(params=["by_socket", "by_http"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """The same desk reached in both ways."""
    reached: Rig = request.getfixturevalue(request.param)
    return reached


async def _point_webhook(telegram: FakeTelegram, url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while telegram.updates.hook is None:
            await asyncio.sleep(0.05)
    hook = telegram.updates.hook
    telegram.updates.set_hook(f"{url}{httpx.URL(hook.url).path}", hook.secret)


async def ask_slack(slack: FakeSlack, channel: str, text: str) -> str:
    slack.team.open(channel, "im")
    slack.user_says(channel, text, user=f"U{channel[1:]}")
    [reply] = await slack.replies(channel, 1)
    return json.dumps(reply.shown(), ensure_ascii=False)


async def ask_telegram(telegram: FakeTelegram, chat: int, text: str) -> str:
    telegram.user_says(chat, text, language_code=None)
    async with asyncio.timeout(PATIENCE_S):
        while not telegram.messages(chat):
            await asyncio.sleep(0.02)
    return telegram.messages(chat)[0].text


async def test_slack_gets_grounded_answers_and_honest_handoffs(rig: Rig) -> None:
    slack = rig.slack
    for number, (question, title, holds) in enumerate(QUESTIONS.values()):
        reply = await ask_slack(slack, f"D0000000{number}", question)
        assert holds in reply
        assert title in reply
    question, handoff = UNKNOWN
    assert handoff in await ask_slack(slack, "D00000009", question)


async def test_telegram_gets_grounded_answers_and_honest_handoffs(rig: Rig) -> None:
    telegram = rig.telegram
    for chat, (question, title, holds) in enumerate(QUESTIONS.values(), 100):
        reply = await ask_telegram(telegram, chat, question)
        assert holds in reply
        assert title in reply
    question, handoff = UNKNOWN
    assert handoff in await ask_telegram(telegram, 109, question)


async def test_the_chat_page_answers_in_three_scripts(by_socket: Rig, browser: Browser) -> None:
    for language, (question, title, holds) in QUESTIONS.items():
        context = await browser.new_context(locale=language, reduced_motion="reduce")
        page = await context.new_page()
        await page.goto(by_socket.url)
        direction = "rtl" if language == "ar" else "ltr"
        assert await page.locator("html").get_attribute("dir") == direction
        await page.get_by_role("textbox").fill(question)
        await page.get_by_role("textbox").press("Enter")
        await expect(page.get_by_role("log")).to_contain_text(holds)
        await expect(page.get_by_role("log")).to_contain_text(title)
        await page.get_by_role("textbox").fill(
            UNKNOWN[0] if language == "de" else "???? 12345 ????"
        )
        await context.close()


async def test_the_chat_page_hands_over_what_nobody_wrote_down(
    by_socket: Rig, browser: Browser
) -> None:
    question, handoff = UNKNOWN
    context = await browser.new_context(locale="de", reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(by_socket.url)
    await page.get_by_role("textbox").fill(question)
    await page.get_by_role("textbox").press("Enter")
    await expect(page.get_by_role("log")).to_contain_text(handoff)
    await context.close()
    waiting = await asyncio.to_thread(
        command, "desk", "list", "--json", env=environment(by_socket.data_dir)
    )
    assert question in waiting.stdout


async def test_ask_uses_the_running_desk_and_prints_the_promised_keys(by_socket: Rig) -> None:
    question, title, holds = QUESTIONS["zh"]
    done = await asyncio.to_thread(
        command, "ask", question, "--json", env=environment(by_socket.data_dir)
    )
    assert done.returncode == 0, done.stderr
    assert "Starting" not in done.stderr
    reply = json.loads(done.stdout)
    assert list(reply) == [
        "outcome",
        "language",
        "text",
        "citations",
        "probability",
        "reason",
        "model",
        "index",
        "timings_ms",
    ]
    assert (reply["outcome"], reply["language"]) == ("answer", "zh")
    assert holds in reply["text"]
    assert title in reply["citations"][0]["title"]
    assert set(reply["citations"][0]) == {"document", "title", "passage"}


async def test_the_doctor_finds_nothing_wrong_with_a_working_desk(by_socket: Rig) -> None:
    env = environment(
        by_socket.data_dir,
        slack_bot_token=by_socket.slack.bot_token,
        slack_app_token=by_socket.slack.app_token,
        slack_api_url=by_socket.slack.api_url,
        telegram_bot_token=by_socket.telegram.token,
        telegram_api_url=by_socket.telegram.url,
    )
    done = await asyncio.to_thread(command, "doctor", "--json", env=env)
    findings = {line["part"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {part: line["state"] for part, line in findings.items()} == {
        "database": "ok",
        "index": "ok",
        "files": "ok",
        "model": "off",
        "slack": "ok",
        "telegram": "ok",
        "broker": "off",
        "backlog": "ok",
        "nights": "off",
    }, done.stdout


async def test_the_doctor_says_what_is_wrong_with_each_part(by_socket: Rig, tmp_path: Path) -> None:
    env = environment(
        # Where nothing is indexed, no encoder has to be loaded.
        tmp_path,
        slack_bot_token="xoxb-wrong",
        slack_app_token=by_socket.slack.app_token,
        slack_api_url=by_socket.slack.api_url,
        telegram_bot_token="123456:wrong-wrong-wrong-wrong-wrong-wrong",
        telegram_api_url=by_socket.telegram.url,
        model_url="http://127.0.0.1:9/v1",
        broker_url="redis://127.0.0.1:9/0",
        translator=tmp_path / "nowhere",
        oidc_issuer="https://login.shop.example",
    )
    done = await asyncio.to_thread(command, "doctor", "--json", env=env)
    assert done.returncode == 1
    findings = {line["part"]: line for line in map(json.loads, done.stdout.splitlines())}
    for part, says in {
        "model": "127.0.0.1:9",
        "slack": "SLACK_BOT_TOKEN",
        "telegram": "TELEGRAM_BOT_TOKEN",
        "broker": "broker",
        "translator": "no such model folder",
        "sign-in": "DRAGOMAN_OIDC_CLIENT_ID",
    }.items():
        assert findings[part]["state"] == "bad"
        assert says in findings[part]["text"]
    assert "wrong-wrong" not in done.stdout + done.stderr


async def test_a_removed_document_is_not_cited_any_more(by_socket: Rig) -> None:
    question = "Quels moyens de paiement acceptez-vous ?"
    env = environment(by_socket.data_dir)
    before = await asyncio.to_thread(command, "ask", question, "--json", env=env)
    assert "fr/payment" in before.stdout
    removed = await asyncio.to_thread(
        command, "knowledge", "remove", "fr/payment", "--json", env=env
    )
    assert removed.returncode == 0, removed.stderr
    after = await asyncio.to_thread(command, "ask", question, "--json", env=env)
    assert "fr/payment" not in after.stdout


async def test_the_demo_company_leaves_and_own_knowledge_stays(by_socket: Rig) -> None:
    env = environment(by_socket.data_dir)
    own = by_socket.data_dir / "own" / "en"
    own.mkdir(parents=True)
    # Of the same id as an article of the demo company.
    (own / "returns.md").write_text("# Our returns\n\nSend it back in 9 days.", encoding="utf-8")
    (own / "hours.md").write_text("# Hours\n\nWe open at nine.", encoding="utf-8")
    for arguments in (["add", str(own.parent)], ["remove", "--demo"]):
        done = await asyncio.to_thread(command, "knowledge", *arguments, env=env)
        assert done.returncode == 0, done.stderr
    left = await asyncio.to_thread(command, "knowledge", "list", "--json", env=env)
    assert [json.loads(line)["id"] for line in left.stdout.splitlines()] == [
        "en/hours",
        "en/returns",
    ]
    nothing = await asyncio.to_thread(command, "knowledge", "remove", env=env)
    assert (nothing.returncode, "--demo" in nothing.stderr) == (2, True)


async def test_a_wrong_setting_gets_one_line_and_exit_code_2(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"DRAGOMAN_PRECISON": "0.9"}
    done = await asyncio.to_thread(command, "run", env=env)
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line == "dragoman: DRAGOMAN_PRECISON is not a setting; did you mean DRAGOMAN_PRECISION?"
