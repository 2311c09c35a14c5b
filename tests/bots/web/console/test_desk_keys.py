"""Agents at a keyboard, in a real browser."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from core.staff import Role
from tests.bots.web.console.browsing import (
    hands_over,
    in_hand,
    in_sight,
    opened,
    resolve_all,
)
from tests.bots.web.console.world import HERE, Console
from tests.patience import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_arrow_key_only_picks(browser: Browser, console: Console) -> None:
    """What is picked in a list happens when its button is pressed (WCAG 3.2.2)."""
    await resolve_all(console)
    admin, cleo = (
        await console.person(Role.ADMIN),
        await console.person(Role.AGENT, "c@shop.example"),
    )
    await console.needs.canned.put(HERE, title="Greeting", text="Good morning!", language="en")
    await hands_over(console, "picked", "A person, please.")
    async with opened(browser, console, admin, locale="en") as page:
        sent: list[str] = []
        page.on("request", lambda each: sent.append(each.url) if each.method == "POST" else None)
        await page.goto(f"{console.url}/desk")
        await page.locator(".case").click()
        await page.wait_for_url(re.compile("/desk/conversations/"))
        canned = page.get_by_role("combobox", name="Canned answers")
        await canned.focus()
        await canned.press("ArrowDown")
        await expect(canned).not_to_have_value("")
        await expect(page.locator("#text")).to_have_value("")
        await canned.locator("xpath=following-sibling::button[1]").click()
        await expect(page.locator("#text")).to_have_value("Good morning!")
        snooze = page.get_by_role("combobox", name="Snooze")
        await snooze.focus()
        await snooze.press("ArrowDown")
        assert [url for url in sent if not url.endswith("/alive")] == []
        await page.get_by_role("button", name="Snooze").click()
        await expect(page.get_by_role("button", name="Wake")).to_be_visible()
        await page.goto(f"{console.url}/desk/people")
        row = page.locator("tr", has_text="c@shop.example")
        sent.clear()
        await row.get_by_role("combobox").focus()
        await row.get_by_role("combobox").press("ArrowDown")
        assert sent == []
        await row.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status").first).to_contain_text("Saved.")
    changed = await console.needs.accounts.get(HERE, cleo.id)
    assert changed is not None
    assert changed.role is Role.VIEWER


async def test_the_escape_of_an_input_method_leaves_the_box_to_whoever_writes(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "composed") as page:
        await page.locator("#text").fill("にほん")
        await page.locator("#text").evaluate(
            """box => {
                for (const told of [{ isComposing: true }, { keyCode: 229 }]) {
                    const common = { bubbles: true, cancelable: true, ...told };
                    for (const key of [{ key: "Escape" }, { key: "Enter", ctrlKey: true }]) {
                        box.dispatchEvent(new KeyboardEvent("keydown", { ...common, ...key }));
                    }
                }
            }"""
        )
        await expect(page.locator("#text")).to_be_focused()
        await expect(page.locator("#text")).to_have_value("にほん")
        assert await page.locator("#lines .agent").count() == 0


async def test_what_is_written_right_after_taking_over_resolves_nothing(
    browser: Browser, console: Console
) -> None:
    async with in_sight(browser, console, "eager") as page:
        await page.keyboard.press("c")
        await expect(page.locator("#text")).to_be_focused()
        await page.keyboard.type("be")
        await expect(page.locator("#text")).to_have_value("be")
        await page.keyboard.press("Escape")
        for key, button in (("b", "Return to the bot"), ("e", "Resolve")):
            await page.keyboard.press(key)
            await expect(page.get_by_role("button", name=button)).to_be_focused()
        await expect(page.locator("#who")).to_contain_text("You have it")
        await page.keyboard.press("Enter")
        await expect(page.locator("#who")).to_contain_text("Resolved")


@pytest.mark.long
async def test_keys_theme_and_phone(browser: Browser, console: Console) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with opened(browser, console, ana, color_scheme="light") as page:
        await page.goto(f"{console.url}/desk")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("g")
        await page.keyboard.press("a")
        # Loaded to its end: nothing hears a click before the page's script is there.
        await page.wait_for_url(re.compile("/desk/knowledge$"))
        await page.locator("#theme").click()
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(14, 17, 20)"
    phone = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
    async with opened(browser, console, ana, **phone) as page:
        for path in ("/desk", "/desk/knowledge", "/desk/statistics", "/desk/try"):
            await page.goto(console.url + path)
            assert await page.evaluate("document.documentElement.scrollWidth") == 360, path
        await page.locator("#menu").click()
        await page.get_by_role("link", name="Statistics").click()
        await expect(page).to_have_url(re.compile("/desk/statistics"))


async def takes(page: Page, key: str, code: str, **held: bool) -> bool:
    """Whether the console does something at this key; `code` is its place on the keyboard."""
    return not await page.evaluate(
        """told => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...told })
        )""",
        {"key": key, "code": code, **held},
    )


async def test_keys_count_by_their_place_where_a_layout_has_no_latin_letters(
    browser: Browser, console: Console
) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with opened(browser, console, ana) as page:
        await page.goto(f"{console.url}/desk")
        # J on a Russian, Greek, Arabic, Hebrew, Hindi and Korean keyboard.
        for key in "оξتחरㅓ":
            assert await takes(page, key, "KeyJ"), key
        # Latin letters and signs count as what they are: Dvorak, German with AltGr, Colemak.
        for key, code in (("h", "KeyJ"), ("ĸ", "KeyK"), (";", "KeyP")):
            assert not await takes(page, "g", "KeyG")
            assert not await takes(page, key, code), key
        assert await takes(page, "؟", "Slash", shiftKey=True)
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        # "g a", on a Hindi keyboard: two vowel signs.
        await takes(page, "ु", "KeyG")
        await takes(page, "ो", "KeyA")
        await expect(page).to_have_url(f"{console.url}/desk/knowledge")


@pytest.mark.long
async def test_who_speaks_to_the_computer_switches_single_keys_off(
    browser: Browser, console: Console
) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with opened(browser, console, ana, locale="en") as page:
        other = await page.context.new_page()
        for each in (page, other):
            await each.goto(f"{console.url}/desk")
            assert await takes(each, "j", "KeyJ")
        await page.locator("#help").click()
        await page.get_by_label("Use single keys as shortcuts").uncheck()
        await page.get_by_role("button", name="Close").click()
        await until(lambda: other.evaluate("!document.getElementById('single-keys').checked"))
        await page.reload()
        for each in (page, other):
            for key, code in (("j", "KeyJ"), ("/", "Slash"), ("?", "Slash")):
                assert not await takes(each, key, code), key
        await page.locator("#help").click()
        await page.get_by_label("Use single keys as shortcuts").check()
        await page.get_by_role("button", name="Close").click()
        assert await takes(page, "j", "KeyJ")
