"""A customer who opens a thread below something that stands in their direct messages."""

from sqlalchemy import select

from core.adapters.tables import conversations
from core.phrases import Phrase, say
from tests.bots.slack.desk.world import PERSON, World, words_of
from tests.fakes.slack.team import FakeMessage

DM, QUESTION = "D0CUSTOMER", "Welche Bestellnummer?"


async def asked(world: World) -> FakeMessage:
    """What an agent has asked a customer, as it stands in the customer's direct messages."""
    world.slack.user_says(DM, PERSON)
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    await world.claimed()
    world.agent_says(QUESTION)
    await world.until(lambda: bool(found(world, QUESTION)))
    await world.settled()
    return found(world, QUESTION)[0]


def found(world: World, words: str) -> list[FakeMessage]:
    return [message for message in world.slack.messages(DM) if words in words_of(message)]


async def places(world: World) -> list[str]:
    wanted = select(conversations.c.place).order_by(conversations.c.id)
    return await world.database.read(lambda connection: list(connection.scalars(wanted)))


async def test_a_thread_below_an_agents_words_reaches_the_agent(world: World) -> None:
    question = await asked(world)
    ts = world.slack.user_says(DM, "number 4711", thread_ts=question.ts)
    await world.shown("number 4711")
    world.slack.user_edits(DM, ts, "number 4712")
    await world.shown("number 4712")
    world.press("return")
    await world.until(lambda: world.buttons() == {"claim"})
    world.slack.tells_again(DM, ts)
    world.slack.user_deletes(DM, ts)
    await world.settled()
    customers = [text for who, text, *_ in await world.lines() if who == "customer"]
    assert customers == [PERSON, ""]
    assert await places(world) == [DM]


async def test_any_other_thread_is_a_conversation_of_its_own(world: World) -> None:
    question = await asked(world)
    notice = found(world, "to a person")[0]
    world.slack.user_says(DM, "hello bot", thread_ts=notice.ts)
    await world.until(lambda: bool(found(world, "bot: hello bot")))
    world.press("resolve")
    await world.until(lambda: world.buttons() == {"claim"})
    world.slack.user_says(DM, "something new", thread_ts=question.ts)
    await world.until(lambda: bool(found(world, "bot: something new")))
    await world.settled()
    # People have the conversation again, and the thread goes on where it was.
    world.press("claim")
    await world.until(lambda: "resolve" in world.buttons())
    world.slack.user_says(DM, "and then", thread_ts=question.ts)
    await world.until(lambda: bool(found(world, "bot: and then")))
    assert await places(world) == [DM, f"{DM}/{notice.ts}", f"{DM}/{question.ts}"]
