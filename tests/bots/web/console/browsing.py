"""The desk in a real browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, expect
from sqlalchemy import select, update

from core.adapters.tables import handoffs
from core.briefing import Briefing
from core.cases import Act, Filter
from core.staff import Account, Role
from core.turn import Address, Channel, Inbound
from tests.bots.web.console.world import HERE, Console
from tests.patience import PATIENCE_MS

# The id of the handoff that was made last.
NEWEST = select(handoffs.c.id).order_by(handoffs.c.id.desc()).limit(1).scalar_subquery()


@asynccontextmanager
async def opened(
    browser: Browser, console: Console, account: Account | None = None, **options: object
) -> AsyncIterator[Page]:
    """A window of its own, signed in as `account`; an error in a script fails the test."""
    context = await browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}  # type: ignore[arg-type]  # a TypedDict that is not exported
    )
    context.set_default_timeout(PATIENCE_MS)
    if account is not None:
        token = await console.needs.sessions.begin(account)
        await context.add_cookies([{"name": "dragoman-desk", "value": token, "url": console.url}])
    errors: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None,
    )
    try:
        yield page
        assert errors == []
    finally:
        await context.close()


async def customer_writes(page: Page, console: Console, text: str) -> None:
    await page.goto(console.url)
    await page.locator("#text").fill(text)
    await page.keyboard.press("Enter")


async def hands_over(console: Console, place: str, text: str, *, number: int = 1) -> None:
    """A customer of another window asks for a person, or writes once more with another number."""
    address = Address(workspace=HERE, channel=Channel.WEB, place=place)
    await console.delivery.accept(
        Inbound(address=address, event_id=f"{place}:{number}", customer=place, text=text)
    )


async def resolve_all(console: Console) -> None:
    admin = await console.person(Role.ADMIN)
    for each in await console.needs.cases.list(HERE, Filter.OPEN):
        where, over = each.case.conversation, each.case.agent
        await console.needs.desk.change(admin, where, Act.RESOLVE, over=over)


@asynccontextmanager
async def in_sight(
    browser: Browser,
    console: Console,
    place: str,
    words: str = "A person, please.",
    *,
    login: str = "ana@shop.example",
) -> AsyncIterator[Page]:
    """The page of an agent who reads what a customer wrote, and has not taken it."""
    await resolve_all(console)
    agent = await console.person(Role.AGENT, login)
    await hands_over(console, place, words)
    async with opened(browser, console, agent, locale="en") as page:
        await page.goto(f"{console.url}/desk")
        await page.locator(".case").click()
        await page.wait_for_url(re.compile("/desk/conversations/"))
        yield page


@asynccontextmanager
async def in_hand(
    browser: Browser,
    console: Console,
    place: str,
    words: str = "A person, please.",
    *,
    login: str = "ana@shop.example",
) -> AsyncIterator[Page]:
    """The page of an agent who has taken over from the bot what a customer wrote."""
    async with in_sight(browser, console, place, words, login=login) as page:
        await page.keyboard.press("c")
        await expect(page.locator("#who")).to_contain_text("You have it")
        await page.locator("#text").press("Escape")
        yield page


async def briefed(page: Page, console: Console, briefing: Briefing) -> None:
    """Show this one instead of what was made of the newest handoff."""
    # The real one first, so that it cannot come later and replace ours.
    await expect(page.locator("#facts")).to_contain_text("Briefing")
    told = update(handoffs).where(handoffs.c.id == NEWEST).values(briefing=briefing.as_json())
    await console.database.write(lambda connection: connection.execute(told).rowcount)
    await page.reload()
