"""An admin decides about versions in a real browser."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from core.nights import NightState
from core.staff import Role
from tests.bots.web.console.browsing import opened
from tests.bots.web.console.test_models import REFUSED, night, version
from tests.bots.web.console.world import Console
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def three_nights(console: Console) -> Path:
    """One is in service, one was refused, and the last waits; its folder."""
    await night(console, "2027-01-29", NightState.PUBLISHED)
    await version(console, "2027-01-29", seed=1, ready=False)
    await night(console, "2027-01-30", NightState.REFUSED, REFUSED)
    folder = await night(console, "2027-01-31", NightState.WAITING)
    await version(console, "2027-01-31", seed=2, ready=True)
    return folder


@pytest.mark.long
async def test_what_waits_is_approved_and_taken_back(browser: Browser, console: Console) -> None:
    await three_nights(console)
    expect.set_options(timeout=1_000 * PATIENCE_S)
    admin = await console.person(Role.ADMIN)
    async with opened(browser, console, admin) as page:
        await page.goto(f"{console.url}/desk")
        await page.get_by_role("link", name="Models").click()
        waiting = page.locator(".waits")
        await expect(waiting).to_contain_text("encoder-2027-01-31")
        await expect(waiting.locator("tbody tr")).to_have_count(3)
        await waiting.get_by_role("button", name="Approve and publish").click()
        await expect(page.get_by_role("status").first).to_contain_text("It is in service now.")
        await expect(waiting).to_have_count(0)
        await expect(page.locator(".parts .card")).to_contain_text("encoder-2027-01-31")
        refused = page.locator(".night", has_text="2027-01-30")
        await refused.locator("summary").click()
        await expect(refused.locator(".checks")).to_contain_text("Worse in no language")
        await page.get_by_role("button", name="Roll back").click()
        await expect(page.get_by_role("status").first).to_contain_text("in service again")
        await expect(page.locator(".parts .card")).to_contain_text("encoder-2027-01-29")
    async with opened(browser, console, admin) as page:
        # The report's own script does not run, and its style does.
        await page.goto(f"{console.url}/desk/models")
        await page.locator(".night", has_text="2027-01-29").locator("summary").click()
        await page.locator(".night[open]").get_by_role("link", name="Report").click()
        colour = "getComputedStyle(document.querySelector('p')).color"
        assert await page.evaluate(colour) == "rgb(255, 0, 0)"
