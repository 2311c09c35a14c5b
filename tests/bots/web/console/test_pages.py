"""The pages on which admins and agents keep things in order."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from html import unescape
from typing import TypeVar
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, select, update

from bots.server import build_app, serving
from bots.web.console.console import console_routes
from bots.web.console.pages import inbox
from bots.web.console.pages.conversation import SHOWN
from bots.web.console.pages.knowledge import CHANGED, GONE, TOO_LONG
from core.adapters.canned_answers import CannedAnswers
from core.adapters.documents import Document
from core.adapters.proposals import Proposal
from core.adapters.sessions import Sessions
from core.adapters.tables import conversations, messages, proposals
from core.cases import Act, DeskLine
from core.errors import Unavailable
from core.handoff import MAX_REPLY_CHARS
from core.staff import Account, Role
from core.turn import Address, Channel, ConversationId, Inbound
from tests.bots.web.console.world import (
    CURVES,
    HERE,
    RETURNS,
    Client,
    Console,
    browser_of,
    fields_of,
)

T = TypeVar("T")
TOO_LARGE = "This is too large to be taken."
TRY_AGAIN = "This did not work. Please try again."

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def admin(console: Console) -> AsyncIterator[Client]:
    async with browser_of(console, await console.person(Role.ADMIN)) as client:
        yield client


async def says(console: Console, place: str, text: str, key: str) -> None:
    address = Address(workspace=HERE, channel=Channel.WEB, place=place)
    await console.delivery.accept(
        Inbound(address=address, event_id=f"{place}:{key}", customer=place, text=text)
    )


async def handed_over(console: Console, place: str, text: str) -> ConversationId:
    await says(console, place, text, "1")
    while True:
        for each in await console.needs.cases.list(HERE):
            if each.case.customer == place:
                return each.case.conversation
        await asyncio.sleep(0.01)


async def answered(console: Console, agent: Account, where: ConversationId, text: str) -> None:
    """Let an agent take a conversation and reply, and wait until that is written."""
    await console.needs.desk.change(agent, where, Act.CLAIM)
    await console.needs.desk.reply(agent, where, text, event_id=f"reply:{where}")
    while not any(line.author == "agent" for line in await console.needs.cases.lines(HERE, where)):
        await asyncio.sleep(0.01)


async def rated(console: Console, rating: int) -> None:
    """Rate every answer, once there is one that was not rated."""
    new = messages.c.details.contains('"answer"') & messages.c.rating.is_(None)
    rate = update(messages).where(new).values(rating=rating)
    while not await console.database.write(lambda connection: connection.execute(rate).rowcount):
        await asyncio.sleep(0.01)


class Away:
    """A database that nobody can reach."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        raise Unavailable("database", "gone")

    async def read(self, work: Callable[[Connection], T]) -> T:
        raise Unavailable("database", "gone")

    async def check(self) -> str:
        raise Unavailable("database", "gone")


async def begun_at(console: Console, place: str, at: float) -> None:
    begin = update(conversations).where(conversations.c.place == place).values(created_at=at)
    await console.database.write(lambda connection: connection.execute(begin).rowcount)


def alert(response: httpx.Response) -> str:
    return response.text.partition('role="alert"')[2].partition("</p>")[0]


def shown_in(page: httpx.Response) -> dict[str, str]:
    """What the page of the settings says that it shows."""
    return {"shown": unescape(re.findall(r'name="shown" value="([^"]+)"', page.text)[0])}


async def test_an_article_is_written_found_changed_and_removed(
    console: Console, admin: Client
) -> None:
    fields = {"id": "", "title": "Gift cards", "language": "en", "source": ""}
    made = await admin.post("/desk/knowledge/write", text="A *gift card* never expires.", **fields)
    assert made.status_code == 303
    page = await admin.get(made.headers["location"])
    assert "<em>gift card</em>" in page.text
    assert "Gift cards" in (await admin.post("/desk/try", question="gift card expires")).text
    assert "Gift cards" in (await admin.get("/desk/knowledge?q=GIFT")).text
    assert "Gift cards" not in (await admin.get("/desk/knowledge?q=tents")).text
    id = httpx.URL(made.headers["location"]).params["id"]
    shown = fields_of((await admin.get(f"/desk/knowledge/write?id={id}")).text)
    await admin.post("/desk/knowledge/write", **{**fields, **shown, "text": "It lasts 3 years."})
    article = await console.needs.documents.get(HERE, id)
    assert article is not None
    assert article.text == "It lasts 3 years."
    assert (await admin.post("/desk/knowledge/remove", id=id)).status_code == 303
    assert (await admin.get(f"/desk/knowledge/article?id={id}")).status_code == 404


async def test_who_publishes_has_seen_what_a_colleague_has_made_of_the_article(
    console: Console, admin: Client
) -> None:
    bells = Document(id="bells", title="Bells", text="We have bells.", language="en")
    await console.needs.knowledge.put(HERE, [bells])
    one = fields_of((await admin.get(f"/desk/knowledge/write?id={bells.id}")).text)
    one |= {"title": "Bells", "language": "en", "text": "Bells cost four euros."}
    other = one | {"text": "Bells last for two years."}
    for _ in range(2):
        # Pressed twice, it is no colleague.
        assert (await admin.post("/desk/knowledge/write", **one)).status_code == 303
    page = await admin.post("/desk/knowledge/write", **other)
    assert (page.status_code, CHANGED in alert(page)) == (409, True)
    assert ">Bells last for two years.</textarea>" in page.text
    assert "Bells cost four euros." in page.text.partition("</form>\n<article")[2]
    again = other | {"base": re.findall(r'name="base" value="(\w+)"', page.text)[0]}
    assert (await admin.post("/desk/knowledge/write", **again)).status_code == 303
    await console.needs.knowledge.remove(HERE, [bells.id])
    page = await admin.post("/desk/knowledge/write", **again)
    assert (page.status_code, GONE in alert(page)) == (409, True)
    assert await console.needs.documents.get(HERE, bells.id) is None
    knowing = await admin.post("/desk/knowledge/write", **again | {"base": ""})
    assert knowing.status_code == 303
    await console.needs.knowledge.remove(HERE, [bells.id])


async def test_a_long_list_of_articles_is_cut_off_and_goes_on(
    console: Console, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [
        Document(id=f"spokes-{at}", title=f"Spokes {at}", text="Of STEEL.", language="cs")
        for at in range(3)
    ]
    await console.needs.knowledge.put(HERE, many)
    monkeypatch.setattr(inbox, "LISTED", 2)
    page = (await admin.get("/desk/knowledge?q=of+steel&language=cs")).text
    assert page.count("data-item") == 2
    more = re.findall(r'href="(/desk/knowledge\?q=of[^"#]+)#d2"', page)[0]
    page = (await admin.get(unescape(more))).text
    assert page.count("data-item") == 3
    assert "Show more" not in page
    await console.needs.knowledge.remove(HERE, [each.id for each in many])


async def test_publishing_twice_makes_one_article(console: Console, admin: Client) -> None:
    editor = await admin.get("/desk/knowledge/write")
    (chosen,) = re.findall(r'name="new" value="([^"]+)"', editor.text)
    fields = {"id": "", "new": chosen, "title": "Twice", "language": "en", "source": ""}
    # What is refused in between does not choose anew.
    refused = await admin.post("/desk/knowledge/write", text=" ", **fields)
    assert f'name="new" value="{chosen}"' in refused.text
    for text in ("We open at nine.", "We open at ten."):
        made = await admin.post("/desk/knowledge/write", text=text, **fields)
        assert made.status_code == 303
    twice = [each for each in await console.needs.documents.list(HERE) if each.title == "Twice"]
    assert [each.id for each in twice] == [chosen]
    kept = await console.needs.documents.get(HERE, chosen)
    assert kept is not None
    assert kept.text == "We open at ten."
    forged = await admin.post("/desk/knowledge/write", text="x", **{**fields, "new": RETURNS.id})
    assert forged.status_code == 422


@pytest.mark.parametrize(
    "wrong", [{"title": " "}, {"text": ""}, {"language": "tlh"}, {"source": "javascript:alert(1)"}]
)
async def test_an_article_that_cannot_be_one_is_explained_and_kept(
    admin: Client, wrong: dict[str, str]
) -> None:
    fields = {"title": "T", "text": "Kept words.", "language": "en", "source": ""} | wrong
    response = await admin.post("/desk/knowledge/write", **fields)
    assert response.status_code == 422
    assert alert(response)
    assert wrong.get("text", "Kept words.") in response.text


async def test_an_article_that_is_too_long_is_explained_and_kept(admin: Client) -> None:
    fields = {"csrf": admin.csrf, "title": "T", "language": "en"}
    # The last is one that a file has brought.
    for text in ("x" * 200_001, "字" * 200_001, "word " * 220_000):
        response = await admin.http.post(
            "/desk/knowledge/write", files={"text": (None, text)}, data=fields
        )
        assert response.status_code == 422
        assert TOO_LONG in alert(response)
        assert text.strip() in response.text


async def test_a_file_is_added_under_a_harmless_name(console: Console, admin: Client) -> None:
    file = ("../../etc/Re<fund>s.md", b"# Refunds\n\nMoney comes back in five days.", "text/plain")
    response = await admin.http.post(
        "/desk/knowledge/file", data={"csrf": admin.csrf}, files={"file": file}
    )
    assert response.status_code == 200
    ids = [each.id for each in await console.needs.documents.list(HERE)]
    assert "Re-fund-s" in ids
    unreadable = ("x.exe", b"MZ", "application/octet-stream")
    refused = await admin.http.post(
        "/desk/knowledge/file", data={"csrf": admin.csrf}, files={"file": unreadable}
    )
    assert refused.status_code == 422
    assert "x.exe" in alert(refused)
    assert "dragoman-upload" not in refused.text


@pytest.mark.long
async def test_a_file_may_be_larger_than_other_forms(admin: Client) -> None:
    large = ("large.md", b"word " * 400_000, "text/plain")
    response = await admin.http.post(
        "/desk/knowledge/file", data={"csrf": admin.csrf}, files={"file": large}, timeout=60
    )
    assert response.status_code in (200, 422)
    huge = ("huge.md", b"word " * 4_200_000, "text/plain")
    response = await admin.http.post(
        "/desk/knowledge/file", data={"csrf": admin.csrf}, files={"file": huge}, timeout=60
    )
    assert (response.status_code, TOO_LARGE in response.text) == (413, True)


async def test_what_is_too_large_for_a_form_is_told_in_words(admin: Client) -> None:
    form = {"csrf": admin.csrf, "term": "x" * 1_100_000}
    page = await admin.http.post("/desk/glossary", data=form)
    assert (page.status_code, f"<h1>{TOO_LARGE}</h1>" in page.text) == (413, True)
    part = await admin.http.post("/desk/glossary", data=form, headers={"X-Part": "1"})
    assert part.json() == {"error": TOO_LARGE, "why": "too_large"}


@pytest.mark.parametrize("address", ["http://127.0.0.1/", "https://evil.example/a", "file:///etc"])
async def test_a_page_of_a_host_that_is_not_allowed_is_refused(admin: Client, address: str) -> None:
    response = await admin.post("/desk/knowledge/page", address=address)
    assert response.status_code == 422
    assert alert(response)


async def test_a_preview_shows_no_tag_of_the_writer(admin: Client) -> None:
    shown = await admin.post("/desk/knowledge/preview", text="**bold** <script>alert(1)</script>")
    assert "<strong>bold</strong>" in shown.text
    assert "<script" not in shown.text


async def test_a_question_shows_its_passages_probability_and_decision(admin: Client) -> None:
    page = await admin.post("/desk/try", question="How to return an item")
    assert RETURNS.title in page.text
    assert "<meter" in page.text
    assert 'class="state answer"' in page.text


async def test_settings_that_can_hold_are_kept_and_the_others_explained(
    console: Console, admin: Client
) -> None:
    held = {
        "precision": "90",
        "misses": "2",
        "handover_upset": "true",
        "handover_words": "lawyer\ncourt",
        "time_zone": "Asia/Tokyo",
        "hours": "mon-fri 09:00-17:00",
        "holidays": "12-25\n2027-01-01",
        "answer_minutes": "60",
        "idle_minutes": "20",
        "desk_language": "ja",
        "learn": "true",
    }
    held |= shown_in(await admin.get("/desk/settings"))
    assert (await admin.post("/desk/settings", **held)).status_code == 303
    kept = await console.needs.preferences.of(HERE)
    assert kept.learn
    assert (kept.precision, kept.misses, kept.handover_words) == (0.9, 2, ("lawyer", "court"))
    assert (kept.time_zone, kept.holidays) == ("Asia/Tokyo", ("12-25", "2027-01-01"))
    held |= shown_in(await admin.get("/desk/settings"))
    wrong = held | {"hours": "whenever", "misses": "5"}
    response = await admin.post("/desk/settings", **wrong)
    assert response.status_code == 422
    assert "whenever" in response.text
    assert (await console.needs.preferences.of(HERE)).misses == 5
    ticks = ("handover_upset", "learn")
    unticked = {name: value for name, value in held.items() if name not in ticks}
    await admin.post("/desk/settings", **unticked)
    kept = await console.needs.preferences.of(HERE)
    assert (kept.handover_upset, kept.learn) == (False, False)


async def test_only_what_was_changed_on_the_page_is_kept(console: Console, admin: Client) -> None:
    stored = console.needs.preferences
    await stored.put(HERE, "precision", 0.995)
    await stored.put(HERE, "hours", "")
    before = await stored.of(HERE)
    page = await admin.get("/desk/settings")
    fields = {
        "precision": re.findall(r'name="precision"[^>]* value="(\d+)"', page.text)[0],
        "misses": "4",
        "handover_words": "\n".join(before.handover_words),
        "time_zone": before.time_zone,
        "hours": "",
        "holidays": "\n".join(before.holidays),
        "answer_minutes": str(before.answer_minutes),
        "idle_minutes": str(before.idle_minutes),
        "desk_language": before.desk_language,
    }
    # A colleague sets the hours meanwhile.
    await stored.put(HERE, "hours", "mon-fri 09:00-17:00")
    saved = await admin.post("/desk/settings", **shown_in(page), **fields)
    assert saved.status_code == 303
    after = await stored.of(HERE)
    assert (after.misses, after.hours) == (4, "mon-fri 09:00-17:00")
    # A slider that does not reach it changes nothing.
    assert after.precision == 0.995
    await stored.put(HERE, "precision", 0.9)


async def test_the_curve_marks_what_holds(admin: Client) -> None:
    page = await admin.get("/desk/settings")
    assert page.text.count('class="dot mark"') == 2
    assert 'data-precision="0.9"' in page.text


async def test_one_curve_is_of_all_languages(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(CURVES, "fluent")
    page = await admin.get("/desk/settings")
    assert "All languages" in page.text
    assert "All other languages" not in page.text


async def test_words_and_answers_are_kept_changed_and_forgotten(
    console: Console, admin: Client
) -> None:
    wrong = await admin.post("/desk/glossary", term="Retour", translations="no language: x")
    assert wrong.status_code == 422
    await admin.post("/desk/glossary", term=" Cargo  bike ", translations="de: Lastenrad\n\nfr: v")
    (term,) = await console.needs.glossary.of(HERE)
    assert (term.term, term.translations) == ("Cargo bike", {"de": "Lastenrad", "fr": "v"})
    await admin.post("/desk/glossary/remove", term="Cargo bike")
    assert await console.needs.glossary.of(HERE) == ()

    await admin.post("/desk/replies", title="Thanks", text="Thank you!", language="en")
    again = await admin.post("/desk/replies", title="Thanks", text="Again", language="nl")
    assert again.status_code == 422
    new = again.text.partition("Add an answer")[2]
    assert fields_of(again.text)["text"] == "Again"
    assert 'name="title" value="Thanks"' in new
    assert '<option value="nl" lang="nl" selected>' in new
    (answer,) = await console.needs.canned.of(HERE)
    no_title = await admin.post(
        "/desk/replies", id=str(answer.id), title=" ", text="Cheers!", language="en"
    )
    opened = no_title.text.partition("<details")[2].partition("</details>")[0]
    assert (no_title.status_code, ">Cheers!</textarea>" in opened) == (422, True)
    assert "Cheers!" not in no_title.text.partition("Add an answer")[2]
    await admin.post("/desk/replies", id=str(answer.id), title="T", text="Ta!", language="de")
    (changed,) = await console.needs.canned.of(HERE)
    assert (changed.title, changed.text, changed.language) == ("T", "Ta!", "de")
    beyond = await admin.post("/desk/replies/remove", id=str(2**63))
    assert beyond.status_code == 422
    await admin.post("/desk/replies/remove", id=str(changed.id))
    assert await console.needs.canned.of(HERE) == ()
    await admin.post("/desk/replies", title="Taken", text="Anew", language="de")
    (anew,) = await console.needs.canned.of(HERE)
    for title, why in (("T", GONE), ("Taken", "has this title"), (" ", "needs a title")):
        late = await admin.post(
            "/desk/replies", id=str(answer.id), title=title, text="Hi", language="de"
        )
        assert (late.status_code, why in alert(late)) == (422, True)
        new = late.text.partition("Add an answer")[2]
        assert ('name="id"' in new, fields_of(new)["text"]) == (False, "Hi")
    await console.needs.canned.remove(HERE, anew.id)


async def test_each_channel_tells_how_it_is(admin: Client) -> None:
    page = await admin.get("/desk/channels")
    assert "token_revoked" in page.text
    assert page.text.count('class="lamp bad"') == 1
    assert page.text.count('class="lamp off"') == 1


@pytest.mark.long
async def test_what_the_bot_could_not_answer_waits_until_an_article_does(
    console: Console, admin: Client
) -> None:
    for visitor in ("u1", "u2"):
        await handed_over(console, visitor, "Something unknown?")
    page = await admin.get("/desk/questions")
    assert page.text.count(">Something unknown?</p>") == 1
    assert "asked 2 times" in page.text
    (question,) = await console.needs.unanswered.list(HERE)
    replies = ",".join(str(each) for each in question.replies)
    editor = await admin.get(f"/desk/knowledge/write?title=Unknown&answers={replies}")
    assert f'value="{replies}"' in editor.text
    fields = {"title": "Unknown", "text": "Known now.", "language": "en", "answers": replies}
    assert (await admin.post("/desk/knowledge/write", **fields)).status_code == 303
    assert await console.needs.unanswered.list(HERE) == ()


async def test_an_answer_that_did_not_help_is_unanswered_until_it_is_seen_to(
    console: Console, admin: Client
) -> None:
    await says(console, "u3", "Can I return this?", "1")
    await rated(console, -1)
    (question,) = await console.needs.unanswered.list(HERE)
    assert (question.text, question.reason) == ("Can I return this?", "")
    await admin.post("/desk/questions/settle", replies=str(question.replies[0]))
    assert await console.needs.unanswered.list(HERE) == ()


@pytest.mark.long
async def test_a_resolved_conversation_proposes_an_article_that_a_person_approves(
    console: Console, admin: Client
) -> None:
    agent = await console.person(Role.AGENT)
    where = await handed_over(console, "u4", "A person please: do you repair bikes of other shops?")
    text = "Yes, we repair bikes of every shop. Write to ana@shop.example or just come by."
    await answered(console, agent, where, text)
    await console.needs.desk.change(agent, where, Act.RESOLVE)
    for _ in range(2):
        page = await admin.get("/desk/proposals")
    (proposal,) = await console.needs.proposals.open(HERE)
    assert "do you repair bikes" in proposal.title
    assert "ana@shop.example" not in page.text
    fields = {"title": "Repairs", "text": "We repair bikes of every shop.", "language": "en"}
    path = f"/desk/proposals/{proposal.id}/approve"
    too_long = await admin.post(path, **fields | {"text": "x" * 200_001})
    assert (too_long.status_code, TOO_LONG in alert(too_long)) == (422, True)
    empty = await admin.post(path, **fields | {"text": " \n"})
    assert (empty.status_code, "needs a title and a text" in alert(empty)) == (422, True)
    assert 'value="Repairs"' in empty.text
    assert (await admin.post(path, **fields)).status_code == 303
    assert (await admin.post(path, **fields)).status_code == 404
    article = await console.needs.documents.get(HERE, proposal.name)
    assert article == Document(id=proposal.name, **fields)
    told = select(proposals.c.document_id).where(proposals.c.id == proposal.id)
    assert await console.database.read(lambda c: c.scalar(told)) == proposal.name
    asked = await admin.post("/desk/try", question="repair bikes of every shop")
    assert "Repairs" in asked.text


async def test_who_approves_has_seen_what_the_article_says_now(
    console: Console, admin: Client
) -> None:
    tubes = Document(id="tubes", title="Tubes", text="We have tubes.", language="en")
    lasts = "\n\n## How long?\n\nA tube lasts for two years."
    costs = "\n\n## How much?\n\nA tube costs four euros."
    await console.needs.knowledge.put(HERE, [tubes])
    both = [
        {
            "workspace": HERE, "document_id": tubes.id, "title": tubes.title, "language": "en",
            "text": tubes.text + text, "created_at": 1,
        }
        for text in (lasts, costs)
    ]  # fmt: skip
    await console.database.write(lambda c: c.execute(insert(proposals), both).rowcount)
    one, other = await console.needs.proposals.open(HERE)
    page = await admin.get("/desk/proposals")
    assert page.text.count(f'name="base" value="{tubes.sha256}"') == 2

    def given(proposal: Proposal) -> dict[str, str]:
        shown = {"title": proposal.title, "text": proposal.text, "language": "en"}
        return shown | {"base": proposal.base}

    approve = "/desk/proposals/{}/approve"
    assert (await admin.post(approve.format(one.id), **given(one))).status_code == 303
    mine = {"title": "Bike tubes", "text": "My own words.", "language": "nl"}
    stale = await admin.post(approve.format(other.id), **given(other) | mine)
    assert (stale.status_code, "changed meanwhile" in alert(stale)) == (409, True)
    (rebuilt,) = await console.needs.proposals.open(HERE)
    # What was written stands in the form, what the article says now below it.
    form, _, below = stale.text.partition("changed meanwhile")
    kept = (
        'value="Bike tubes"',
        ">My own words.</textarea>",
        '<option value="nl" lang="nl" selected>',
    )
    assert [each for each in kept if each not in form] == []
    assert f'name="base" value="{rebuilt.base}"' in form
    assert "two years" in below
    assert "four euros" in below
    assert (await admin.post(approve.format(other.id), **given(rebuilt))).status_code == 303
    article = await console.needs.documents.get(HERE, tubes.id)
    assert article is not None
    assert article.text == tubes.text + lasts + costs


async def test_a_long_thread_is_read_from_its_end(console: Console, admin: Client) -> None:
    where = await handed_over(console, "u9", "A person, please.")
    line = {"workspace": HERE, "conversation_id": where, "author": "customer", "language": "en"}
    lines = [{**line, "text": f"Line {number}.", "created_at": number} for number in range(450)]
    await console.database.write(lambda c: c.execute(insert(messages), lines).rowcount)
    await console.needs.desk.change(await console.person(Role.AGENT), where, Act.CLAIM)
    page = await admin.get(f"/desk/conversations/{where}?show=mine")
    assert page.text.count('data-key-of="m') + page.text.count('data-key-of="e') == SHOWN
    assert "Line 449." in page.text
    assert "took over" in page.text
    [(path, at)] = re.findall(r'href="([^"]+)#(m\d+)" data-key="earlier"', page.text)
    earlier = await admin.get(path.replace("&amp;", "&"))
    assert earlier.text.count('data-key-of="m') > SHOWN
    assert f'id="{at}"' in earlier.text
    assert "show=mine" in path
    every = await admin.get(f"/desk/conversations/{where}?last=999999")
    assert "Line 0." in every.text
    assert 'data-key="earlier"' not in every.text
    assert (await admin.get(f"/desk/conversations/{where}?last=nonsense")).status_code == 200


async def test_a_message_above_the_end_of_a_long_thread_is_changed(console: Console) -> None:
    agent = await console.person(Role.AGENT)
    where = await handed_over(console, "u13", "A person, please.")
    await answered(console, agent, where, "Good morning!")
    line = {"workspace": HERE, "conversation_id": where, "author": "customer", "language": "en"}
    lines = [{**line, "text": "Hm.", "created_at": 2**33 + number} for number in range(SHOWN)]
    await console.database.write(lambda c: c.execute(insert(messages), lines).rowcount)
    path, reply = f"/desk/conversations/{where}", f"reply:{where}"
    async with browser_of(console, agent) as client:
        opened = await client.get(f"{path}?change={reply}")
        assert (reply in opened.text, "Good morning!" in opened.text) == (True, True)
        words = "x" * (MAX_REPLY_CHARS + 1)
        refused = await client.post(f"{path}/edit", text=words, reply=reply)
        composer = refused.text.partition('class="composer"')[2]
        assert f'name="reply" value="{reply}"' in composer
        assert f">{words}</textarea>" in composer


async def test_figures_count_what_happened(console: Console, admin: Client) -> None:
    before = await console.needs.figures.report(HERE, 7, zone="UTC")
    agent = await console.person(Role.AGENT)
    where = await handed_over(console, "u7", "A person, please.")
    await answered(console, agent, where, "Good morning!")
    await says(console, "u8", "Can I return this?", "1")
    await rated(console, -1)
    report = await console.needs.figures.report(HERE, 7, zone="UTC")
    assert report.conversations == before.conversations + 2
    assert report.handed_over == before.handed_over + 1
    kept = 1 - report.handed_over / report.conversations
    assert report.deflection_rate == pytest.approx(kept)
    assert report.containment_rate == 0.0
    assert report.first_answer_s is not None
    assert sum(day.begun for day in report.days) == report.conversations
    assert report.csat == 0.0
    page = await admin.get("/desk/statistics?days=7")
    assert f"{kept:.0%}" in page.text
    # A workspace's day begins at its own midnight; in Tokyo this is 15:00 UTC.
    tokyo = ZoneInfo("Asia/Tokyo")
    midnight = datetime.combine(datetime.now(tokyo), datetime.min.time(), tokyo).timestamp()
    days = (await console.needs.figures.report(HERE, 2, zone="Asia/Tokyo")).days
    for place, at in (("u7", midnight - 1), ("u8", midnight + 1)):
        await begun_at(console, place, at)
    yesterday, today = (await console.needs.figures.report(HERE, 2, zone="Asia/Tokyo")).days
    assert today.date == datetime.now(tokyo).date()
    assert (yesterday.begun, today.begun) == (days[0].begun + 1, days[1].begun - 1)
    assert re.search(r"<title>\w+ \d+, \d{4}: \d+</title>", page.text)


async def test_an_agent_reads_in_their_language_which_languages_these_are(
    console: Console,
) -> None:
    where = await handed_over(console, "u10", "A person, please.")
    reader = await console.person(Role.VIEWER, "leser2@shop.example", language="de")
    async with browser_of(console, reader) as client:
        for path in ("/desk", f"/desk/conversations/{where}"):
            page = (await client.get(path)).text
            assert '<span class="tag" title="English (en)">Englisch</span>' in page


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en-AU", "The customer reads this."),
        ("de", "You write English; the customer reads German."),
    ],
)
async def test_the_composer_names_two_languages_only_if_there_are_two(
    console: Console, language: str, told: str
) -> None:
    where = await handed_over(console, f"in {language}", "A person, please.")
    one = update(conversations).where(conversations.c.id == where).values(language=language)
    await console.database.write(lambda connection: connection.execute(one).rowcount)
    async with browser_of(console, await console.person(Role.AGENT)) as client:
        page = (await client.get(f"/desk/conversations/{where}")).text
        assert told in page.partition('class="only-reply">')[2].partition("</span>")[0]


async def test_each_stay_of_a_customer_who_came_back_is_listed_once(
    console: Console, admin: Client
) -> None:
    agent = await console.person(Role.AGENT)
    where = await handed_over(console, "u11", "A person, please.")
    for _ in range(2):
        await console.needs.desk.change(agent, where, Act.CLAIM)
        await console.needs.desk.change(agent, where, Act.RESOLVE)
    page = (await admin.get("/desk?show=ended")).text
    assert page.count(f'href="/desk/conversations/{where}?') == 2
    keys = re.findall(r'<li id="c(\d+)" data-key-of="\1"', page)
    assert len(keys) == len(set(keys)) >= 2


async def test_an_agent_changes_and_takes_back_what_they_wrote_themselves(
    console: Console,
) -> None:
    agent = await console.person(Role.AGENT)
    where = await handed_over(console, "u12", "A person, please.")
    await answered(console, agent, where, "Good morning!")
    path = f"/desk/conversations/{where}"

    async def line() -> DeskLine:
        lines = await console.needs.cases.lines(HERE, where)
        return next(line for line in lines if line.author == "agent")

    mine = {"reply": f"reply:{where}"}
    change = f"change=reply%3A{where}"
    async with browser_of(console, await console.person(Role.AGENT, "other@shop.example")) as other:
        assert change not in (await other.get(path)).text
        refused = await other.post(f"{path}/edit", text="Mine now", **mine)
        assert "Only the person who wrote this message can change it." in alert(refused)
        assert "Mine now" not in refused.text
        assert 'name="reply"' not in (await other.get(f"{path}?{change}")).text
    async with browser_of(console, agent) as client:
        assert change in (await client.get(path)).text
        composer = (await client.get(f"{path}?{change}")).text.partition('class="composer"')[2]
        assert ">Good morning!</textarea>" in composer
        too_long = await client.post(f"{path}/edit", text="x" * 12_001, **mine)
        assert "12000" in alert(too_long)
        assert f'name="reply" value="reply:{where}"' in too_long.text
        blank = await client.post(f"{path}/edit", text=" \n ", **mine)
        assert (blank.status_code, "There is nothing to send." in alert(blank)) == (409, True)
        assert not (await line()).deleted_at
        done = await client.post(f"{path}/edit?show=mine", text="Good evening!", **mine)
        assert done.headers["location"] == f"{path}?show=mine"
        while (await line()).text != "Good evening!":
            await asyncio.sleep(0.01)
        assert (await line()).edited_at
        await client.post(f"{path}/edit", **mine)
        while not (await line()).deleted_at:
            await asyncio.sleep(0.01)
        assert change not in (await client.get(path)).text


async def test_what_people_say_is_shown_as_they_wrote_it(console: Console, admin: Client) -> None:
    said = "A person: `A*17*B` [https://desk.shop.example](https://evil.example)"
    where = await handed_over(console, "u5", said)
    told = update(messages).where(messages.c.text == said)
    translated = told.values(translation=f"Auf Deutsch: {said}", translation_language="de")
    await console.database.write(lambda connection: connection.execute(translated).rowcount)
    await answered(console, await console.person(Role.AGENT), where, "Dial *21*17#, please.")
    page = (await admin.get(f"/desk/conversations/{where}")).text
    lines = page.partition('id="lines"')[2].partition("</ol>")[0]
    assert ">Dial *21*17#, please.</div>" in lines
    assert f">{said}</div>" in lines
    assert f">Auf Deutsch: {said}</div>" in lines
    assert 'evil.example"' not in lines


async def test_a_note_that_could_not_be_kept_is_no_reply_on_the_next_page(
    console: Console, admin: Client
) -> None:
    where = await handed_over(console, "u6", "A person, please.")
    for mode in ("note", "reply"):
        page = await admin.post(
            f"/desk/conversations/{where}/say", mode=mode, key="key-00001", text=" "
        )
        assert page.status_code == 409
        assert re.findall(r'name="mode" value="(\w+)" checked', page.text) == [mode]
        long = "x" * (2 * MAX_REPLY_CHARS)
        page = await admin.post(
            f"/desk/conversations/{where}/say", mode=mode, key="key-00001", text=long
        )
        assert (page.status_code, str(MAX_REPLY_CHARS) in alert(page)) == (409, True)
        assert f">{long}</textarea>" in page.text


async def _ready() -> Mapping[str, str | None]:
    return {}


async def test_while_the_database_is_away_what_was_written_is_not_lost(console: Console) -> None:
    answer = {"title": "Closed", "text": "We are closed.", "language": "en"}
    agent, away = await console.person(Role.AGENT), Away()
    for broken in (
        replace(console.needs, sessions=Sessions(away)),
        replace(console.needs, canned=CannedAnswers(away)),
    ):
        app = build_app(console_routes(broken), ready=_ready)
        async with (
            serving(app, host="127.0.0.1", port=0) as url,
            browser_of(console, agent) as client,
        ):
            there, data = f"{url}/desk/replies", {"csrf": client.csrf, **answer}
            seen = await client.http.get(there)
            assert (seen.status_code, TRY_AGAIN in seen.text) == (503, True)
            assert int(seen.headers["retry-after"]) > 0
            part = await client.http.post(there, data=data, headers={"X-Part": "1"})
            assert (part.status_code, part.json()["error"]) == (503, TRY_AGAIN)
            page = await client.http.post(there, data=data)
            assert (page.status_code, TRY_AGAIN in page.text) == (503, True)
            # The database is there again.
            kept = await client.http.post("/desk/replies", data=fields_of(page.text))
            assert kept.status_code == 303
        (made,) = await console.needs.canned.of(HERE)
        assert made.text == answer["text"]
        await console.needs.canned.remove(HERE, made.id)


async def test_a_page_that_stays_open_is_told_in_words_why_something_was_refused(
    console: Console,
) -> None:
    reader = await console.person(Role.VIEWER, "leser@shop.example", language="de")
    async with browser_of(console, reader) as client:

        async def post(path: str, csrf: str) -> tuple[int, dict[str, str]]:
            response = await client.http.post(path, data={"csrf": csrf}, headers={"X-Part": "1"})
            return response.status_code, response.json()

        status, told = await post("/desk/conversations/1/claim", client.csrf)
        assert (status, told["error"]) == (403, "Ihre Rolle erlaubt das nicht.")
        status, told = await post("/desk/profile", client.csrf)
        sentence = "Etwas in diesem Formular kann nicht stimmen. Bitte prüfen Sie es."
        assert (status, told["error"]) == (422, sentence)
        status, told = await post("/desk/profile", "0" * 64)
        assert (status, told["why"]) == (403, "csrf")


@pytest.mark.parametrize(
    ("which", "further"),
    [("show=open", "show=open"), ("q=a+person", r"show=waiting&amp;q=a\+person")],
)
async def test_a_list_that_is_cut_off_says_so_and_goes_on(
    admin: Client, console: Console, monkeypatch: pytest.MonkeyPatch, which: str, further: str
) -> None:
    monkeypatch.setattr(inbox, "LISTED", 1)
    places = [await handed_over(console, f"cut-{number}", "A person!") for number in range(3)]
    cases = [await console.needs.cases.get(HERE, place) for place in places]
    page, shown = (await admin.get(f"/desk?{which}")).text, []
    while more := re.search(rf'href="(/desk\?{further}&amp;more=\d+)#c\d+"', page):
        shown.append(page.count("data-item"))
        page = (await admin.get(more[1].replace("&amp;", "&"))).text
    assert shown == list(range(1, len(shown) + 1))
    assert all(case and f'id="c{case.id}"' in page for case in cases)
    # What is opened has the same list beside it.
    opened = re.search(r'data-item href="([^"]+)"', page)
    assert opened is not None
    beside = (await admin.get(opened[1].replace("&amp;", "&"))).text
    assert all(case and f'id="c{case.id}"' in beside for case in cases)


async def test_an_agent_sees_that_the_customer_has_left(console: Console) -> None:
    where = await handed_over(console, "gone", "I want a person")
    async with browser_of(console, await console.person(Role.AGENT)) as client:
        path = f"/desk/conversations/{where}"
        told = "The customer has left this conversation"
        assert told not in (await client.get(path)).text
        await console.delivery.leave(Address(workspace=HERE, channel=Channel.WEB, place="gone"))
        # At the top, and where it happened.
        assert (await client.get(path)).text.count(told) == 2
        await client.post(f"{path}/claim")
        await client.post(f"{path}/resolve")
        assert (await client.get(path)).text.count(told) == 1


async def test_an_admin_takes_over_what_the_page_says_a_colleague_has(console: Console) -> None:
    agent, admin = await console.person(Role.AGENT), await console.person(Role.ADMIN)
    where = await handed_over(console, "held", "I want a person")
    await console.needs.desk.change(agent, where, Act.CLAIM)
    async with browser_of(console, admin) as client:
        path = f"/desk/conversations/{where}"
        page = (await client.get(path)).text
        for act in ("claim", "return", "resolve", "release"):
            form = page.partition(f'action="{path}/{act}"')[2].partition("</form>")[0]
            assert f'name="over" value="{agent.id}"' in form
            assert (await client.post(f"{path}/{act}")).status_code == 409
        assert (await client.post(f"{path}/claim", over=str(agent.id))).status_code == 303
        case = await console.needs.cases.get(HERE, where)
        assert case is not None
        assert case.agent == admin.id
        assert (await client.post(f"{path}/release")).status_code == 303
        page = (await client.get(path)).text
        assert "Waits for a person" in page
        assert "Put back in the queue" in page
