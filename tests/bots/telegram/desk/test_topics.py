"""A conversation that was handed over has a topic of its own, which shows how it stands."""

import pytest

from bots.telegram.desk.words import topic_name
from core.adapters.database import Database
from core.cases import Act
from core.phrases import Phrase, say
from tests.bots.desk_news import leave
from tests.bots.telegram.desk.world import (
    ANNA,
    BEN,
    CUSTOMER,
    GROUP,
    PERSON,
    open_world,
)
from tests.contracts.desk_port import case
from tests.fakes.telegram.forum import ICONS
from tests.patience import until


async def test_a_handoff_opens_a_topic_with_a_card_and_what_was_said(database: Database) -> None:
    async with open_world(database) as world:
        world.telegram.user_says(CUSTOMER, "first of all")
        await world.customer_reads("bot: first of all")
        thread = await world.handed_over()
        await world.reads(thread, "first of all")
        card, before = world.shown(thread)[:2]
        look = world.look(thread)
    assert look.name == f"#1 · English · telegram {CUSTOMER}"
    assert look.icon == ICONS["❓"]
    assert not look.closed
    assert [label[0] for label, _ in card.buttons] == ["🙋", "✅", "🤖", "💤"]
    assert before.text.split("\n\n")[:2] == ["👤 first of all", "🤖 bot: first of all"]


async def test_the_topic_looks_as_its_case_stands(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        assert world.look(thread).icon == ICONS["💬"]
        for sign, icon in (("💤", "📆"), ("⏰", "💬"), ("✅", "✅")):
            assert await world.presses(thread, sign) == ""
            await world.looks(thread, ICONS[icon])
        await until(lambda: world.look(thread).closed)
        [(label, _)] = world.shown(thread)[0].buttons
        assert label.startswith("🙋")
        await world.customer_reads("resolved")
        world.telegram.user_says(CUSTOMER, "one more thing")
        await world.customer_reads("bot: one more thing")
        world.telegram.user_says(CUSTOMER, PERSON)
        await until(lambda: not world.look(thread).closed)
        assert world.look(thread).icon == ICONS["❓"]
        # What the bot said meanwhile stands there too.
        await world.reads(thread, "bot: one more thing")
        assert len(world.telegram.topics(GROUP)) == 1


async def test_an_urgent_case_is_seen_to_be_one(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over(f"urgent: {PERSON}")
        assert world.look(thread).icon == ICONS["🔥"]


async def test_the_topic_says_that_the_customer_has_left(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        await leave(database)
        await world.reads(thread, f"🚪 {say(Phrase.DESK_LEFT, 'de')}")


async def test_a_topic_that_was_deleted_is_made_anew(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        world.telegram.topic_is_deleted(GROUP, thread)
        world.telegram.user_says(CUSTOMER, "are you there?")
        anew = await world.topic()
        assert anew != thread
        await world.reads(anew, "are you there?")
        assert world.look(anew).icon == ICONS["💬"]
        world.writes(anew, "Danke, ja")
        await world.customer_reads("Danke, ja")


async def test_a_card_that_was_deleted_is_written_anew(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        del world.telegram.world.messages[GROUP, world.shown(thread)[0].message_id]
        [held] = await world.all_cases()
        await world.desk.change(await world.colleague(), held.conversation, Act.CLAIM)
        await until(lambda: any(message.buttons for message in world.shown(thread)))
        assert await world.presses(thread, "✅") != ""


async def test_a_group_that_moved_goes_on_with_new_topics(database: Database) -> None:
    moved = GROUP - 1
    async with open_world(database) as world:
        await world.held()
        world.telegram.group_moves(GROUP, moved)
        world.telegram.user_says(CUSTOMER, "still there?")
        world.group = moved
        anew = await world.topic()
        await world.reads(anew, "still there?")
        world.writes(anew, "Danke, immer noch")
        await world.customer_reads("Danke, immer noch")
        # What comes from the group is no customer's, under neither id.
        assert len(await world.all_cases()) == 1


async def test_who_joins_in_another_customers_conversation_is_named(database: Database) -> None:
    async with open_world(database) as world:
        world.telegram.user_says(-777, f"@desk_bot {PERSON}", user=42)
        thread = await world.topic()
        world.telegram.user_says(-777, "@desk_bot Danke, ich auch", user=43)
        await world.reads(thread, "👤 43: Danke, ich auch")
        world.telegram.user_says(-777, "@desk_bot Danke, wieder ich", user=42)
        await world.reads(thread, "👤 Danke, wieder ich")


async def test_what_the_assistant_says_to_who_joined_in_has_no_name(database: Database) -> None:
    async with open_world(database) as world:
        world.telegram.user_says(-777, "@desk_bot hello", user=42)
        # Two that come together are one turn.
        await world.customer_reads("bot: hello", chat=-777)
        world.telegram.user_says(-777, "@desk_bot me too", user=43)
        await world.customer_reads("bot: me too", chat=-777)
        world.telegram.user_says(-777, f"@desk_bot {PERSON}", user=42)
        thread = await world.topic()
        await world.reads(thread, "🤖 bot: me too")
        await world.reads(thread, "👤 43: me too")


async def test_what_is_said_in_general_concerns_nobody(database: Database) -> None:
    async with open_world(database) as world:
        await world.handed_over()
        world.telegram.user_says(GROUP, "@desk_bot hello", user=ANNA)
        world.telegram.user_says(GROUP, "/human", user=BEN)
        await world.idle()
        assert len(await world.all_cases()) == 1
        assert all(message.thread is not None for message in world.telegram.messages(GROUP))


@pytest.mark.parametrize("name", ["\u202eevil\n\n/start", "x" * 500, ""])
def test_the_name_of_a_topic_fits_and_deceives_nobody(name: str) -> None:
    made = topic_name(case(customer=name))
    assert 1 <= len(made) <= 128
    assert "\n" not in made
    assert "\u202e" not in made
