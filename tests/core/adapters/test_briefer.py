"""Each case is briefed once, by whichever process, whatever the model does."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Table, insert, select, update

from core.adapters.briefer import Briefer
from core.adapters.briefings import Briefings
from core.adapters.database import Database, Now
from core.adapters.detector import CombinedDetector
from core.adapters.generator import HttpGenerator, Limits
from core.adapters.handoffs import open_case
from core.adapters.tables import (
    accounts,
    conversations,
    desk_events,
    handoffs,
    holds,
    messages,
)
from core.briefing import Briefing
from core.faithful import FaithfulTranslator
from core.ports import Retriever, Translator
from core.tones import Tone
from core.turn import ConversationId, Passage, WorkspaceId
from tests.databases import listening
from tests.fakes.model import FakeModel, Mood, fake_model
from tests.fakes.ports import FakeRetriever
from tests.fakes.translator import FakeTranslator

HERE = WorkspaceId("here")
QUICK = Limits(connect_s=0.5, first_token_s=0.3, between_tokens_s=0.2, total_s=2, max_tokens=99)
RETURNS = Passage(
    id="r1",
    document="returns.en",
    title="Returns",
    text="You can return unused items within 30 days.",
    language="en",
    score=1.0,
)


async def english(workspace: WorkspaceId) -> str:
    return "en"


async def titles(workspace: WorkspaceId) -> Sequence[str]:
    return ["Washing the Trail Runner 3000"]


def briefer(
    database: Database,
    *,
    holder: str = "one",
    retriever: Retriever | None = None,
    translator: Translator | None = None,
    generator: HttpGenerator | None = None,
) -> Briefer:
    detector = CombinedDetector()
    return Briefer(
        Briefings(database, holder=holder),
        retriever=retriever or FakeRetriever(RETURNS),
        detector=detector,
        translator=FaithfulTranslator(translator, detector),
        generator=generator,
        desk_language=english,
        titles=titles,
    )


async def hand_over(
    database: Database, *said: str, language: str = "en", place: str = "v1"
) -> ConversationId:
    """A conversation in which the customer said this, handed over to people."""

    def work(connection: Connection) -> ConversationId:
        row = {
            "workspace": HERE,
            "channel": "web",
            "place": place,
            "customer": "c1",
            "language": language,
            "created_at": Now(),
        }
        made = connection.execute(
            insert(conversations).values(row).returning(conversations.c.id)
        ).scalar_one()
        for text in said:
            line = {
                "workspace": HERE,
                "conversation_id": made,
                "author": "customer",
                "text": text,
                "language": language,
                "created_at": Now(),
            }
            connection.execute(insert(messages).values(line))
        open_case(connection, HERE, made, reason="asked", language=language)
        return ConversationId(made)

    return await database.write(work)


async def stored(database: Database) -> list[dict[str, Any]]:
    wanted = select(handoffs.c.briefing).order_by(handoffs.c.id)
    rows = await database.read(lambda connection: connection.execute(wanted).scalars().all())
    return [json.loads(row) for row in rows if row]


async def age(database: Database, table: Table) -> None:
    """As if all of it had been a minute earlier."""
    earlier = update(table).values(created_at=table.c.created_at - 61)
    await database.write(lambda connection: connection.execute(earlier).rowcount)


async def told(database: Database) -> int:
    wanted = select(desk_events.c.id).where(desk_events.c.kind == "briefed")
    return len(await database.read(lambda connection: connection.execute(wanted).all()))


async def test_a_case_is_briefed_without_any_model(database: Database) -> None:
    await hand_over(
        database, "Hello", "This is ridiculous: my Trail Runner 3000 of order AB-12345 is broken!"
    )
    assert await briefer(database).make_next()
    [made] = await stored(database)
    assert made["summary"] == (
        "The customer wrote: This is ridiculous: my Trail Runner 3000 of order AB-12345 is broken!"
    )
    assert made["tone"] == "negative"
    assert made["language"] == "en"
    assert made["articles"] == [{"document": "returns.en", "title": "Returns"}]
    assert made["reply"] == RETURNS.text
    assert {(one["kind"], one["text"]) for one in made["entities"]} == {
        ("product", "Trail Runner 3000"),
        ("order", "AB-12345"),
    }
    assert await told(database) == 1
    assert not await briefer(database).make_next()


async def test_the_desk_reads_its_own_language(database: Database) -> None:
    await hand_over(database, "Wo bleibt denn mein Paket, bitte?", language="de")
    await briefer(database, translator=FakeTranslator()).make_next()
    [made] = await stored(database)
    assert made["summary"] == "The customer wrote: oW tbielb nned niem tekaP, ettib?"


async def test_what_was_said_before_the_handoff_is_translated_for_the_desk(
    database: Database,
) -> None:
    await hand_over(database, "Wo bleibt mein Paket AB-12345?", "👍", language="de")
    await hand_over(database, "Where is my parcel?", place="v2")
    one = briefer(database, translator=FakeTranslator())
    while await one.make_next():
        pass
    wanted = select(messages.c.translation, messages.c.translation_language).order_by(messages.c.id)
    rows = await database.read(lambda connection: connection.execute(wanted).all())
    assert [tuple(row) for row in rows] == [
        ("oW tbielb niem tekaP AB-12345?", "en"),
        ("👍", "en"),
        (None, None),
    ]
    events = select(desk_events.c.message_id).where(desk_events.c.kind == "translated")
    shown = await database.read(lambda connection: connection.execute(events).scalars().all())
    assert len(shown) == 2


async def test_a_line_that_changed_meanwhile_keeps_no_stale_translation(
    database: Database,
) -> None:
    await hand_over(database, "Wo bleibt mein Paket?", language="de")
    briefings = Briefings(database, holder="one")
    case = await briefings.take(60)
    assert case is not None
    edited = update(messages).values(text="Wo bleibt mein Geld?")
    await database.write(lambda connection: connection.execute(edited).rowcount)
    await briefings.keep_read(case, [replace(case.lines[0], read="Where is my parcel?")], "en")
    wanted = select(messages.c.translation)
    assert await database.read(lambda connection: connection.scalar(wanted)) is None


async def test_of_a_long_conversation_only_the_last_lines_are_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.briefings.MAX_LINES", 3)
    await hand_over(database, *(f"line {number}" for number in range(8)))
    note = update(messages).where(messages.c.text == "line 7").values(internal=True)
    gone = update(messages).where(messages.c.text == "line 5").values(deleted_at=1.0)
    await database.write(lambda connection: connection.execute(note).rowcount)
    await database.write(lambda connection: connection.execute(gone).rowcount)
    with listening() as heard:
        case = await Briefings(database, holder="one").take(60)
    assert case is not None
    assert [line.text for line in case.lines] == ["line 3", "line 4", "line 6"]
    assert all("LIMIT" in statement for statement, _ in heard if "FROM messages" in statement)


@asynccontextmanager
async def model(
    says: str, mood: Mood = Mood.SAYS
) -> AsyncIterator[tuple[FakeModel, HttpGenerator]]:
    limits = QUICK if mood is Mood.STALLS else Limits()
    async with fake_model() as fake, HttpGenerator(fake.url, limits=limits) as generator:
        fake.mood, fake.text = mood, says
        yield fake, generator


async def test_the_models_summary_is_held_against_the_conversation(database: Database) -> None:
    await hand_over(database, "hello", "I want to return the shoes, write to anna@mail.example")
    says = "The customer wants to return the shoes. They paid 99 EUR."
    async with model(says) as (fake, generator):
        await briefer(database, generator=generator).make_next()
    [made] = await stored(database)
    assert made["summary"] == "The customer wants to return the shoes."
    assert made["model"] == "fake-1"
    assert "anna@mail.example" not in json.dumps(fake.asked), "personal data reached the model"


async def test_a_model_that_only_points_is_not_asked_to_sum_up(database: Database) -> None:
    await hand_over(database, "hello", "I want to return the shoes")
    async with (
        fake_model() as fake,
        HttpGenerator(fake.url, limits=Limits(), only_points=True) as generator,
    ):
        await briefer(database, generator=generator).make_next()
    [made] = await stored(database)
    assert made["summary"] == "The customer wrote: I want to return the shoes"
    assert not any("You sum up conversations" in json.dumps(asked) for asked in fake.asked)


@pytest.mark.parametrize(
    ("says", "mood"),
    [
        ("", Mood.ERROR),
        ("", Mood.STALLS),
        ("", Mood.CUT),
        ("", Mood.EMPTY),
        ("They paid 99 EUR.", Mood.SAYS),
        ("Der Kunde möchte die Schuhe zurückgeben und sein Geld erhalten.", Mood.SAYS),
    ],
)
async def test_whatever_the_model_does_the_agent_is_told_something(
    database: Database, says: str, mood: Mood
) -> None:
    await hand_over(database, "hello", "I want to return the shoes")
    async with model(says, mood) as (_, generator):
        await briefer(database, generator=generator).make_next()
    [made] = await stored(database)
    assert made["summary"] == "The customer wrote: I want to return the shoes"
    assert made["model"] == ""


async def says(database: Database, where: ConversationId, text: str, ago_s: float = 60.0) -> None:
    line = {"workspace": HERE, "conversation_id": where, "author": "customer", "language": "en"}
    added = insert(messages).values(**line, text=text, created_at=Now() - ago_s)
    await database.write(lambda connection: connection.execute(added).rowcount)


async def test_who_presses_the_button_first_is_briefed_of_once_they_have_said_something(
    database: Database,
) -> None:
    where = await hand_over(database)
    assert not await briefer(database).make_next()
    await says(database, where, "My order AB-12345 has not come.", ago_s=0.0)
    assert await briefer(database).make_next()
    [made] = await stored(database)
    assert "AB-12345" in made["summary"]


async def test_who_writes_on_while_they_wait_is_briefed_of_anew(database: Database) -> None:
    where = await hand_over(database, "Hello?")
    await hand_over(database, "I want to return the shoes", place="v2")
    for _ in range(2):
        assert await briefer(database).make_next()
    assert not await briefer(database).make_next()
    # The desk has been told just now.
    await says(database, where, "My order AB-12345 has not come.", ago_s=0.0)
    assert not await briefer(database).make_next()
    await age(database, desk_events)
    # They may be in the middle of it.
    assert not await briefer(database).make_next()
    await age(database, messages)
    assert await briefer(database).make_next()
    assert not await briefer(database).make_next()
    first, _ = await stored(database)
    assert "AB-12345" in first["summary"]
    assert await told(database) == 3


async def test_who_only_asks_whether_anybody_is_there_is_not_briefed_of_anew(
    database: Database,
) -> None:
    where = await hand_over(database, "I want to return the shoes")
    assert await briefer(database).make_next()
    await age(database, desk_events)
    for text in ("?", "hello?", "ok", "👍"):
        await says(database, where, text)
        assert not await briefer(database).make_next()
    for number in range(5):
        await says(database, where, f"My order AB-1234{number} has not come.")
        # However much they write.
        assert await briefer(database).make_next() == (number < 3)
        await age(database, desk_events)
    assert await told(database) == 4


async def test_a_briefing_that_says_the_same_is_no_news(database: Database) -> None:
    where = await hand_over(database, "I want to return the shoes")
    assert await briefer(database).make_next()
    await age(database, desk_events)
    await says(database, where, "I want to return the shoes")
    assert await briefer(database).make_next()
    assert not await briefer(database).make_next()
    assert await told(database) == 1


@pytest.mark.parametrize("change", [{"account_id": 1}, {"suggestion_fate": "edited"}], ids=str)
async def test_what_an_agent_may_have_begun_with_does_not_change(
    database: Database, change: dict[str, object]
) -> None:
    where = await hand_over(database, "Hello?")
    person = {"id": 1, "workspace": HERE, "name": "Ana", "role": "agent", "language": "en"}
    added = insert(accounts).values(**person, created_at=Now())
    await database.write(lambda connection: connection.execute(added).rowcount)
    assert await briefer(database).make_next()
    await age(database, desk_events)
    await says(database, where, "My order AB-12345 has not come.")
    taken = update(handoffs).values(**change)
    # One is taken while it is being made.
    case = await Briefings(database, holder="one").take(60)
    assert case is not None
    await database.write(lambda connection: connection.execute(taken).rowcount)
    [before] = await stored(database)
    made = Briefing(summary="another", language="en", tone=Tone.CALM)
    assert not await Briefings(database, holder="one").keep(case, made)
    assert not await briefer(database).make_next()
    assert await stored(database) == [before]


async def test_without_an_article_nothing_is_suggested(database: Database) -> None:
    await hand_over(database, "I want to return the shoes")
    unsure = FakeRetriever(RETURNS, probability=0.1)
    await briefer(database, retriever=unsure).make_next()
    [made] = await stored(database)
    assert made["reply"] == ""
    assert made["articles"]


async def test_two_processes_brief_each_case_once(database: Database) -> None:
    for place in range(8):
        await hand_over(database, "I want to return the shoes", place=f"v{place}")

    async def drain(holder: str) -> int:
        one, made = briefer(database, holder=holder), 0
        while await one.make_next():
            made += 1
        return made

    counts = await asyncio.gather(*(drain(holder) for holder in ("one", "two", "three")))
    assert sum(counts) == 8
    assert len(await stored(database)) == 8
    assert await told(database) == 8
    left = await database.read(lambda connection: connection.execute(select(holds)).all())
    assert left == []


async def test_a_case_of_a_process_that_died_is_briefed_by_another(database: Database) -> None:
    await hand_over(database, "I want to return the shoes")
    assert await Briefings(database, holder="dead").take(60) is not None
    assert not await briefer(database).make_next()
    lapsed = update(holds).values(held_until=Now() - 1)
    await database.write(lambda connection: connection.execute(lapsed).rowcount)
    assert await briefer(database).make_next()
    assert await told(database) == 1


async def test_a_case_that_is_over_needs_no_briefing(database: Database) -> None:
    await hand_over(database, "I want to return the shoes")
    briefings = Briefings(database, holder="one")
    case = await briefings.take(60)
    assert case is not None
    over = update(handoffs).values(ended_at=Now())
    await database.write(lambda connection: connection.execute(over).rowcount)
    assert not await briefer(database, holder="two").make_next()
    assert await told(database) == 0


@pytest.mark.parametrize(("ending", "known"), [("resolved", False), ("returned", True)])
async def test_what_was_resolved_is_no_part_of_the_next_case(
    database: Database, ending: str, known: bool
) -> None:
    where = await hand_over(database, "My order AB-12345 has not come.")
    line = {"workspace": HERE, "conversation_id": where, "author": "customer", "language": "en"}
    over = update(handoffs).values(ended_at=Now(), ending=ending)
    await database.write(lambda connection: connection.execute(over).rowcount)

    def comes_back(connection: Connection) -> None:
        # The clock of SQLite is one of milliseconds.
        connection.execute(insert(messages).values(**line, text="Hello?", created_at=Now() + 1))
        open_case(connection, HERE, where, reason="asked", language="en")

    await database.write(comes_back)
    assert await briefer(database).make_next()
    [made] = await stored(database)
    assert ("AB-12345" in json.dumps(made)) is known


async def test_what_was_asked_just_before_a_case_was_resolved_is_part_of_the_next(
    database: Database,
) -> None:
    where = await hand_over(database, "My order AB-12345 has not come.")
    over = update(handoffs).values(ended_at=Now(), ending="resolved")
    await database.write(lambda connection: connection.execute(over).rowcount)
    await database.write(
        lambda connection: open_case(connection, HERE, where, reason="asked", language="en")
    )
    assert await briefer(database).make_next()
    [made] = await stored(database)
    assert "AB-12345" in made["summary"]
