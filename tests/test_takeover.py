"""People take over, from the outside: two languages, two browsers, and an article that stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from core.phrases import Phrase, say
from tests.desk import command, environment, running
from tests.fakes.model import Mood, fake_model
from tests.patience import PATIENCE_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a kettle, a lamp and a door"
ASKED = "¿La silla infantil Velora 300 cabe en la bicicleta Trekker 7?"
ASKED_IN_ENGLISH = "Does the Velora 300 child seat fit on the Trekker 7 bike?"
ANSWER = "Yes, the Velora 300 child seat fits on the Trekker 7 bike, with the adapter VA-22."
ANSWER_IN_SPANISH = "Sí, la silla infantil Velora 300 cabe en la Trekker 7, con el adaptador VA-22."
EDITED = f"{ANSWER} It carries up to 25 kg."
ASKED_AGAIN = "Passt der Kindersitz Velora 300 auf das Trekker 7 Bike?"


@asynccontextmanager
async def window(browser: Browser, locale: str) -> AsyncIterator[Page]:
    """A browser of its own; an error in a script of ours fails the test."""
    context = await browser.new_context(locale=locale, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
        assert errors == []
    finally:
        await context.close()


async def asks(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.keyboard.press("Enter")


async def signs_in(page: Page, url: str, invitation: str) -> None:
    """Take the invitation, leave, and come back with the password; the inbox stays open."""
    await page.goto(invitation)
    await page.get_by_label("Your name, as colleagues see it").fill("Ada")
    await page.get_by_label("Login, such as your e-mail address").fill("ada@shop.example")
    await page.get_by_label("Password, at least 12 characters").fill(PASSWORD)
    await page.get_by_role("button", name="Go to the desk").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto(f"{url}/desk")
    await page.get_by_label("Login").fill("ada@shop.example")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


@pytest.mark.long
async def test_a_person_answers_once_and_the_bot_ever_after(
    browser: Browser, demo_home: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "home"
    async with (
        fake_model() as model,
        running(demo_home, data_dir, model_url=f"{model.url}/v1") as url,
        window(browser, "en") as desk,
        window(browser, "es") as customer,
        window(browser, "de") as another,
    ):
        model.mood = Mood.TRANSLATES
        invited = await asyncio.to_thread(
            command, "people", "invite", "--role", "admin", "--json", env=environment(data_dir)
        )
        await signs_in(desk, url, json.loads(invited.stdout)["link"])
        await expect(desk.locator(".case")).to_have_count(0)
        await desk.evaluate("window.isTheSamePage = true")

        # Nobody wrote this down: the bot says so and hands over, and the inbox shows it by itself.
        await customer.goto(url)
        await asks(customer, ASKED)
        handed_over = say(Phrase.HANDOFF_UNSURE, "es")
        await expect(customer.locator("#lines .bot .said")).to_contain_text(handed_over)
        await expect(desk.locator(".case")).to_have_count(1)
        assert await desk.evaluate("window.isTheSamePage")

        # Taken over, what the customer wrote stands beside what it means.
        await desk.locator(".case").click()
        await expect(desk.locator("#lines .customer .original")).to_contain_text(ASKED)
        await expect(desk.locator("#lines .customer .both")).to_contain_text(ASKED_IN_ENGLISH)
        await desk.get_by_role("button", name="Take over").click()
        await expect(desk.locator("#who")).to_contain_text("You have it")

        # Each reads their own language, and only that.
        await desk.get_by_label("Write a message").fill(ANSWER)
        await desk.get_by_role("button", name="Send").click()
        await expect(customer.locator("#lines .agent .said")).to_have_text(ANSWER_IN_SPANISH)
        await expect(customer.locator("#lines .agent .who")).to_have_text("Ada")
        await asks(customer, "¡Muchas gracias!")
        await expect(desk.locator("#lines .customer").last).to_contain_text("Thank you very much!")
        await desk.get_by_role("button", name="Resolve").click()
        await expect(desk.locator("#who")).to_contain_text("Resolved")

        # The customer is asked in their language how it was, and the agent sees what they say.
        await expect(customer.locator("#lines .bot").last).to_contain_text(
            say(Phrase.RATE_US, "es")
        )
        await customer.get_by_role("button", name="5", exact=True).click()
        await expect(customer.locator("#lines .bot").last).to_contain_text(
            say(Phrase.RATING_THANKS, "es")
        )
        await expect(desk.locator("#facts")).to_contain_text("5/5")
        await expect(desk.locator("#lines")).to_contain_text("The customer rated it: 5 of 5")

        # What was answered becomes an article once somebody has read it.
        await desk.get_by_role("link", name="Proposed articles").click()
        await expect(desk.get_by_label("Title")).to_have_value(ASKED_IN_ENGLISH)
        await expect(desk.get_by_label("Text")).to_have_value(ANSWER)
        await desk.get_by_label("Text").fill(EDITED)
        await desk.get_by_role("button", name="Approve and publish").click()
        await expect(desk.get_by_text("Nothing is proposed.")).to_be_visible()

        # The article is in English only, found by a German question and shown with its source:
        # without a model that is measured across languages, the bot quotes and says so.
        await another.goto(url)
        await asks(another, ASKED_AGAIN)
        reply = another.locator("#lines .bot")
        await expect(reply.locator(".said")).to_contain_text(EDITED)
        said = await reply.locator(".said").inner_text()
        assert said.startswith(say(Phrase.FOREIGN_ARTICLE, "de", language="Englisch"))
        await expect(reply.locator("summary")).to_contain_text(ASKED_IN_ENGLISH)
        await expect(desk.locator("#waiting")).to_have_text("")
