"""The console in windows, colours and on paper of all kinds, in a real browser."""

import pytest
from playwright.async_api import Browser, expect

from core.staff import Role
from tests.bots.web.console.browsing import in_hand, opened
from tests.bots.web.console.world import Console

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "A person, please. " + "My parcel has not come, and nobody tells me why. " * 12


async def test_a_low_or_narrow_window_shows_what_was_said_and_the_briefing_when_asked(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "low", WORDS) as page:
        # 200 % of a usual screen, and phones in either direction.
        for width, height in ((960, 470), (833, 500), (640, 360), (320, 568)):
            await page.set_viewport_size({"width": width, "height": height})
            size = await page.locator("#lines").bounding_box()
            assert size is not None
            assert size["height"] >= 170, (width, height)
            assert await page.evaluate("document.documentElement.scrollWidth") == width
            await expect(page.locator("#facts")).to_be_hidden()
            await page.locator("#text").focus()
            await expect(page.locator("#text")).to_be_in_viewport(ratio=1)
            await page.get_by_role("link", name="Briefing").click()
            await expect(page.locator("#facts h2").first).to_be_in_viewport()
            await page.evaluate("location.hash = ''")


async def test_a_laptop_or_tablet_shows_the_briefing_below_the_conversation_unasked(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "tablet", WORDS) as page:
        for width, height in ((1024, 768), (834, 1112), (1080, 577)):
            await page.set_viewport_size({"width": width, "height": height})
            await expect(page.locator("#facts h2").first).to_be_in_viewport()
            await expect(page.get_by_role("link", name="Briefing")).to_be_hidden()
            lines, facts, composer = [
                await page.locator(part).bounding_box()
                for part in ("#lines", "#facts", ".composer")
            ]
            assert lines is not None
            assert facts is not None
            assert composer is not None
            assert lines["height"] >= 170, (width, height)
            assert composer["y"] + composer["height"] <= facts["y"] + 1, (width, height)
            await expect(page.locator("#text")).to_be_in_viewport(ratio=1)


async def test_what_is_answered_stays_in_sight_while_the_answer_grows(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "grows", WORDS) as page:
        last = page.locator("#lines > li").last
        await expect(last).to_be_in_viewport(ratio=1)
        await page.locator("#text").fill("line\n" * 12)
        await expect(last).to_be_in_viewport(ratio=1)
        # Whoever reads further up stays there.
        first = page.locator("#lines .meta").first
        await first.scroll_into_view_if_needed()
        await page.set_viewport_size({"width": 1280, "height": 600})
        await expect(first).to_be_in_viewport()


async def test_chosen_colours_tell_a_note_from_a_reply_and_paper_has_every_word(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "seen", WORDS) as page:
        await page.emulate_media(forced_colors="active")
        ground = "all => all.map((each) => getComputedStyle(each).backgroundColor)"
        for mode in ("To the customer", "Note"):
            await page.get_by_label(mode, exact=True).check()
            grounds = await page.locator(".modes label").evaluate_all(ground)
            assert len(set(grounds)) == 2, mode
        await page.set_viewport_size({"width": 800, "height": 400})
        await page.evaluate("location.hash = 'facts'")
        await page.emulate_media(forced_colors="none", media="print")
        for width in (800, 1000):
            await page.set_viewport_size({"width": width, "height": 600})
            for part in ("#lines", "#facts", ".talk", ".page"):
                cut_off = "part => part.scrollHeight - part.clientHeight"
                assert await page.locator(part).evaluate(cut_off) == 0, (part, width)
        await expect(page.locator("#text")).to_be_hidden()
        await expect(page.locator("#side")).to_be_hidden()


@pytest.mark.parametrize("width", [320, 360])
async def test_no_page_of_an_admin_slides_sideways_on_a_phone(
    browser: Browser, console: Console, width: int
) -> None:
    phone = {"viewport": {"width": width, "height": 640}, "is_mobile": True, "has_touch": True}
    admin = await console.person(Role.ADMIN)
    await console.person(Role.AGENT, "somebody-with-a-long-address@shop.example")
    async with opened(browser, console, admin, **phone) as page:
        for path in ("people", "knowledge", "settings", "models", "channels", "replies"):
            await page.goto(f"{console.url}/desk/{path}")
            assert await page.evaluate("document.documentElement.scrollWidth") == width, path
            inside = "page => page.scrollWidth - page.clientWidth"
            assert await page.locator(".page").evaluate(inside) == 0, path


async def test_the_menu_of_a_narrow_window_opens_and_closes_for_everybody(
    browser: Browser, console: Console
) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    narrow = {"width": 400, "height": 640}
    async with opened(browser, console, ana, viewport=narrow) as page:
        await page.goto(f"{console.url}/desk")
        menu, side = page.locator("#menu"), page.locator("#side")
        await menu.focus()
        await page.keyboard.press("Enter")
        await expect(menu).to_have_attribute("aria-expanded", "true")
        await expect(side.locator("a").first).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(side).to_be_hidden()
        await expect(menu).to_have_attribute("aria-expanded", "false")
        await expect(menu).to_be_focused()
        await menu.click()
        await expect(side).to_be_visible()
        await page.mouse.click(390, 600)
        await expect(side).to_be_hidden()
        await expect(menu).to_have_attribute("aria-expanded", "false")
