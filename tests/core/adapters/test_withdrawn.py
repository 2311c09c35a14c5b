"""Two who change one version's row at the same moment, on a database that lets them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from core.adapters.database import Database, open_database
from core.adapters.erasures import Erasures
from core.adapters.in_service import InService
from core.adapters.ledger import Person
from core.adapters.night_files import FORGOTTEN
from core.adapters.versions import Versions, base_name
from core.errors import Rejected
from core.nights import VersionKind, VersionState, version_folder
from tests.core.adapters.test_versions import DIALOGUE, SHOP, made
from tests.patience import until

KEY = b"an installation's key"
NAME = "dialogue-2027-01-31"


@pytest.fixture
async def database(postgres_database_url: str) -> AsyncIterator[Database]:
    async with open_database(postgres_database_url) as opened:
        await Versions(opened).add(SHOP, made(NAME, kind=DIALOGUE))
        yield opened


@asynccontextmanager
async def meanwhile(url: str, state: VersionState) -> AsyncIterator[None]:
    """Somebody else sets the version's state, and commits once another one waits for that."""
    there = await asyncpg.connect(url)
    change = there.transaction()
    await change.start()
    await there.execute("update model_versions set state = $1 where name = $2", state, NAME)
    yield
    watcher = await asyncpg.connect(url)

    async def waits() -> object:
        return await watcher.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )

    await until(waits)
    await change.commit()
    await there.close()
    await watcher.close()


async def test_what_is_withdrawn_while_it_goes_live_does_not(
    database: Database, postgres_database_url: str
) -> None:
    service = InService(database)
    async with meanwhile(postgres_database_url, VersionState.REFUSED):
        publishing = asyncio.create_task(
            service.publish(SHOP, NAME, instead_of=base_name(DIALOGUE))
        )
    with pytest.raises(Rejected, match="refused meanwhile"):
        await publishing
    assert (await service.live(SHOP, DIALOGUE)).name == base_name(DIALOGUE)


async def test_what_goes_live_while_somebody_is_erased_keeps_its_files_until_it_is_replaced(
    database: Database, postgres_database_url: str, tmp_path: Path
) -> None:
    who = Person(workspace=SHOP, channel="web", id="visitor-1")
    night = tmp_path / "nights" / SHOP / "2027-01-31"
    night.mkdir(parents=True)
    (night / FORGOTTEN).write_text(f'{{"customer": "{who.hash(KEY)}"}}\n')
    folder = version_folder(tmp_path, SHOP, NAME)
    folder.mkdir(parents=True)
    async with meanwhile(postgres_database_url, VersionState.LIVE):
        erasing = asyncio.create_task(Erasures(database, KEY, tmp_path).erase(who))
    erased = await erasing
    assert (erased.versions_in_service, erased.complete) == ((NAME,), False)
    assert folder.exists()
    [version] = await Versions(database).list(SHOP)
    assert (version.kind, version.state) == (VersionKind.DIALOGUE, VersionState.LIVE)
