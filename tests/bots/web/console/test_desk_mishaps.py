"""What agents write and read while something fails, in a real browser."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, Route, expect

from core.briefing import Briefing
from core.staff import Role
from core.tones import Tone
from tests.bots.web.console.browsing import briefed, hands_over, in_hand, opened, resolve_all
from tests.bots.web.console.world import Console
from tests.patience import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOST = "The connection is lost. Trying again…"
OWN_WORDS = "I wrote this with care."


async def send(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Control+Enter")


async def lose_answer(route: Route) -> None:
    await route.fetch()
    await route.abort()


@pytest.mark.long
async def test_after_a_lost_answer_the_same_words_are_said_once_and_others_as_well(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "lost-answer") as page:
        said = page.locator("#lines .agent")
        await page.route("**/say", lose_answer, times=1)
        await send(page, "I look into it.")
        await expect(page.locator("#lost")).to_be_visible()
        await expect(page.locator("#text")).to_have_value("I look into it.")
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#text")).to_have_value("")
        await page.route("**/say", lose_answer, times=1)
        await send(page, "One moment.")
        await expect(page.locator("#lost")).to_be_visible()
        await send(page, "Your refund is on its way.")
        await expect(page.locator("#text")).to_have_value("")
        await expect(said).to_have_count(3)
        for number, words in enumerate(("look into it", "One moment", "refund is on its way")):
            await expect(said.nth(number)).to_contain_text(words)


async def test_after_a_lost_answer_and_a_reload_the_same_words_are_said_once(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "lost-page") as page:
        said = page.locator("#lines .agent")
        for number, words in enumerate(("I look into it.", "One moment."), start=1):
            await page.route("**/say", lose_answer, times=1)
            await send(page, words)
            await expect(page.locator("#lost")).to_be_visible()
            await page.reload()
            await expect(page.locator("#text")).to_have_value(words)
            await page.locator("#text").press("Control+Enter")
            await expect(page.locator("#text")).to_have_value("")
            await expect(said).to_have_count(number)
        # Other words than the server may have kept are others after a reload as well.
        await page.route("**/say", lose_answer, times=1)
        await send(page, "Two days.")
        await expect(page.locator("#lost")).to_be_visible()
        await page.reload()
        await send(page, "Three days.")
        await expect(said.last).to_contain_text("Three days.")
        await expect(said).to_have_count(4)


@pytest.mark.long
async def test_what_is_typed_while_a_reply_is_sent_stays(
    browser: Browser, console: Console
) -> None:
    goes = asyncio.Event()

    async def hold(route: Route) -> None:
        await goes.wait()
        await route.continue_()

    async with in_hand(browser, console, "typed-on") as page:
        await page.route("**/say", hold)
        await send(page, "Hello.")
        await page.keyboard.type(" And more.")
        goes.set()
        await expect(page.locator("#lines .agent")).to_contain_text("Hello.")
        await expect(page.locator(".composer[aria-busy]")).to_have_count(0)
        await expect(page.locator("#text")).to_have_value("Hello. And more.")
        await page.reload()
        await expect(page.locator("#text")).to_have_value("Hello. And more.")
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#lines .agent")).to_have_count(2)


async def test_news_that_could_not_be_fetched_is_fetched_later(
    browser: Browser, console: Console
) -> None:
    ways_to_fail = [Route.abort, lambda route: route.fulfill(status=503)]
    fails = True

    async def fail(route: Route) -> None:
        if not fails or "x-part" not in route.request.headers:
            await route.continue_()
        elif ways_to_fail:
            await ways_to_fail.pop()(route)
        else:
            await route.fulfill(status=429)

    async with in_hand(browser, console, "unseen") as page:
        await page.route("**/desk/conversations/*", fail)
        await hands_over(console, "unseen", "Please help now!", number=2)
        await expect(page.locator("#lost")).to_have_text(LOST)
        # What was sent is no failure because it cannot be shown yet.
        await send(page, "I am with you.")
        await expect(page.locator("#text")).to_have_value("")
        await expect(page.locator("#lost")).to_have_text(LOST)
        await expect(page.locator("#lines .agent")).to_have_count(0)
        fails = False
        await expect(page.locator("#lines")).to_contain_text("Please help now!")
        await expect(page.locator("#lines .agent")).to_contain_text("I am with you.")
        await expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.long
async def test_a_page_that_could_not_be_fetched_is_fetched_again_without_any_news(
    browser: Browser, console: Console
) -> None:
    misses = 0

    async def fail(route: Route) -> None:
        nonlocal misses
        misses += 1
        await route.abort()

    async with in_hand(browser, console, "silent") as page:
        # The server never hears of it, so there is no news.
        await page.route("**/say", lambda route: route.fulfill(status=204))
        await page.route("**/desk/conversations/*", fail)
        await send(page, "Hello.")
        await expect(page.locator("#lost")).to_be_visible()
        await until(lambda: misses > 1)
        await page.unroute("**/desk/conversations/*", fail)
        await expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.long
async def test_a_suggestion_can_be_undone_and_is_forgotten_once_it_was_sent(
    browser: Browser, console: Console
) -> None:
    made = Briefing(summary="Asks for hours", language="en", tone=Tone.CALM, reply="From 9 to 5.")
    async with in_hand(
        browser, console, "undone", "A person, please: when is the shop open?"
    ) as page:
        await briefed(page, console, made)
        await page.locator("#text").fill(OWN_WORDS)
        use = page.get_by_role("button", name="Use it")
        await use.click()
        await expect(page.locator("#text")).to_have_value("From 9 to 5.")
        await page.keyboard.press("Control+z")
        await expect(page.locator("#text")).to_have_value(OWN_WORDS)
        await expect(page.locator("[name=taken]")).to_have_value("false")
        await page.reload()
        await expect(page.locator("#text")).to_have_value(OWN_WORDS)
        await use.click()
        await expect(page.locator("[name=taken]")).to_have_value("true")
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#lines .agent")).to_contain_text("From 9 to 5.")
        await expect(page.locator("[name=taken]")).to_have_value("false")


@pytest.mark.long
async def test_more_windows_than_a_browser_has_connections_load_and_hear_the_news(
    browser: Browser, console: Console
) -> None:
    await resolve_all(console)
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with opened(browser, console, ana) as page:
        pages = [page, *[await page.context.new_page() for _ in range(7)]]
        for each in pages:
            await each.goto(f"{console.url}/desk")
        await hands_over(console, "windows-1", "A person, please.")
        for each in pages:
            await expect(each.locator(".case")).to_have_count(1)
        # Whoever listened for all is gone.
        first, *others = pages
        await first.goto("about:blank")
        await hands_over(console, "windows-2", "A person for me, too, please.")
        for each in others:
            await expect(each.locator(".case")).to_have_count(2)


async def test_a_long_word_does_not_make_the_briefing_wider(
    browser: Browser, console: Console
) -> None:
    long = "https://shop.example/" + "a" * 200
    made = Briefing(summary=long, language="en", tone=Tone.CALM, tried=(long,), reply=long)
    async with in_hand(
        browser, console, "wide", "A person, please: " + "Donaudampfschiff" * 12
    ) as page:
        await briefed(page, console, made)
        await expect(page.locator("#facts")).to_contain_text(long)
        wider = "each => each.scrollWidth - each.clientWidth"
        assert await page.locator("#facts").evaluate(wider) == 0
