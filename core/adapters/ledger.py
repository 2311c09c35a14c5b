"""The ledger of erasures: keyed hashes of who asked to be forgotten, in a table and in a file.

The database may be the very thing that is restored from a backup, so the file repeats it. What
either knows goes into the other, and neither ever shrinks.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from core.adapters.database import Database, Now
from core.adapters.durable import write_whole
from core.adapters.tables import erasures
from core.adapters.upsert import insert_into
from core.errors import Unavailable
from core.turn import WorkspaceId

LEDGER = "erasures.jsonl"
# Keeps this use of the installation's key apart from every other.
_PURPOSE = b"dragoman erasure 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer, by the channel's id of them."""

    workspace: WorkspaceId
    channel: str
    id: str

    def hash(self, key: bytes) -> str:
        """What the ledger knows of them; without the key nobody can tell who it is."""
        told = "\x00".join((self.workspace, self.channel, self.id)).encode()
        return hmac.new(key, _PURPOSE + told, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger; `asked_at` is in seconds since 1970."""

    workspace: str
    channel: str
    customer_hash: str
    asked_at: float

    @property
    def who(self) -> tuple[str, str, str]:
        """What tells this line from all others."""
        return self.workspace, self.channel, self.customer_hash


class Ledger:
    """The table and the file."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        """Keep the file in `data_dir`."""
        self._database = database
        self._path = data_dir / LEDGER

    async def enter(self, person: Person, key: bytes) -> None:
        """Note that somebody asks to be forgotten as of now, maybe once more.

        Raises: Unavailable: the database does not answer, or the file cannot be written.
        """
        who = {
            "workspace": person.workspace,
            "channel": person.channel,
            "customer_hash": person.hash(key),
        }

        def work(connection: Connection) -> None:
            entered = insert_into(connection, erasures).values(**who, asked_at=Now())
            connection.execute(
                entered.on_conflict_do_update(
                    index_elements=list(who), set_={"asked_at": Now(), "completed_at": None}
                )
            )

        await self._database.write(work)
        await self.reconcile()

    async def reconcile(self) -> tuple[Entry, ...]:
        """Let table and file each have what the other knows; all that both know.

        Raises: Unavailable: the database does not answer, or the file cannot be read or written.
        """
        kept = self._read()
        if kept:
            await self._database.write(lambda connection: _put(connection, kept))
        known = await self._database.read(_entries)
        while set(known) != set(kept):
            await asyncio.to_thread(self._write, known)
            # Another process may have written just before, of somebody whom the table had by then.
            kept, known = known, await self._database.read(_entries)
        return known

    async def hashes(self, workspace: WorkspaceId) -> frozenset[str]:
        """Everybody who asked to be forgotten in a workspace."""
        mine = select(erasures.c.customer_hash).where(erasures.c.workspace == workspace)
        rows = await self._database.read(lambda connection: connection.scalars(mine).all())
        return frozenset(rows)

    async def state(self, workspace: WorkspaceId) -> str:
        """A hash of all its lines of a workspace."""
        mine = [one for one in await self._database.read(_entries) if one.workspace == workspace]
        lines = sorted(f"{one.channel} {one.customer_hash} {one.asked_at}" for one in mine)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    async def waiting(self, workspace: WorkspaceId) -> tuple[str, ...]:
        """The hashes of those whom a version in service has seen."""
        mine = select(erasures.c.customer_hash).where(
            erasures.c.workspace == workspace, erasures.c.completed_at.is_(None)
        )
        rows = await self._database.read(lambda connection: connection.scalars(mine).all())
        return tuple(rows)

    def _read(self) -> tuple[Entry, ...]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            return tuple(Entry(**json.loads(line)) for line in lines if line.strip())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Unavailable(str(self._path), error.strerror or str(error)) from error
        except (ValueError, TypeError) as error:
            raise Unavailable(str(self._path), "is damaged; bring back a copy of it") from error

    def _write(self, entries: Sequence[Entry]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            text = "".join(json.dumps(asdict(one)) + "\n" for one in entries)
            write_whole(self._path, text)
        except OSError as error:
            raise Unavailable(str(self._path), error.strerror or str(error)) from error


def _entries(connection: Connection) -> tuple[Entry, ...]:
    columns = [erasures.c[name] for name in Entry.__dataclass_fields__]
    rows = connection.execute(select(*columns).order_by(erasures.c.id))
    return tuple(Entry(**row._mapping) for row in rows)


def _put(connection: Connection, entries: Sequence[Entry]) -> None:
    """A later request counts, whichever side knows it."""
    known = {one.who: one.asked_at for one in _entries(connection)}
    for entry in entries:
        if known.get(entry.who, 0.0) >= entry.asked_at:
            continue
        entered = insert_into(connection, erasures).values(**asdict(entry))
        connection.execute(
            entered.on_conflict_do_update(
                index_elements=["workspace", "channel", "customer_hash"],
                set_={"asked_at": entry.asked_at, "completed_at": None},
            )
        )
