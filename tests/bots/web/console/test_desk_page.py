"""Agents at work in a real browser."""

import re
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, FilePayload, expect
from sqlalchemy import insert, select, update

from core.adapters.tables import conversations, handoffs, messages
from core.briefing import Briefing
from core.cases import Act, Filter
from core.phrases import Phrase, say
from core.staff import Role
from core.tones import Tone
from core.turn import Address, Channel, Inbound
from tests.bots.web.console.browsing import (
    NEWEST,
    briefed,
    customer_writes,
    hands_over,
    in_hand,
    in_sight,
    opened,
    resolve_all,
)
from tests.bots.web.console.world import HERE, PASSWORD, Console, open_console
from tests.patience import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

JAPANESE = "注文 SD-48213 がまだ届きません。担当者と話したいです。"
IN_ENGLISH = "Order SD-48213 has not arrived yet. I would like to talk to a person."
ANSWER = "I have asked the carrier: it arrives tomorrow before 18:00."
IN_JAPANESE = "運送会社に確認しました。明日 18:00 までに届きます。"


@pytest.mark.long
async def test_the_first_admin_comes_in_by_the_link_and_invites_a_colleague(
    browser: Browser, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        console = await stack.enter_async_context(open_console(tmp_path))
        link = await console.needs.invitations.first(HERE)
        page = await stack.enter_async_context(opened(browser, console, locale="en"))
        await page.goto(f"{console.url}/desk/join/{link}")
        await page.get_by_label("Your name, as colleagues see it").fill("Ada")
        await page.get_by_label("Login, such as your e-mail address").fill("ada@shop.example")
        await page.get_by_label("Password, at least 12 characters").fill(PASSWORD)
        await page.get_by_role("button", name="Go to the desk").click()
        await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        await page.get_by_role("link", name="People").click()
        await page.get_by_role("button", name="Invite somebody").click()
        invited = await page.get_by_label("Link", exact=True).input_value()
        other = await stack.enter_async_context(opened(browser, console, locale="ar"))
        await other.goto(invited)
        await expect(other.locator("html")).to_have_attribute("dir", "rtl")
        await other.locator("[name=name]").fill("سارة")
        await other.locator("[name=login]").fill("sara@shop.example")
        await other.locator("[name=password]").fill(PASSWORD)
        await other.locator("button.primary").click()
        await expect(other.locator(".list h1")).to_have_text("الوارد")
        await expect(other.locator("a[href='/desk/people']")).to_have_count(0)


@pytest.mark.long
async def test_a_handoff_arrives_is_taken_answered_in_two_languages_and_resolved(
    browser: Browser, console: Console
) -> None:
    await resolve_all(console)
    ana = await console.person(Role.AGENT, "ana@shop.example")
    ben = await console.person(Role.AGENT, "ben@shop.example")
    async with AsyncExitStack() as stack:
        desk, other, customer = [
            await stack.enter_async_context(opened(browser, console, who, locale=locale))
            for who, locale in ((ana, "en"), (ben, "en"), (None, "ja"))
        ]
        for page in (desk, other):
            await page.goto(f"{console.url}/desk")
            await expect(page.locator(".case")).to_have_count(0)
        await customer_writes(customer, console, JAPANESE)
        await expect(desk.locator(".case")).to_have_count(1)
        await expect(desk.locator("#waiting")).to_have_text("1")
        await desk.locator(".case").click()
        # The briefing brings the translation of what was said before.
        await expect(desk.locator("#lines .customer .both")).to_contain_text(IN_ENGLISH)
        await expect(desk.locator("#lines .customer .original")).to_contain_text(JAPANESE)
        await expect(desk.locator("#facts")).to_contain_text("SD-48213")
        await other.locator(".case").click()
        await desk.keyboard.press("c")
        await expect(desk.locator("#who")).to_contain_text("You have it")
        await expect(other.locator("#who")).to_contain_text("Ana has it")
        # Who comes second is told who was first, and keeps what they wrote.
        await other.locator("#text").fill("Me too!")
        await other.locator(".modes label").first.click()
        await other.locator(".composer .primary").click()
        await expect(other.locator("#lost")).to_contain_text("Ana")
        await expect(other.locator("#text")).to_have_value("Me too!")
        await desk.keyboard.press("Escape")
        await desk.keyboard.press("n")
        await desk.keyboard.type("VIP, be quick")
        await desk.keyboard.press("Control+Enter")
        await expect(desk.locator("#lines .note")).to_contain_text("VIP, be quick")
        await desk.locator("body").click(position={"x": 1, "y": 1})
        await desk.keyboard.press("r")
        await desk.keyboard.type(ANSWER)
        await desk.keyboard.press("Control+Enter")
        await expect(customer.locator("#lines .agent .said")).to_contain_text(IN_JAPANESE)
        await expect(desk.locator("#lines .agent .both")).to_contain_text(IN_JAPANESE)
        await expect(other.locator("#lines .agent .both")).to_contain_text(ANSWER)
        await customer.locator("#text").fill("ありがとうございます！")
        await customer.keyboard.press("Enter")
        await expect(desk.locator("#lines .customer .both").last).to_contain_text("Thank you!")
        await desk.get_by_role("button", name="Resolve").click()
        await expect(desk.locator("#who")).to_contain_text("Resolved")
        resolved = customer.locator("#lines .bot .said").last
        await expect(resolved).to_contain_text(say(Phrase.RESOLVED, "ja")[:10])
        # The note is nowhere on the customer's page, nor in what it was sent.
        await customer.reload()
        await expect(customer.locator("#lines .agent")).to_have_count(1)
        assert "VIP" not in await customer.content()


async def test_what_an_agent_writes_survives_news_and_a_reload(
    browser: Browser, console: Console
) -> None:
    async with in_sight(browser, console, "draft-1") as page:
        await page.locator("#text").fill("half a sent")
        await hands_over(console, "draft-2", "A person for me, too, please.")
        await expect(page.locator(".case")).to_have_count(2)
        await expect(page.locator("#text")).to_have_value("half a sent")
        key = await page.locator("[name=key]").input_value()
        await page.reload()
        await expect(page.locator("#text")).to_have_value("half a sent")
        # A copy of the tab has the draft as well, and what it sends has a key of its own.
        await expect(page.locator("[name=key]")).not_to_have_value(key)


@pytest.mark.long
async def test_a_note_stays_one_until_somebody_says_otherwise(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "noted") as page:
        await page.keyboard.press("n")
        await page.keyboard.type("Angry, be kind")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#lines .note")).to_contain_text("Angry, be kind")
        await expect(page.locator("#text")).to_have_value("")
        await page.keyboard.type("And a discount")
        await page.reload()
        await expect(page.locator("#text")).to_have_value("And a discount")
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#lines .note")).to_have_count(2)
        # A word half written for the customer stays for the customer as well.
        await page.get_by_label("To the customer").check()
        await page.locator("#text").fill("Hello")
        await page.get_by_label("Note", exact=True).check()
        await page.get_by_label("To the customer").check()
        await page.reload()
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#lines .agent")).to_contain_text("Hello")
        await expect(page.locator("#lines .note")).to_have_count(2)


async def test_who_takes_over_what_a_colleague_had_writes_to_the_customer(
    browser: Browser, console: Console
) -> None:
    ben = await console.person(Role.AGENT, "ben@shop.example")
    async with in_sight(browser, console, "put-back") as page:
        where = (await console.needs.cases.list(HERE, Filter.OPEN))[0].case.conversation
        await console.needs.desk.change(ben, where, Act.CLAIM)
        await page.reload()
        await expect(page.get_by_label("Note", exact=True)).to_be_checked()
        await console.needs.desk.change(ben, where, Act.RELEASE)
        await page.locator("#who [data-key=c]").click()
        await expect(page.get_by_label("To the customer")).to_be_checked()


async def test_what_an_agent_sent_is_changed_and_taken_back_by_the_keyboard(
    browser: Browser, console: Console
) -> None:
    await resolve_all(console)
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with (
        opened(browser, console, ana, locale="en") as page,
        opened(browser, console, None, locale="ja") as customer,
    ):
        await customer_writes(customer, console, JAPANESE)
        await page.goto(f"{console.url}/desk")
        await page.locator(".case").click()
        await page.wait_for_url(re.compile("/desk/conversations/"))
        await page.keyboard.press("c")
        await expect(page.locator("#text")).to_be_focused()
        await page.keyboard.type("It comes on Friday.")
        await page.keyboard.press("Control+Enter")
        said = customer.locator("#lines .agent .said")
        await expect(said).to_contain_text("It comes on Friday.")
        await page.locator("#lines").get_by_role("link", name="Edit").press("Enter")
        await expect(page.locator("#text")).to_be_focused()
        await expect(page.locator("#text")).to_have_value("It comes on Friday.")
        await page.keyboard.press("Control+a")
        await page.keyboard.type(ANSWER)
        await page.keyboard.press("Control+Enter")
        await expect(said).to_contain_text(IN_JAPANESE)
        await expect(page.locator("#lines .agent .meta").first).to_contain_text("edited")
        await page.locator("#lines").get_by_role("link", name="Edit").press("Enter")
        await page.get_by_role("button", name="Take back").press("Enter")
        await expect(page.locator("#lines .agent")).to_contain_text("Taken back")
        await expect(customer.locator("#lines")).not_to_contain_text(IN_JAPANESE)
        await expect(page.locator("#lines").get_by_role("link", name="Edit")).to_have_count(0)


@pytest.mark.long
async def test_a_page_older_than_the_session_recovers_with_its_draft(
    browser: Browser, console: Console
) -> None:
    async with in_hand(browser, console, "stale", login="cleo@shop.example") as page:
        await page.keyboard.press("n")
        await page.keyboard.type("VIP")
        profile = await page.context.new_page()
        await profile.goto(f"{console.url}/desk/profile")
        await profile.locator("[name=old]").fill(PASSWORD)
        await profile.locator("[name=new]").fill("another sentence of words")
        await profile.get_by_role("button", name="Change password").click()
        await expect(profile.get_by_role("status").first).to_contain_text("Saved.")
        async with page.expect_event("load"):
            await page.locator("#text").press("Control+Enter")
        await page.locator("#text").press("Control+Enter")
        await expect(page.locator("#lines .note")).to_contain_text("VIP")
        await expect(page.locator("#lines .agent")).to_have_count(0)


async def test_nobody_finds_the_draft_of_who_was_signed_in_before(
    browser: Browser, console: Console
) -> None:
    ben = await console.person(Role.AGENT, "ben@shop.example")
    async with in_sight(browser, console, "shared-tab") as page:
        await page.locator("#text").fill("Between us: he is rude")
        where = page.url
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("Login").fill(ben.login or "")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        await page.goto(where)
        await expect(page.locator("#text")).to_have_value("")


async def test_who_asks_for_what_was_said_earlier_goes_on_from_where_they_were(
    browser: Browser, console: Console
) -> None:
    async with in_sight(browser, console, "talkative") as page:
        await expect(page.locator("#facts")).to_contain_text("Briefing")
        where = int(page.url.partition("?")[0].rpartition("/")[2])
        line = {"workspace": HERE, "conversation_id": where, "author": "bot", "language": "en"}
        lines = [{**line, "text": f"Line {number}.", "created_at": number} for number in range(300)]
        await console.database.write(lambda c: c.execute(insert(messages), lines).rowcount)
        await page.reload()
        # A click by the keyboard, on what was first in the list.
        first = await page.locator("#lines > li").first.get_attribute("id")
        await page.get_by_role("link", name="Earlier messages").press("Enter")
        await expect(page.locator("#lines > li").first).to_contain_text("Line 0.")
        await expect(page.locator(f"#{first}")).to_be_in_viewport()
        await expect(page.locator("#lines > li").first).not_to_be_in_viewport()
        await expect(page.locator("#lines > li").last).not_to_be_in_viewport()


async def test_news_touches_only_what_is_new_and_leaves_the_keyboard_its_place(
    browser: Browser, console: Console
) -> None:
    ben = await console.person(Role.AGENT, "ben@shop.example")
    async with in_sight(browser, console, "read-aloud") as page:
        await expect(page.locator("#facts")).to_contain_text("Briefing")
        await expect(page.locator("#lines .bot")).to_have_count(1)
        await page.evaluate(
            """() => {
                window.touched = [];
                new MutationObserver((all) => {
                    for (const { addedNodes, removedNodes } of all) {
                        for (const each of addedNodes) touched.push(`+ ${each.dataset.keyOf}`);
                        for (const each of removedNodes) touched.push(`- ${each.dataset.keyOf}`);
                    }
                }).observe(document.getElementById("lines"), { childList: true });
            }"""
        )
        take_over = page.locator("#who [data-key=c]")
        await take_over.focus()
        (waiting,) = await console.needs.cases.list(HERE, Filter.OPEN)
        await console.needs.desk.change(ben, waiting.case.conversation, Act.RETURN)
        await expect(page.locator("#who")).to_contain_text("With the bot")
        await expect(take_over).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#who")).to_contain_text("You have it")
        await expect(page.locator("#text")).to_be_focused()
        await page.get_by_role("button", name="Put back in the queue").press("Enter")
        await expect(page.locator("#who")).to_contain_text("Waits for a person")
        # That button has gone: whoever hears the page hears what became of it.
        await expect(page.locator("#who")).to_be_focused()
        touched = await page.evaluate("touched")
        keys = "all => all.map((each) => each.dataset.keyOf)"
        shown = await page.locator("#lines > li").evaluate_all(keys)
    assert [each[0] for each in touched] == ["+"] * len(touched)
    assert len(touched) == len(set(touched)) > 0
    assert {each[2:] for each in touched} < set(shown)


@pytest.mark.long
async def test_a_suggested_reply_is_taken_and_its_fate_is_kept(
    browser: Browser, console: Console
) -> None:
    words = "A person, please: when is the shop open?"
    made = Briefing(summary="Asks for hours", language="en", tone=Tone.CALM, reply="From 9 to 5.")
    async with in_sight(browser, console, "suggested", words) as page:
        await briefed(page, console, made)
        await page.keyboard.press("c")
        await expect(page.locator("#who")).to_contain_text("You have it")
        await page.get_by_role("button", name="Use it").click()
        await expect(page.locator("#text")).to_have_value("From 9 to 5.")
        await page.keyboard.press("End")
        await page.keyboard.type(" On Sundays we rest.")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#lines .agent")).to_contain_text("On Sundays we rest.")
        await expect(page.get_by_role("button", name="Use it")).to_have_count(0)
    kept = select(handoffs.c.suggestion_fate).where(handoffs.c.id == NEWEST)
    fate = await console.database.read(lambda connection: connection.scalar(kept))
    assert fate == "edited"


async def test_only_an_admin_may_take_over_from_a_colleague(
    browser: Browser, console: Console
) -> None:
    await resolve_all(console)
    ben = await console.person(Role.AGENT, "ben@shop.example")
    await hands_over(console, "bens", "A person, please.")
    await until(lambda: console.needs.cases.list(HERE, Filter.OPEN))
    (waiting,) = await console.needs.cases.list(HERE, Filter.OPEN)
    await console.needs.desk.change(ben, waiting.case.conversation, Act.CLAIM)
    for who, buttons in (("ana@shop.example", 0), ("", 1)):
        person = await console.person(Role.AGENT if who else Role.ADMIN, who)
        async with opened(browser, console, person) as page:
            await page.goto(f"{console.url}/desk/conversations/{waiting.case.conversation}")
            await expect(page.locator("#who")).to_contain_text("Ben has it")
            await expect(page.locator("#who form[action$='/claim']")).to_have_count(buttons)
            # No key takes it away by accident.
            await expect(page.locator("#who [data-key=c]")).to_have_count(0)


async def test_waiting_times_grow_while_nothing_happens(browser: Browser, console: Console) -> None:
    await resolve_all(console)
    ana = await console.person(Role.AGENT, "ana@shop.example")
    await hands_over(console, "quiet", "A person, please.")
    async with opened(browser, console, ana, locale="en") as page:
        await page.clock.install()
        await page.goto(f"{console.url}/desk")
        ago = page.locator(".case .ago")
        await expect(ago).to_contain_text("sec")

        async def wait_longer(hours: int) -> None:
            since = update(conversations).where(conversations.c.place == "quiet")
            longer = since.values(waiting_since=time.time() - hours * 3600)
            await console.database.write(lambda connection: connection.execute(longer).rowcount)

        await wait_longer(2)
        await page.clock.run_for(60_000)
        await expect(ago).to_contain_text("2 hr")
        await wait_longer(3)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(ago).to_contain_text("3 hr")


async def test_how_long_to_snooze_stays_as_picked_when_there_are_news(
    browser: Browser, console: Console
) -> None:
    async with in_sight(browser, console, "dozes") as page:
        snooze = page.get_by_role("combobox", name="Snooze")
        await snooze.select_option(index=2)
        picked = await snooze.input_value()
        urgent = update(handoffs).where(handoffs.c.id == NEWEST).values(priority=2)
        await console.database.write(lambda connection: connection.execute(urgent).rowcount)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#who .urgent")).to_be_visible()
        await expect(snooze).to_have_value(picked)


async def test_a_customer_s_words_run_nothing_and_are_found_by_search(
    browser: Browser, console: Console
) -> None:
    await resolve_all(console)
    ana = await console.person(Role.AGENT, "ana@shop.example")
    evil = "<img src=x onerror=\"document.title='owned'\"> a person please, 100% of <b>ZEBRA</b>"
    address = Address(workspace=HERE, channel=Channel.WEB, place="evil.1")
    await console.delivery.accept(
        Inbound(address=address, event_id="evil:1", customer="<script>alert(1)</script>", text=evil)
    )
    async with opened(browser, console, ana) as page:
        await page.goto(f"{console.url}/desk")
        await page.keyboard.press("/")
        await page.keyboard.type("zebra")
        await page.keyboard.press("Enter")
        await expect(page.locator(".case")).to_have_count(1)
        await page.locator(".case").click()
        await expect(page.locator("#lines .customer .bubble")).to_contain_text("<b>ZEBRA</b>")
        assert await page.locator("#lines img, #lines b b, #cases script").count() == 0
        assert "owned" not in await page.title()
        await page.goto(f"{console.url}/desk?q=100%25+OF")
        await expect(page.locator(".case")).to_have_count(1)
        await page.goto(f"{console.url}/desk?q=no+such+words")
        await expect(page.locator(".case")).to_have_count(0)


@pytest.mark.long
async def test_an_article_as_long_as_it_may_be_is_published_and_files_are_found_again(
    browser: Browser, console: Console
) -> None:
    async with opened(browser, console, await console.person(Role.ADMIN), locale="en") as page:
        await page.goto(f"{console.url}/desk/knowledge/write")
        await page.get_by_label("Title").fill("字典")
        await page.locator("[name=text]").fill("字" * 200_000)
        await page.get_by_role("button", name="Publish").click()
        await expect(page.get_by_role("status").first).to_contain_text("Saved.")
        await page.goto(f"{console.url}/desk/knowledge")
        large = FilePayload(name="a.md", mimeType="text/plain", buffer=b"x" * 20_000_001)
        await page.locator("[name=file]").set_input_files(large)
        told = await page.locator("[name=file]").evaluate("box => box.validationMessage")
        assert told == "The file is larger than 20 MB."
        file = FilePayload(
            name="Tents.md", mimeType="text/plain", buffer=b"# Tents\n\nThey dry fast."
        )
        await page.locator("[name=file]").set_input_files(file)
        await page.locator(".card", has_text="Add a file").locator("button").click()
        await expect(page.get_by_role("status").first).to_contain_text("1 new")
        await page.get_by_label("Search").fill("tents")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"/desk/knowledge\?q=tents"))
        await expect(page.locator(".rows li")).to_have_count(1)


@pytest.mark.long
async def test_who_is_shut_out_sees_no_more_news(browser: Browser, console: Console) -> None:
    leaver = await console.person(Role.AGENT, "leaver@shop.example")
    async with opened(browser, console, leaver) as page:
        await page.goto(f"{console.url}/desk")
        await console.needs.accounts.change(HERE, leaver.id, disabled=True)
        await hands_over(console, "after-1", "A person, please.")
        await expect(page).to_have_url(re.compile("/desk/sign-in"))


async def test_a_form_sent_without_scripts_after_the_session_ended_comes_back_to_its_page(
    browser: Browser, console: Console
) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    async with opened(browser, console, ana, java_script_enabled=False) as page:
        await page.goto(f"{console.url}/desk/profile?of=signature")
        (cookie,) = await page.context.cookies()
        await console.needs.sessions.end(cookie["value"])
        await page.locator("form[action='/desk/profile'] button").click()
        await page.get_by_label("Login").fill("ana@shop.example")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(f"{console.url}/desk/profile?of=signature")


@pytest.mark.parametrize("path", ["/desk", "/desk/settings", "/desk/people", "/desk/knowledge"])
async def test_everything_has_a_name_for_who_cannot_see_it(
    browser: Browser, console: Console, path: str
) -> None:
    async with opened(browser, console, await console.person(Role.ADMIN)) as page:
        await page.goto(console.url + path)
        unnamed = await page.evaluate(
            """() => [...document.querySelectorAll("button, select, textarea, input, a")]
                .filter((each) => each.type !== "hidden" && !each.hidden)
                .filter((each) => !(each.textContent.trim() || each.ariaLabel))
                .filter((each) => !each.labels?.length)
                .map((each) => each.outerHTML)"""
        )
        assert unnamed == []
        assert await page.get_by_role("main").count() == 1
        assert await page.locator("h1").count() == 1


@pytest.mark.long
async def test_with_two_hundred_open_a_handoff_is_seen_soon(
    browser: Browser, console: Console
) -> None:
    ana = await console.person(Role.AGENT, "ana@shop.example")
    for number in range(200):
        await hands_over(console, f"crowd-{number}", "A person, please.")

    async def all_wait() -> bool:
        return (await console.needs.cases.counts(HERE))[Filter.WAITING] >= 200

    await until(all_wait)
    async with opened(browser, console, ana) as page:
        await page.goto(f"{console.url}/desk")
        await expect(page.locator(".case")).to_have_count(200)
        await hands_over(console, "last-one", "A person for the last one, please.")
        # `make bench` measures it; on a busy machine it only must not be minutes.
        await expect(page.locator("#waiting")).not_to_have_text("200")
