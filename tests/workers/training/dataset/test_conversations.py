"""Conversations of the database as rows to learn from."""

import asyncio

import pytest
from sqlalchemy import Connection, insert, select

from core.adapters.database import Database, Now
from core.adapters.inbox import SqlInbox
from core.adapters.tables import conversations, messages
from core.adapters.turns import SqlTurns
from core.turn import (
    Address,
    Answer,
    Channel,
    Clarify,
    Inbound,
    Outcome,
    Passage,
    Served,
    WorkspaceId,
)
from workers.training.dataset.conversations import read
from workers.training.dataset.examples import Question, Reply
from workers.training.dataset.gathering import SourceRecipe, gather
from workers.training.dataset.licences import OWN

WORKSPACE = WorkspaceId("default")
PERIOD = Passage(
    id="p1", document="en/returns", title="Returns", language="en",
    text="You can send items back within 60 days. Bicycles have 30 days.",
)  # fmt: skip
ANSWER = Answer(text="You can send items back within 60 days.", citations=(PERIOD,))


class Chat:
    """One conversation, as the desk keeps it."""

    def __init__(self, database: Database, place: str) -> None:
        self._database = database
        self._address = Address(workspace=WORKSPACE, channel=Channel.WEB, place=place)
        self._events = 0

    async def ask(self, text: str, outcome: Outcome, helpful: bool | None = None) -> None:
        self._events += 1
        inbound = Inbound(
            address=self._address, event_id=f"{self._address.place}-{self._events}",
            customer="U1", text=text,
        )  # fmt: skip
        inbox, turns = SqlInbox(self._database), SqlTurns(self._database)
        accepted = await inbox.accept(inbound, holder="me", held_s=60)
        assert accepted is not None
        assert accepted.lease is not None
        turn = await turns.next(accepted.lease)
        assert turn is not None
        served = Served(outcome=outcome, language="en", probability=0.9)
        await turns.finish(accepted.lease, turn, served, [])
        if helpful is not None:
            assert await inbox.rate(self._address, turn.id, helpful=helpful)

    async def agent(self, *texts: str, **columns: object) -> None:
        def work(connection: Connection) -> None:
            place = select(conversations.c.id).where(conversations.c.place == self._address.place)
            shared = {
                "workspace": WORKSPACE, "conversation_id": connection.scalar(place),
                "author": "agent", "language": "en", "created_at": Now(), **columns,
            }  # fmt: skip
            for text in texts:
                connection.execute(insert(messages).values(**shared, text=text))

        await self._database.write(work)


async def test_a_rated_reply_brings_its_passages_with_their_marks(database: Database) -> None:
    await Chat(database, "one").ask("How long can I return a tent?", ANSWER, helpful=True)
    reply, question = await read(database, WORKSPACE)
    assert isinstance(reply, Reply)
    assert reply.reply == "You can send items back within 60 days. [1]"
    assert (reply.rating, reply.lang, reply.licence) == ("up", "en", OWN)
    assert [(one.title, one.text) for one in reply.passages] == [("Returns", PERIOD.text)]
    assert isinstance(question, Question)
    assert (question.query, question.passage) == ("How long can I return a tent?", PERIOD.text)
    assert question.group == reply.group


async def test_what_the_bot_wrote_and_nobody_rated_teaches_nothing(database: Database) -> None:
    chat = Chat(database, "one")
    await chat.ask("How long can I return a tent?", ANSWER)
    await chat.ask("And now?", Clarify(text="What do you mean?", choices=()), helpful=True)
    assert await read(database, WORKSPACE) == []


async def test_an_agents_reply_is_preferred_to_the_one_it_mends(database: Database) -> None:
    chat = Chat(database, "one")
    await chat.ask("How long can I return a bicycle?", ANSWER, helpful=False)
    await chat.agent("Bicycles have 30 days.", "Shall I book the collection?")
    bot, agent = await read(database, WORKSPACE)
    assert isinstance(bot, Reply)
    assert isinstance(agent, Reply)
    assert (bot.rating, bot.rejected) == ("down", "")
    assert agent.reply == "Bicycles have 30 days.\nShall I book the collection?"
    assert (agent.rejected, agent.rating) == (ANSWER.text, None)
    assert [message.text for message in agent.messages] == ["How long can I return a bicycle?"]


async def test_what_agents_say_among_themselves_or_take_back_is_never_learnt(
    database: Database,
) -> None:
    chat = Chat(database, "one")
    await chat.ask("How long can I return a bicycle?", ANSWER)
    await chat.agent("He is rude, mind you.", internal=True)
    await chat.agent("Thirty years.", deleted_at=1.0)
    await chat.agent("A person is with you now.", author="bot", details='{"outcome": "words"}')
    assert await read(database, WORKSPACE) == []


async def test_what_a_machine_made_of_an_agents_words_is_history_and_no_reply_to_learn(
    database: Database,
) -> None:
    chat = Chat(database, "one")
    await chat.ask("How long can I return a bicycle?", ANSWER)
    german = {"language": "de", "translation": "Thirty days.", "translation_language": "en"}
    await chat.agent("Dreißig Tage.", **german)
    assert await read(database, WORKSPACE) == []
    await chat.ask("And a tent?", ANSWER)
    await chat.agent("The same.")
    (agent,) = await read(database, WORKSPACE)
    assert isinstance(agent, Reply)
    assert agent.reply == "The same."
    assert "Thirty days." in [message.text for message in agent.messages]


async def test_only_a_reply_that_was_rated_down_is_rejected(database: Database) -> None:
    chat = Chat(database, "one")
    await chat.ask("How long can I return a bicycle?", ANSWER)
    await chat.agent("And it is collected at your home.")
    (agent,) = await read(database, WORKSPACE)
    assert isinstance(agent, Reply)
    assert agent.rejected == ""


async def test_history_is_told_up_to_the_question(database: Database) -> None:
    chat = Chat(database, "one")
    await chat.ask("Hello, a question about tents", ANSWER)
    await chat.ask("How long?", ANSWER, helpful=True)
    reply, _ = await read(database, WORKSPACE)
    assert isinstance(reply, Reply)
    assert [message.author for message in reply.messages] == ["customer", "bot", "customer"]


async def test_a_recipe_reads_the_database_that_a_variable_names(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Chat(database, "one").ask("How long?", ANSWER, helpful=True)
    monkeypatch.setenv("DESK_URL", database_url)
    source = SourceRecipe(database="$DESK_URL")
    rows = await asyncio.to_thread(lambda: list(gather(source)))
    assert [row.kind for row in rows] == ["reply", "question"]


async def test_workspaces_and_old_conversations_stay_apart(database: Database) -> None:
    await Chat(database, "one").ask("How long?", ANSWER, helpful=True)
    await Chat(database, "two").ask("How long for bicycles?", ANSWER, helpful=True)
    rows = await read(database, WORKSPACE)
    assert len({row.group for row in rows}) == 2
    assert await read(database, WorkspaceId("other")) == []
    assert await read(database, WORKSPACE, after=4e9) == []
