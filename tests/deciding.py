"""Nights that wait for a person: real versions of an encoder, real indices, and who decides."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import update

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import Database, open_database
from core.adapters.deciding import Decider
from core.adapters.documents import Document
from core.adapters.nights import SqlNights
from core.adapters.tables import model_versions, nights
from core.adapters.versions import Version, Versions
from core.nights import NightState
from core.staff import Account, AccountId, Role
from core.turn import Channel, WorkspaceId
from dragoman.models import Models
from retrieval.knowledge import silent
from retrieval.opening import Retrieval, open_retriever
from tests.bots.web.console.test_models import GATE
from tests.fakes.deciding import HOME, decider_on
from tests.fakes.encoder import FakeEncoder
from tests.versions import KEY, add_version

SLOT = "2027-01-31"
VERSION = f"encoder-{SLOT}"
RETURNS = Document(id="returns", title="Returns", text="You may send a parcel back.", language="en")


@dataclass(slots=True, kw_only=True)
class GatedModels:
    """The real ones; nothing goes into service while the gate is shut."""

    models: Models
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0

    async def promote(self, workspace: WorkspaceId, name: str, *, account: AccountId) -> object:
        self.begun += 1
        await self.gate.wait()
        return await self.models.promote(workspace, name, account=account)

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId
    ) -> None:
        await self.models.refuse(workspace, name, reason, account=account)


@dataclass(slots=True, kw_only=True)
class Night:
    """What nights left behind, and what became of it."""

    database: Database
    data: Path
    retrieval: Retrieval
    models: GatedModels

    def decider(self, channel: Channel) -> Decider:
        return decider_on(self.database, channel, self.models)

    async def waits(self, slot: str = SLOT) -> None:
        """End a night that waits for a person."""
        await SqlNights(self.database).ring(HOME, slot)
        figures = json.dumps({"evaluate": GATE})
        waiting = update(nights).where(nights.c.slot == slot)
        waiting = waiting.values(state=NightState.WAITING, figures=figures, due_at=None)
        await self.database.write(lambda c: c.execute(waiting).rowcount)
        name = f"encoder-{slot}"
        await add_version(self.database, self.data, name, seed=1, workspace=HOME, slot=slot)
        told = update(model_versions).where(model_versions.c.name == name)
        told = told.values(metrics=json.dumps(GATE))
        await self.database.write(lambda c: c.execute(told).rowcount)
        await self.retrieval.succession.prepare(HOME, name, silent)
        await Versions(self.database).ready(HOME, name)

    async def person(self, channel: Channel, ref: str, name: str, role: Role) -> Account:
        """Somebody known on a platform, whose role an admin has set."""
        new = NewAccount(name=name, role=role, language="de")
        return await Accounts(self.database).identify(HOME, channel, ref, new)

    async def version(self, name: str = VERSION) -> Version:
        found = await Versions(self.database).get(HOME, name)
        assert found is not None
        return found

    async def state(self, slot: str = SLOT) -> NightState:
        return next(n.state for n in await SqlNights(self.database).list(HOME) if n.slot == slot)


@asynccontextmanager
async def open_night(database_url: str, data: Path) -> AsyncIterator[Night]:
    """A desk with one article, and models with an open gate."""
    async with (
        open_database(database_url) as database,
        open_retriever(database, data, encoder=FakeEncoder(), key=KEY) as retrieval,
    ):
        await retrieval.knowledge.put(HOME, [RETURNS])
        models = GatedModels(models=Models(database, retrieval, data, key=KEY))
        models.gate.set()
        yield Night(database=database, data=data, retrieval=retrieval, models=models)
        await models.models.close()
