"""What a customer sees on the chat page of the people who took over, and what they do not."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import open_database
from core.adapters.desk import Desk
from core.adapters.tables import conversations, handoffs
from core.cases import Act
from core.phrases import Phrase, say
from core.staff import Role
from core.turn import Address, Channel, ConversationId
from tests.bots.web.desk import WORKSPACE, open_desk
from tests.bots.web.test_chat import events
from tests.databases import sqlite_at
from tests.patience import PATIENCE_S, http_client


async def test_a_customer_reads_the_agents_words_and_their_changes_but_no_note(
    tmp_path: Path,
) -> None:
    url = sqlite_at(tmp_path / "desk.db")
    async with (
        open_desk(url) as chat,
        http_client(chat.url) as visitor,
        open_database(url) as database,
    ):
        await visitor.get("/")
        people = Accounts(database)
        new = NewAccount(name="Anna <b>", role=Role.AGENT, language="en")
        anna = await people.get(WORKSPACE, await people.create(WORKSPACE, new))
        assert anna is not None
        desk = Desk(database, wake=chat.delivery.wake)
        assert (await visitor.post("/chat/person", json={"key": "key-00001"})).status_code == 202
        seen: list[tuple[str, dict[str, Any]]] = []

        async def watch() -> None:
            async with visitor.stream("GET", "/chat/events") as response:
                async for event in events(response):
                    seen.append(event)

        watching = asyncio.create_task(watch())

        async def until(what: str) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not any(what in data.get("text", "") for _, data in seen):
                    await asyncio.sleep(0.01)

        await until("person")
        wanted = select(conversations.c.id, conversations.c.place)
        row = await database.read(lambda connection: connection.execute(wanted).one())
        where = ConversationId(row.id)
        address = Address(workspace=WORKSPACE, channel=Channel.WEB, place=row.place)
        await desk.change(anna, where, Act.CLAIM)
        await desk.note(anna, where, "a rude one", desk="console", event_id="n1")
        await desk.reply(anna, where, "first wrods", event_id="1")
        await until("first wrods")
        await desk.edit(anna, where, "first words", reply="1", event_id="2", version=2.0)
        await until("first words")
        await desk.edit(anna, where, "", reply="1", event_id="3", version=3.0)
        await desk.change(anna, where, Act.RESOLVE)
        await until(say(Phrase.RATE_US, "en"))
        # Whoever opens the page anew sees it as it is now.
        again = await chat.transcript.lines(address)
        [turn] = [data["turn"] for _, data in seen if data.get("ratings")]
        stars = {"key": "key-00002", "rating": 5, "turn": turn}
        rated = await visitor.post("/chat/rating", json=stars)
        wrong = await visitor.post("/chat/rating", json={"key": "key-00003", "rating": 6})
        await until(say(Phrase.RATING_THANKS, "en"))
        watching.cancel()
        rating = await database.read(lambda c: c.scalar(select(handoffs.c.rating)))
    assert (rated.status_code, wrong.status_code, rating) == (202, 400, 5)
    told = [
        (name, data["text"], data["sender"]) for name, data in seen if data.get("author") == "agent"
    ]
    assert told[:2] == [
        ("line", "first wrods", "Anna <b>"),
        ("changed", "first words", "Anna <b>"),
    ]
    assert told[-1][:2] == ("changed", "")
    [asked] = [data for _, data in seen if data.get("ratings")]
    assert asked["ratings"] == [1, 2, 3, 4, 5]
    assert "rude" not in str(seen)
    assert all("rude" not in line.text + line.details for line in again)
