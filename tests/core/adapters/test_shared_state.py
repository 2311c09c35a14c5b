"""Leases, cursors and sealed tokens that replicas share."""

import asyncio
from collections.abc import Coroutine

import asyncpg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from core.adapters.cursors import Cursors
from core.adapters.database import Database, open_database
from core.adapters.holds import Holds
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.tables import installations
from core.adapters.vault import Vault
from core.errors import Misconfigured
from core.turn import Address, Channel, Inbound, WorkspaceId
from tests.databases import is_blocked
from tests.patience import until

WORKSPACE = WorkspaceId("default")


async def test_only_one_of_many_takes_a_hold(database: Database) -> None:
    holds = Holds(database)
    taken = await asyncio.gather(*(holds.take("poll", f"replica-{n}", 60) for n in range(8)))
    assert sum(taken) == 1


async def test_a_hold_is_renewed_by_its_holder_and_free_once_dropped(database: Database) -> None:
    holds = Holds(database)
    assert await holds.take("poll", "one", 60)
    assert await holds.take("poll", "one", 60)
    assert not await holds.take("poll", "two", 60)
    await holds.drop("poll", "two")
    assert not await holds.take("poll", "two", 60)
    await holds.drop("poll", "one")
    assert await holds.take("poll", "two", 60)


async def test_a_lapsed_hold_goes_to_the_next(database: Database) -> None:
    holds = Holds(database)
    assert await holds.take("poll", "dead", -1)
    assert await holds.take("poll", "alive", 60)
    assert not await holds.take("poll", "dead", 60)


@pytest.mark.parametrize("holder", ["me", None])
async def test_a_lease_lasts_from_when_its_row_is_free(
    postgres_database_url: str, holder: str | None
) -> None:
    """Whoever waited for the row believes to have the lease from the end of that wait."""
    address = Address(workspace=WORKSPACE, channel=Channel.WEB, place="here")
    inbound = Inbound(address=address, event_id="1", customer="U1", text="Hello?")
    other = await asyncpg.connect(postgres_database_url)
    async with open_database(postgres_database_url) as database:
        accepted = await SqlInbox(database).accept(inbound, holder=holder, held_s=1.0)
        assert accepted is not None
        leases, lease = SqlLeases(database), accepted.lease
        getting: Coroutine[None, None, object] = (
            leases.claim(accepted.conversation, holder="me", held_s=60.0)
            if lease is None
            else leases.renew(lease, held_s=60.0)
        )
        async with other.transaction():
            await other.execute("select from conversations for update")
            waiting = asyncio.create_task(getting)
            await until(lambda: is_blocked(other))
            freed_at = await other.fetchval("select extract(epoch from clock_timestamp())::float8")
        await waiting
    held_until = await other.fetchval("select held_until from conversations")
    await other.close()
    assert held_until >= freed_at + 60.0


async def test_a_cursor_keeps_the_last_value_by_workspace(database: Database) -> None:
    store = Cursors(database)
    await store.write(WORKSPACE, Channel.SLACK, "C1", "1.5")
    await store.write(WORKSPACE, Channel.SLACK, "C1", "2.5")
    assert await store.read(WORKSPACE, Channel.SLACK, "C1") == "2.5"
    assert await store.read(WorkspaceId("other"), Channel.SLACK, "C1") is None


async def test_a_token_is_sealed_at_rest_and_gone_after_removal(database: Database) -> None:
    vault = Vault(database, Fernet.generate_key())
    await vault.put(Channel.SLACK, "T1", "xoxb-secret", WORKSPACE)
    await vault.put(Channel.SLACK, "T1", "xoxb-newer", WORKSPACE)
    assert await vault.get(Channel.SLACK, "T1") == (WORKSPACE, "xoxb-newer")
    sealed = select(installations.c.sealed)
    stored = await database.read(lambda connection: connection.scalar(sealed))
    assert "xoxb" not in str(stored)
    await vault.remove(Channel.SLACK, "T1")
    assert await vault.get(Channel.SLACK, "T1") is None


async def test_another_key_is_told_from_a_missing_token(database: Database) -> None:
    await Vault(database, Fernet.generate_key()).put(Channel.SLACK, "T1", "xoxb-1", WORKSPACE)
    with pytest.raises(Misconfigured, match="another secret key"):
        await Vault(database, Fernet.generate_key()).get(Channel.SLACK, "T1")
    with pytest.raises(Misconfigured, match="32 url-safe"):
        Vault(database, b"short")
