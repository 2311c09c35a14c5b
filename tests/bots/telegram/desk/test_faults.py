"""Whatever goes wrong at Telegram, agents see everything, in order, and at least once."""

import asyncio

import pytest
from sqlalchemy import update

from bots.telegram.limits import Limit, Limits
from core.adapters.database import Database, Now
from core.adapters.tables import desk_threads
from core.phrases import Phrase, say
from tests.bots.telegram.desk.world import (
    CUSTOMER,
    GROUP,
    PERSON,
    World,
    open_world,
)
from tests.fakes.telegram import FloodLimit, FloodLimits
from tests.patience import PATIENCE_S, until

WORDS = [f"line {number}." for number in range(12)]


def shown_words(world: World, thread: int) -> list[str]:
    text = "\n".join(world.said(thread))
    found = sorted((text.index(word), word) for word in WORDS if word in text)
    return [word for _, word in found]


async def hurry(world: World) -> None:
    """Do not wait for the pauses after a failure."""
    due = update(desk_threads).where(desk_threads.c.due_at > Now()).values(due_at=Now())
    await world.database.write(lambda connection: connection.execute(due).rowcount)


async def all_words(world: World, thread: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(shown_words(world, thread)) < len(WORDS):
            await hurry(world)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", ["429:1", "500", "drop", "500-after", "drop-after", "garbage"])
async def test_a_call_that_fails_is_made_again_and_nothing_overtakes_it(
    database: Database, fault: str
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        world.telegram.fail_next("sendMessage", fault, times=2)
        for word in WORDS:
            world.telegram.user_says(CUSTOMER, word)
        await all_words(world, thread)
        assert shown_words(world, thread) == WORDS
        # It is doubled only where nobody could tell.
        text = "\n".join(world.said(thread))
        if not fault.endswith("after"):
            assert all(text.count(word) == 1 for word in WORDS)


@pytest.mark.long
async def test_what_a_batch_has_shown_before_it_failed_is_not_shown_again(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        [case] = await world.all_cases()
        for fault in ("none", "429:1", "none", "429:1"):
            world.telegram.fail_next("sendMessage", fault)
        cora = await world.colleague()
        for word in WORDS:
            note = f"{word} " + "ä" * 3_000
            await world.desk.note(cora, case.conversation, note, desk="console", event_id=word)
        await all_words(world, thread)
        assert shown_words(world, thread) == WORDS
        text = "\n".join(world.said(thread))
        assert all(text.count(word) == 1 for word in WORDS)


@pytest.mark.parametrize("method", ["createForumTopic", "sendMessage"])
async def test_a_topic_whose_making_fails_half_way_is_made_once(
    database: Database, method: str
) -> None:
    async with open_world(database) as world:
        world.telegram.user_says(2002, "hello")
        await world.customer_reads("hello", chat=2002)
        world.telegram.fail_next(method, "429:1")
        world.telegram.user_says(CUSTOMER, PERSON)
        async with asyncio.timeout(PATIENCE_S):
            while not world.telegram.topics(GROUP):
                await hurry(world)
                await asyncio.sleep(0.05)
        thread = await world.topic()
        await world.reads(thread, PERSON)
        assert len(world.telegram.topics(GROUP)) == 1
        assert sum(bool(message.buttons) for message in world.shown(thread)) == 1


async def test_a_group_that_shut_the_bot_out_loses_nothing(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.held()
        chat = world.telegram.world.chats[GROUP]
        chat.blocked = True
        for word in WORDS:
            world.telegram.user_says(CUSTOMER, word)
        await world.idle()
        chat.blocked = False
        await all_words(world, thread)
        assert shown_words(world, thread) == WORDS


async def test_a_bot_that_is_thrown_out_of_the_desk_still_serves_customers(
    database: Database,
) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        card = world.shown(thread)[0]
        world.telegram.user_blocks(GROUP)
        told = await world.pressed(card.message_id, card.buttons[0][1])
        assert told == say(Phrase.DESK_MEMBERS_ONLY, "de")
        world.writes(thread, "Danke")
        world.telegram.user_says(2002, "hello")
        await world.customer_reads("hello", chat=2002)


async def test_an_agent_whom_telegram_does_not_vouch_for_is_told(database: Database) -> None:
    async with open_world(database) as world:
        thread = await world.handed_over()
        await world.idle()
        world.telegram.fail_next("getChatMember", "400:CHAT_ADMIN_REQUIRED")
        world.writes(thread, "Danke, wichtig")
        await world.reads(thread, say(Phrase.NOT_SENT, "de"))
        # It is no longer refused.
        await world.claimed(thread)
        world.writes(thread, "Danke, noch einmal")
        await world.customer_reads("noch einmal")


@pytest.mark.long
async def test_the_bot_that_may_not_manage_topics_says_so_and_serves_customers(
    database: Database,
) -> None:
    async with open_world(database) as world:
        world.telegram.world.chats[GROUP].bot_rights = {}
        world.telegram.user_says(CUSTOMER, PERSON)
        await world.customer_reads("to a person")
        world.telegram.user_says(CUSTOMER, "thanks")
        await world.idle()
        world.telegram.world.chats[GROUP].bot_rights = {"can_manage_topics": True}
        async with asyncio.timeout(PATIENCE_S):
            while not world.telegram.topics(GROUP):
                await hurry(world)
                await asyncio.sleep(0.05)


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_twenty_messages_a_minute_are_enough_for_a_busy_desk(database: Database) -> None:
    """On a clock that is ten times as fast: 20 in 6 s."""
    flood = FloodLimits(
        per_chat=FloodLimit(count=1_000, per_s=1.0),
        per_group=FloodLimit(count=20, per_s=6.0),
        overall=FloodLimit(count=1_000, per_s=1.0),
    )
    ours = Limits(
        per_chat=Limit(count=1_000, per_s=1.0),
        per_group=Limit(count=20, per_s=6.3),
        overall=Limit(count=1_000, per_s=1.0),
    )
    async with open_world(database, limits=ours, flood=flood) as world:
        threads = [await world.handed_over(chat=chat) for chat in (1001, 1002, 1003)]
        for word in WORDS:
            for chat in (1001, 1002, 1003):
                world.telegram.user_says(chat, word)
        await until(lambda: all(shown_words(world, thread) == WORDS for thread in threads))
        sent = [fields for method, fields in world.telegram.calls if method == "sendmessage"]
        lines = [fields for fields in sent if str(fields["chat_id"]) == str(GROUP)]
        assert world.telegram.methods.gate.refused == 0
        # 36 lines of customers, and as many replies of the bot, in far fewer messages.
        assert len(lines) < 36
