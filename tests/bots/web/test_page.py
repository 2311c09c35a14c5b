"""The chat page in a real browser."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from bots.web.chat import VISITOR_AT_ONCE
from core.phrases import Phrase, say
from tests.bots.web.desk import Desk, open_desk
from tests.patience import PATIENCE_MS, until
from tests.services import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, locale: str = "en-US", phone: bool = False
) -> AsyncIterator[Page]:
    """The page as a customer opens it; an error in its script fails the test."""
    size = {"width": 360, "height": 640} if phone else {"width": 1000, "height": 700}
    context = await browser.new_context(
        locale=locale,
        viewport=size,  # type: ignore[arg-type]  # a TypedDict that is not exported
        has_touch=phone,
        is_mobile=phone,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(url)
    try:
        yield page
        assert errors == []
    finally:
        await context.close()


async def write(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("locale", "question", "answer", "source", "direction"),
    [
        ("de-DE", "Wie kann ich etwas zurückgeben?", "30 Tagen", "Quelle: Rückgabe", "ltr"),
        ("zh-CN", "怎么退货？", "30 天", "来源: 退货", "ltr"),
        ("ar", "كيف أرجع منتجًا؟", "30 يومًا", "المصدر: الإرجاع", "rtl"),
    ],
)
async def test_a_question_is_answered_in_its_language_with_the_source(
    browser: Browser,
    desk: Desk,
    locale: str,
    question: str,
    answer: str,
    source: str,
    direction: str,
) -> None:
    async with opened(browser, desk.url, locale=locale, phone=True) as page:
        await write(page, question)
        bot = page.locator("#lines .bot")
        await expect(bot.locator(".said")).to_contain_text(answer)
        await expect(bot.locator("summary")).to_have_text(source)
        await expect(page.locator("#lines .customer")).to_have_count(1)
        await expect(page.locator("html")).to_have_attribute("dir", direction)
        said = await bot.locator(".said").evaluate("each => getComputedStyle(each).direction")
        assert said == direction
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == 360


async def test_no_message_title_or_passage_can_run_a_script(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        attack = "evil <img src=x onerror=\"document.title='owned'\">"
        await write(page, attack)
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await expect(page.locator("#lines .customer .said")).to_have_text(attack)
        await page.locator("summary").click()
        assert await page.locator("#lines img, #lines script, #lines a").count() == 0
        assert "owned" not in await page.title()


async def test_the_page_follows_the_conversation_into_another_language(
    browser: Browser, desk: Desk
) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "كيف أرجع منتجًا؟")
        await expect(page.locator("html")).to_have_attribute("dir", "rtl")
        await expect(page.locator("#text")).to_have_attribute(
            "placeholder", say(Phrase.MESSAGE_BOX, "ar")
        )
        await page.locator("#language").select_option("fr")
        await expect(page.locator("html")).to_have_attribute("lang", "fr")
        await expect(page.locator("#lines .bot")).to_have_count(2)


@pytest.mark.parametrize("key", ["Enter", "Tab"])
async def test_an_arrow_key_in_the_list_of_languages_changes_nothing_by_itself(
    browser: Browser, desk: Desk, key: str
) -> None:
    async with opened(browser, desk.url) as page:
        chosen: list[str] = []
        page.on("request", lambda one: chosen.append(one.url) if "language" in one.url else None)
        languages = page.locator("#language")
        await languages.focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        picked = await languages.input_value()
        assert picked != "en"
        # What had been asked for would be under way by then.
        await page.evaluate("fetch('/healthz').then(() => null)")
        assert chosen == []
        await page.keyboard.press(key)
        await expect(page.locator("html")).to_have_attribute("lang", picked)
        await expect(page.locator("#lines .bot")).to_have_count(1)
        # An open list is another matter.
        await languages.focus()
        for press in ("Space", "ArrowDown", "Enter"):
            await page.keyboard.press(press)
        await expect(page.locator("html")).not_to_have_attribute("lang", picked)
        await expect(page.locator("#lines .bot")).to_have_count(2)


async def test_a_message_written_offline_is_sent_later_and_once(
    browser: Browser, desk: Desk
) -> None:
    async with opened(browser, desk.url) as page:
        await expect(page.locator("#lines")).to_have_attribute("aria-live", "polite")
        await page.context.set_offline(True)
        await write(page, "Hello?")
        await write(page, "Hello?")
        await expect(page.locator("#lines .pending")).to_have_count(2)
        await expect(page.locator("#notice")).to_have_text(say(Phrase.OFFLINE, "en"))
        await page.context.set_offline(False)
        await expect(page.locator("#lines .bot").first).to_be_visible()
        await expect(page.locator("#lines .customer")).to_have_count(2)
        await expect(page.locator("#lines .pending")).to_have_count(0)
        await expect(page.locator("#notice")).to_be_hidden()
        await until(lambda: page.evaluate("localStorage.length === 0"))
        # What the server kept, not what this page remembers.
        await page.reload()
        await expect(page.locator("#lines .customer")).to_have_count(2)


async def test_the_same_words_are_said_again_though_the_transcript_has_them_already(
    browser: Browser, desk: Desk
) -> None:
    def fail(route: Route) -> Awaitable[None]:
        return route.fulfill(status=503)

    async with opened(browser, desk.url) as page:
        said = page.locator("#lines .customer .said")
        # What the server takes away and a browser's trim does not: U+0085 is a line break to it.
        await write(page, "yes\u0085")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await until(lambda: page.evaluate("localStorage.length === 0"))
        await page.route("**/chat/messages", fail)
        await write(page, "yes")
        await expect(page.locator("#notice")).to_be_visible()
        await page.reload()
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await expect(page.locator("#lines .pending")).to_have_count(1)
        await page.unroute("**/chat/messages", fail)
        await expect(page.locator("#lines .bot")).to_have_count(2)
        await expect(said).to_have_text(["yes", "yes"])


async def test_what_was_refused_comes_back_before_what_is_being_written(
    browser: Browser, desk: Desk
) -> None:
    goes = asyncio.Event()

    async def refuse(route: Route) -> None:
        await goes.wait()
        await route.fulfill(status=403)

    async with opened(browser, desk.url) as page:
        await page.route("**/chat/messages", refuse)
        await write(page, "one")
        await write(page, "two")
        await page.keyboard.type("thr")
        goes.set()
        await expect(page.locator("#text")).to_have_value("one\ntwo\nthr")
        await page.keyboard.type("ee")
        await expect(page.locator("#text")).to_have_value("one\ntwo\nthree")
        await expect(page.locator("#notice")).to_have_text(say(Phrase.NOT_SENT, "en"))
        await expect(page.locator("#lines .customer")).to_have_count(0)


async def test_an_own_message_is_put_into_the_log_once(browser: Browser, desk: Desk) -> None:
    """A screen reader reads out whatever is put in there."""
    async with opened(browser, desk.url) as page:
        await expect(page.locator("#lines")).to_have_attribute("aria-live", "polite")
        await page.evaluate(
            """() => {
                window.added = [];
                new MutationObserver((all) => {
                    for (const { addedNodes } of all) {
                        for (const each of addedNodes) added.push(each.className);
                    }
                }).observe(document.getElementById("lines"), { childList: true });
            }"""
        )
        await write(page, "How do I return it?")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        added = await page.evaluate("added")
        shown = await page.locator("#lines [data-line]").count()
    assert [each for each in added if "customer" in each] == ["line customer pending"]
    assert shown == 2


async def test_a_draft_and_a_thumb_outlive_a_reload(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "How do I return it?")
        thumbs = page.locator("#lines .bot .verdict button")
        await thumbs.last.click()
        await expect(thumbs.last).to_have_attribute("aria-pressed", "true")
        await page.locator("#text").fill("half a sent")
        await page.reload()
        await expect(page.locator("#text")).to_have_value("half a sent")
        await expect(thumbs.last).to_have_attribute("aria-pressed", "true")
        await expect(thumbs.first).to_have_attribute("aria-pressed", "false")
        await write(page, "whole")
        await page.reload()
        await expect(page.locator("#lines .bot")).to_have_count(2)
        await expect(page.locator("#text")).to_have_value("")


async def test_the_keyboard_of_a_phone_does_not_hide_what_is_answered(
    browser: Browser, desk: Desk
) -> None:
    async with opened(browser, desk.url, phone=True) as page:
        for count in (1, 2):
            await write(page, "How do I return it?")
            await expect(page.locator("#lines .bot")).to_have_count(count)
        last = page.locator("#lines .bot").last
        await page.set_viewport_size({"width": 360, "height": 380})
        await expect(last.locator(".verdict")).to_be_in_viewport()
        # Whoever reads further up stays there.
        await page.locator("#main").evaluate("main => main.scrollTo(0, 0)")
        await page.set_viewport_size({"width": 360, "height": 330})
        await expect(page.locator("#lines .customer").first).to_be_in_viewport()


async def test_a_chosen_set_of_colours_shows_the_focus_and_paper_shows_every_word(
    browser: Browser, desk: Desk
) -> None:
    async with opened(browser, desk.url, phone=True) as page:
        await write(page, "How do I return it?")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await page.emulate_media(forced_colors="active")
        await page.locator("#text").focus()
        outline = "form => getComputedStyle(form).outlineStyle"
        assert await page.locator("#form").evaluate(outline) == "solid"
        await page.emulate_media(forced_colors="none", media="print")
        cut_off = "main => main.scrollHeight - main.clientHeight"
        assert await page.locator("#main").evaluate(cut_off) == 0
        await expect(page.locator("#form")).to_be_hidden()
        colour = "said => getComputedStyle(said).color"
        assert await page.locator("#lines .customer .said").evaluate(colour) == "rgb(0, 0, 0)"


async def test_what_was_written_when_the_cookie_was_gone_is_said_in_a_new_conversation_once(
    browser: Browser, desk: Desk
) -> None:
    elsewhere = "dragoman.another-conversation.key-00001"
    async with opened(browser, desk.url) as page:
        await write(page, "before")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        item = {"key": "key-00001", "text": "of another tab", "sent": False, "at": 1}
        keep = "([name, item]) => localStorage.setItem(name, item)"
        await page.evaluate(keep, [elsewhere, json.dumps(item)])
        await page.context.set_offline(True)
        await write(page, "one")
        await write(page, "two")
        await expect(page.locator("#lines .pending")).to_have_count(2)
        await page.context.clear_cookies()
        await page.context.set_offline(False)
        said = page.locator("#lines .customer .said")
        await expect(said).to_have_text(["one", "two"])
        await expect(page.locator("#lines .bot").first).to_be_visible()
        kept = "localStorage.length === 1 && !sessionStorage.length"
        await until(lambda: page.evaluate(kept))
        assert await page.evaluate("localStorage.key(0)") == elsewhere
        # What the server kept, not what this page remembers.
        await page.reload()
        await expect(page.locator("#lines .bot").first).to_be_visible()
        await expect(said).to_have_text(["one", "two"])


async def test_a_browser_that_keeps_no_cookie_asks_for_one_once(
    browser: Browser, desk: Desk
) -> None:
    def refuse(route: Route) -> Awaitable[None]:
        return route.fulfill(status=401)

    async with opened(browser, desk.url) as page:
        await page.route("**/chat/messages", refuse)
        # Nobody is told of lost connections meanwhile.
        await page.route("**/chat/events*", lambda _: None)
        async with page.expect_event("load"):
            await write(page, "one")
        await write(page, "two")
        await expect(page.locator("#notice")).to_have_text(say(Phrase.NOT_SENT, "en"))
        await expect(page.locator("#lines .pending .said")).to_have_text(["one", "two"])


# A browser without a screen shows every page.
HIDE = "window.away = true; Object.defineProperty(document, 'hidden', { get: () => away });"
LOOK = "window.away = false; document.dispatchEvent(new Event('visibilitychange'));"


@pytest.mark.parametrize("does", ["asks for a person", "rates a reply", "looks again"])
async def test_a_window_whose_conversation_another_has_ended_shows_the_new_one(
    browser: Browser, desk: Desk, does: str
) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "How do I return it?")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        second = await page.context.new_page()
        await second.goto(desk.url)
        await expect(second.locator("#lines .bot")).to_have_count(1)
        await page.get_by_role("button", name=say(Phrase.NEW_CONVERSATION, "en")).click()
        await expect(page.locator("#lines .line")).to_have_count(0)
        lines = second.locator("#lines .line")
        if does == "asks for a person":
            await second.get_by_role("button", name=say(Phrase.TALK_TO_PERSON, "en")).click()
            await expect(lines.locator(".said")).to_have_text([say(Phrase.HANDOFF_ASKED, "en")])
        elif does == "rates a reply":
            await second.get_by_role("button", name="Helpful", exact=True).click()
            await expect(lines).to_have_count(0)
        else:
            await second.evaluate(LOOK)
            await expect(lines).to_have_count(0)
        await expect(second.locator("#notice")).to_be_hidden()


async def test_of_hidden_windows_one_listens_and_each_catches_up_when_it_is_seen(
    browser: Browser, desk: Desk
) -> None:
    """More at once than a browser connects to one host."""
    async with opened(browser, desk.url) as page:
        await expect(page.locator("#lines")).to_have_attribute("aria-live", "polite")
        await page.context.add_init_script(HIDE)
        others = [await page.context.new_page() for _ in range(6)]
        for other in others:
            await other.goto(desk.url)
        await write(page, "first")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await others[-1].evaluate(LOOK)
        await expect(others[-1].locator("#lines .bot")).to_have_count(1)
        assert await others[0].locator("#lines .line").count() == 0
        # The next one listens for it, and says in its title that there is news.
        await page.close()
        await expect(others[0].locator("#lines .bot")).to_have_count(1)
        await write(others[-1], "second")
        await expect(others[0]).to_have_title(re.compile(r"^\(1\)"))


async def test_the_enter_that_picks_a_word_sends_nothing(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        await page.locator("#text").fill("にほん")
        for told in ("isComposing: true", "keyCode: 229"):
            await page.locator("#text").evaluate(
                f"""box => box.dispatchEvent(new KeyboardEvent("keydown", {{
                    key: "Enter", bubbles: true, cancelable: true, {told}
                }}))"""
            )
        await expect(page.locator("#text")).to_have_value("にほん")
        await expect(page.locator("#lines .customer")).to_have_count(0)


@pytest.mark.long
async def test_after_a_restart_and_a_reload_nothing_is_lost_or_doubled(
    browser: Browser, tmp_path: Path
) -> None:
    database_url, port = f"sqlite:///{tmp_path / 'desk.db'}", free_port()
    async with open_desk(database_url, port=port) as first:
        context = opened(browser, first.url)
        page = await context.__aenter__()
        await write(page, "first")
        await expect(page.locator("#lines .bot")).to_have_count(1)
    try:
        await write(page, "second")
        await expect(page.locator("#lines .pending")).to_have_count(1)
        async with open_desk(database_url, port=port):
            said = page.locator("#lines .customer .said")
            for _ in range(2):
                await expect(page.locator("#lines .bot")).to_have_count(2)
                await expect(said).to_have_text(["first", "second"])
                await page.reload()
    finally:
        await context.__aexit__(None, None, None)


async def test_the_reply_is_seen_growing_and_then_whole(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "a slow one")
        await expect(page.locator("#passing .said")).to_have_text("You can return any item")
        desk.script.go.set()
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await expect(page.locator("#passing")).to_be_hidden()


async def test_choices_feedback_person_and_a_new_conversation(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "which one?")
        await page.get_by_role("button", name="Refunds").click()
        helpful = page.get_by_role("button", name="Helpful", exact=True)
        await helpful.click()
        await expect(helpful).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("button", name=say(Phrase.TALK_TO_PERSON, "en")).click()
        handoff = page.locator("#lines .bot .said").last
        await expect(handoff).to_have_text(say(Phrase.HANDOFF_ASKED, "en"))
        anew = page.get_by_role("button", name=say(Phrase.NEW_CONVERSATION, "en"))
        # Whoever waits for a person is asked first.
        for stays in ("Escape", "Enter"):
            await anew.click()
            await expect(page.get_by_role("dialog")).to_contain_text(
                say(Phrase.ASK_BEFORE_NEW, "en")
            )
            await page.keyboard.press(stays)
            await expect(page.get_by_role("dialog")).to_have_count(0)
            await expect(handoff).to_have_text(say(Phrase.HANDOFF_ASKED, "en"))
        await anew.click()
        await page.get_by_role("dialog").get_by_text(say(Phrase.NEW_CONVERSATION, "en")).click()
        await expect(page.locator("#lines .line")).to_have_count(0)
        await page.get_by_role("button", name=say(Phrase.PROMPT_RETURN, "en")).click()
        await expect(page.locator("#lines .bot")).to_have_count(1)


async def test_the_page_is_usable_by_keyboard_and_screen_reader(
    browser: Browser, desk: Desk
) -> None:
    async with opened(browser, desk.url) as page:
        await expect(page.locator("#text")).to_be_focused()
        await page.keyboard.type("one line")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("another")
        await page.keyboard.press("Enter")
        await expect(page.locator("#lines .customer .said")).to_have_text("one line\nanother")
        assert await page.get_by_role("log").count() == 1
        assert await page.get_by_role("main").count() == 1
        assert await page.get_by_role("banner").count() == 1
        unnamed = await page.evaluate(
            """() => [...document.querySelectorAll("button, select, textarea")]
                .filter((each) => !(each.textContent.trim() || each.ariaLabel))
                .filter((each) => !each.labels?.length)
                .length"""
        )
        assert unnamed == 0


@pytest.mark.long
async def test_what_is_too_long_or_too_fast_is_said(browser: Browser, desk: Desk) -> None:
    async with opened(browser, desk.url) as page:
        await write(page, "x" * 4_001)
        await expect(page.locator("#notice")).to_have_text(say(Phrase.TOO_LONG, "en", limit=4_000))
        await expect(page.locator("#text")).to_have_value("x" * 4_001)
        last = f"message {VISITOR_AT_ONCE}"
        with desk.clock.stopped():
            for number in range(VISITOR_AT_ONCE + 1):
                await write(page, f"message {number}")
            await expect(page.locator("#notice")).to_have_text(say(Phrase.TOO_FAST, "en"))
        await expect(page.locator("#lines .pending")).to_have_count(0)
        await until(lambda: last in "\n".join(desk.script.asked))
