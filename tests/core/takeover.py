"""A desk with customers, agents and a bot that answers, over a real database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Table, select

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.cases import Cases
from core.adapters.database import Database
from core.adapters.desk import Desk
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.tables import conversations, inbox, outbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.interpreting import Expects, Interpreter
from core.ports import ShowPartial, Translator
from core.serving import AnswerTurn, Pace, Station
from core.staff import Account, Role
from core.turn import (
    Address,
    Answer,
    Channel,
    ConversationId,
    Handoff,
    Inbound,
    Kind,
    Reason,
    Served,
    Turn,
    TurnId,
    WorkspaceId,
)
from tests.fakes.port import FakePort
from tests.fakes.ports import FakeDetector
from tests.patience import PATIENCE_S

WORKSPACE = WorkspaceId("default")
ADDRESS = Address(workspace=WORKSPACE, channel=Channel.WEB, place="visitor-1")
# What a customer says to get a person.
PERSON = "a person, please"


async def bot(turn: Turn, show: ShowPartial) -> Served:
    """Hand over to who asks for a person, and repeat what everybody else says."""
    if turn.kind is Kind.WANTS_PERSON or PERSON in turn.text:
        outcome: Handoff | Answer = Handoff(reason=Reason.ASKED, text="to a person")
    else:
        outcome = Answer(text=f"bot: {turn.text}", citations=())
    return Served(outcome=outcome, language=turn.language or "ja", probability=1.0)


def station(
    database: Database,
    port: FakePort,
    *,
    answer: AnswerTurn = bot,
    translator: Translator | None = None,
    expects: Expects | None = None,
    language: str = "de",
    held_s: float = 30.0,
    gather_s: float = 0.0,
) -> Station:
    async def desk_language(workspace: WorkspaceId) -> str:
        return language

    # What is written backwards is in no language that could be told.
    undecided = FakeDetector()
    undecided.fault = Unavailable("detector")
    interpreter = Interpreter(
        translator=FaithfulTranslator(translator, undecided),
        detector=FakeDetector({"日本": "ja", "Guten": "de", "Bitte": "de"}, otherwise="ja"),
        desk_language=desk_language,
    )
    if expects is not None:
        interpreter = replace(interpreter, expects=expects)
    return Station(
        turns=SqlTurns(database),
        outbox=SqlOutbox(database),
        answer=answer,
        ports={Channel.WEB: port},
        presences={},
        pace=Pace(gather_s=gather_s, held_s=held_s),
        default_language="ja",
        interpreter=interpreter,
    )


@dataclass(slots=True, kw_only=True)
class Rig:
    """Everything that a test of the desk needs; `says` numbers what customers write."""

    database: Database
    port: FakePort
    delivery: Delivery
    desk: Desk
    cases: Cases
    agents: tuple[Account, ...]
    number: int = 0

    async def says(
        self,
        text: str,
        *,
        kind: Kind = Kind.MESSAGE,
        address: Address = ADDRESS,
        target: TurnId | None = None,
    ) -> ConversationId:
        """Let a customer write, and wait until it is served; where."""
        self.number += 1
        await self.delivery.accept(
            Inbound(
                address=address,
                event_id=f"event-{self.number}",
                customer="customer-1",
                text=text,
                kind=kind,
                target=target,
                message_ref=f"message-{self.number}",
            )
        )
        await self.idle()
        wanted = select(conversations.c.id).where(conversations.c.place == address.place)
        found = await self.database.read(lambda connection: connection.scalar(wanted))
        assert found is not None
        return ConversationId(found)

    async def idle(self) -> None:
        """Serve until nothing is pending and nobody holds a conversation."""
        async with asyncio.timeout(PATIENCE_S):
            while not await is_idle(self.database):
                await self.delivery.sweep()
                await asyncio.sleep(0.005)


async def is_idle(database: Database) -> bool:
    busy = (
        select(conversations.c.id).where(conversations.c.holder.is_not(None)).limit(1),
        select(inbox.c.id).where(inbox.c.state == "pending").limit(1),
        select(outbox.c.id).where(outbox.c.state.in_(("pending", "sending"))).limit(1),
    )
    found = await database.read(lambda c: [c.scalar(each) for each in busy])
    return found == [None, None, None]


async def rows_of(database: Database, table: Table) -> Sequence[Any]:
    everything = select(table).order_by(table.c.id)
    return await database.read(lambda connection: connection.execute(everything).all())


@asynccontextmanager
async def open_rig(
    database: Database, *, port: FakePort | None = None, **options: Any
) -> AsyncIterator[Rig]:
    """A desk with two agents who read German, a third who reads English, and a viewer."""
    port = port or FakePort()
    people = Accounts(database)
    agents = []
    for name, role, language in (
        ("Anna", Role.AGENT, "de"),
        ("Ben", Role.AGENT, "de"),
        ("Cora", Role.ADMIN, "en"),
        ("Vera", Role.VIEWER, "de"),
    ):
        new = NewAccount(name=name, role=role, language=language, login=name.lower())
        account = await people.get(WORKSPACE, await people.create(WORKSPACE, new))
        assert account is not None
        agents.append(account)
    delivery = Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=station(database, port, **options),
    )
    async with delivery:
        yield Rig(
            database=database,
            port=port,
            delivery=delivery,
            desk=Desk(database, wake=delivery.wake),
            cases=Cases(database),
            agents=tuple(agents),
        )
