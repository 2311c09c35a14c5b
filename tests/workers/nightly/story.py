"""Conversations as a desk would have left them, at whichever time a test needs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, update

from core.adapters.database import Database
from core.adapters.documents import Document, Documents
from core.adapters.tables import (
    conversations,
    desk_events,
    handoffs,
    inbox,
    messages,
    proposals,
)
from core.nights import Order
from core.turn import WorkspaceId

WORKSPACE = WorkspaceId("default")
KEY = "an installation's key"
DAY_S = 86_400.0

RETURNS = Document(
    id="en/returns",
    title="Returns",
    language="en",
    text="You can send unused items back within 60 days of delivery. Bicycles have 30 days.",
    source="https://shop.example/returns",
)
BATTERIES = Document(
    id="en/batteries",
    title="Batteries",
    language="en",
    text="A battery of a pedelec counts as dangerous goods. Airlines do not carry it.",
)
VOUCHERS = Document(
    id="en/vouchers",
    title="Vouchers",
    language="en",
    text="Vouchers are good for three years and can be paid with in every shop of ours.",
)
ARTICLES = (RETURNS, BATTERIES, VOUCHERS)


def cites(*articles: Document, outcome: str = "answer") -> dict[str, object]:
    """How a reply of the bot's came about that cites articles."""
    cited = [
        {
            "document": one.id,
            "title": one.title,
            "passage": one.text,
            "source": one.source,
            "language": one.language,
        }
        for one in articles
    ]
    return {"outcome": outcome, "citations": cited}


HANDED_OVER: dict[str, object] = {"outcome": "handoff", "reason": "low_confidence", "citations": []}


@dataclass(kw_only=True)
class Chat:
    """One conversation."""

    database: Database
    id: int
    at: float
    language: str
    case: int = 0
    turn: int = 0

    async def customer(self, text: str, **columns: object) -> int:
        return await self._say("customer", text, **columns)

    async def bot(self, text: str, details: dict[str, object], rating: int | None = None) -> int:
        return await self._say("bot", text, details=json.dumps(details), rating=rating)

    async def agent(self, text: str, **columns: object) -> int:
        return await self._say("agent", text, **columns)

    async def hand_over(self, **columns: object) -> None:
        shared = {"workspace": WORKSPACE, "conversation_id": self.id}
        row = {
            **shared, "reason": "low_confidence", "customer_language": self.language,
            "opened_at": self.at, **columns,
        }  # fmt: skip

        def work(connection: Connection) -> int:
            made = connection.execute(insert(handoffs).values(**row).returning(handoffs.c.id))
            case = int(made.scalar_one())
            event = {**shared, "handoff_id": case, "kind": "opened", "created_at": self.at}
            connection.execute(insert(desk_events).values(**event))
            return case

        self.case = await self.database.write(work)

    async def propose(self, document: Document, state: str = "approved") -> None:
        row = {
            "workspace": WORKSPACE, "handoff_id": self.case, "document_id": document.id,
            "title": document.title, "text": document.text, "language": document.language,
            "state": state, "created_at": self.at,
        }  # fmt: skip
        await self.database.write(lambda c: c.execute(insert(proposals).values(**row)).rowcount)

    async def fate(self, fate: str) -> None:
        kept = update(handoffs).where(handoffs.c.id == self.case).values(suggestion_fate=fate)
        await self.database.write(lambda c: c.execute(kept).rowcount)

    async def goes_on(self, said: Sequence[tuple[str, str]]) -> None:
        """Many messages, each with its author."""

        def work(connection: Connection) -> None:
            for author, text in said:
                self._write(connection, author, text)

        await self.database.write(work)

    async def _say(self, author: str, text: str, **columns: object) -> int:
        return await self.database.write(
            lambda connection: self._write(connection, author, text, **columns)
        )

    def _write(self, connection: Connection, author: str, text: str, **columns: object) -> int:
        self.at += 1
        if author == "customer":
            received = {
                "workspace": WORKSPACE, "channel": "web", "event_id": f"{self.id}-{self.at}",
                "conversation_id": self.id, "kind": "message", "text": text, "state": "done",
                "sent_at": self.at, "received_at": self.at,
            }  # fmt: skip
            came = connection.execute(insert(inbox).values(**received).returning(inbox.c.id))
            self.turn = int(came.scalar_one())
        row = {
            "workspace": WORKSPACE, "conversation_id": self.id, "author": author, "text": text,
            "language": self.language, "created_at": self.at,
            "inbox_id": self.turn if author != "agent" else None, **columns,
        }  # fmt: skip
        made = connection.execute(insert(messages).values(**row).returning(messages.c.id))
        return int(made.scalar_one())


class Story:
    """A workspace's past; `now` is when it is told, in seconds since 1970."""

    def __init__(self, database: Database, now: float) -> None:
        self.database = database
        self.now = now
        self._count = 0

    async def articles(self, documents: Sequence[Document] = ARTICLES) -> None:
        done = await Documents(self.database).publish(
            WORKSPACE, "index-1", instead_of=None, put=documents
        )
        assert done

    async def chat(
        self,
        customer: str,
        *,
        days_ago: float = 1.0,
        channel: str = "web",
        language: str = "en",
    ) -> Chat:
        self._count += 1
        at = self.now - days_ago * DAY_S
        row = {
            "workspace": WORKSPACE, "channel": channel, "place": f"place-{self._count}",
            "customer": customer, "language": language, "created_at": at,
        }  # fmt: skip

        def work(connection: Connection) -> int:
            made = connection.execute(
                insert(conversations).values(**row).returning(conversations.c.id)
            )
            return int(made.scalar_one())

        id = await self.database.write(work)
        return Chat(database=self.database, id=id, at=at, language=language)

    async def answered(
        self, customer: str, question: str, answer: str, *, days_ago: float = 1.0
    ) -> Chat:
        """A question that the bot handed over, and a person's answer."""
        chat = await self.chat(customer, days_ago=days_ago)
        await chat.customer(question)
        await chat.bot("A person will reply.", HANDED_OVER)
        await chat.hand_over()
        await chat.agent(answer)
        return chat

    async def busy_days(self, count: int = 40) -> None:
        """So many customers with a question and an answer each, all of them different."""
        for number in range(count):
            thing, verb = THINGS[number % len(THINGS)], VERBS[number // len(THINGS) % len(VERBS)]
            await self.answered(
                f"U{number}",
                f"How do I {verb} the {thing} of my bicycle?",
                f"To {verb} the {thing}, please open the {thing} guide and follow step {number + 2}"
                f" of the {verb} chapter.",
                days_ago=1 + number % 14,
            )


THINGS = (
    "saddle", "chain", "brake lever", "front light", "gear cable", "pedal", "luggage rack",
    "mudguard", "bell", "kickstand", "handlebar", "tyre", "battery holder", "display", "spoke",
    "fork", "bottle cage", "child seat", "trailer hitch", "lock",
)  # fmt: skip
VERBS = ("adjust", "replace", "clean", "remove", "tighten", "order")


def order_of(url: str, data_dir: Path, slot: str = "2027-01-31") -> Order:
    return Order(workspace=WORKSPACE, slot=slot, database=url, data_dir=data_dir, signing_key=KEY)
