"""Customers who ask to be forgotten: gone from rows and files at once, from weights in a night.

Until the version in service has been replaced by one that never saw them, an erasure is not
complete; after a restore from a backup it is carried out again.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, delete, func, select, union_all, update

from core.adapters.customer_rows import Held, delete_conversation, held, some_of, unlist
from core.adapters.database import Database, Now, empty_log
from core.adapters.ledger import Entry, Ledger, Person
from core.adapters.night_files import customers_in, learnt_from, scrub
from core.adapters.tables import (
    canaries,
    conversations,
    erasures,
    inbox,
    messages,
    model_versions,
    pointers,
)
from core.adapters.versions import base_name, end_wait
from core.errors import Misconfigured, Unavailable
from core.nights import VersionKind, VersionState, version_folder, version_name
from core.turn import WorkspaceId

log = structlog.get_logger()

_WHY = "it had learnt from a customer who was erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is gone: rows by table, nights whose sets held them, and versions of models.

    `shared` of the conversations were with others as well: one is one text, and goes as a whole.
    `versions_in_service` saw them too, and go with the next night; until then the erasure is not
    `complete`. `agent` and `articles` stay, see `Held`. `in_log`: somebody used the database all
    the while, and its log repeats what was deleted until it is written over.
    """

    rows: dict[str, int]
    shared: int = 0
    nights: tuple[str, ...] = ()
    versions_removed: tuple[str, ...] = ()
    versions_in_service: tuple[str, ...] = ()
    agent: str = ""
    articles: tuple[str, ...] = ()
    complete: bool = True
    in_log: bool = False


class Erasures:
    """Erases customers, and knows who was."""

    def __init__(self, database: Database, key: bytes, data_dir: Path) -> None:
        """`key` is the installation's: with another one nobody is recognised again."""
        self._database = database
        self._key = key
        self._data_dir = data_dir
        self._ledger = Ledger(database, data_dir)

    async def customer_of(self, workspace: WorkspaceId, conversation: int) -> Person:
        """Who began a conversation.

        Raises:
            Misconfigured: there is no such conversation in the workspace.
            Unavailable: the database does not answer.
        """
        wanted = select(conversations.c.channel, conversations.c.customer).where(
            conversations.c.workspace == workspace, conversations.c.id == conversation
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            raise Misconfigured(f"there is no conversation {conversation}")
        return Person(workspace=workspace, channel=row.channel, id=row.customer)

    async def held(self, person: Person) -> Held:
        """What there is of somebody now.

        Raises: Unavailable: the database does not answer.
        """
        return await self._database.read(lambda connection: held(connection, person))

    async def erase(self, person: Person) -> Erased:
        """Forget somebody; what is cut short is finished by `forget_again`.

        Raises: Unavailable: the database does not answer, or a file cannot be deleted.
        """
        await self._ledger.enter(person, self._key)
        return await self._carry_out(person, await self.held(person), time.time())

    async def was_erased(self, workspace: WorkspaceId) -> frozenset[str]:
        """The hashes of everybody who ever asked: nothing is learnt from them any more."""
        return await self._ledger.hashes(workspace)

    async def state_of_ledger(self, workspace: WorkspaceId) -> str:
        """What changes whenever somebody asks to be forgotten there."""
        return await self._ledger.state(workspace)

    async def settle(self, workspace: WorkspaceId) -> frozenset[str]:
        """Delete versions that saw somebody erased and serve no longer; those that still serve.

        Raises: Unavailable: the database does not answer, or a file cannot be deleted; none of
            these versions goes into service any more all the same.
        """
        left: set[str] = set()
        failed: Unavailable | None = None
        for mark in await self._ledger.waiting(workspace):
            try:
                _, serving = await self._retire(workspace, mark)
            except Unavailable as error:
                failed = error
            else:
                left.update(serving)
        if failed is not None:
            raise failed
        return frozenset(left)

    async def forget_again(self) -> int:
        """Erase whoever asked for it and came back with a backup; how many conversations it took.

        Somebody who wrote again after they were erased is a new customer and stays.
        Raises: Unavailable: the database does not answer, or a file cannot be deleted.
        """
        entries = await self._ledger.reconcile()
        if not entries:
            return 0
        back = await self._database.read(lambda connection: self._returned(connection, entries))
        asked_at = {one.who: one.asked_at for one in entries}
        for person, ids in back.items():
            who = (person.workspace, person.channel, person.hash(self._key))
            there = await self._database.read(_held_of(person, ids))
            await self._carry_out(person, there, asked_at[who])
        for workspace in sorted({entry.workspace for entry in entries}):
            mine = {entry.customer_hash for entry in entries if entry.workspace == workspace}
            await self._forget_in_nights(WorkspaceId(workspace), mine)
            await self.settle(WorkspaceId(workspace))
        if back:
            log.info("customers_forgotten_again", customers=len(back))
        return len({conversation for theirs in back.values() for conversation in theirs})

    async def _forget_in_nights(self, workspace: WorkspaceId, erased: set[str]) -> None:
        """Nights may be back with a backup, or left by who was cut short, without a row to find."""
        there = await asyncio.to_thread(customers_in, self._data_dir, workspace)
        for mark in sorted(erased & there):
            scrub(self._data_dir, workspace, (), mark)
            await self._retire(workspace, mark)

    async def _carry_out(self, person: Person, there: Held, asked_at: float) -> Erased:
        """Files before rows: the rows are what the files are found by."""
        mark = person.hash(self._key)
        scrubbed = scrub(self._data_dir, person.workspace, there.conversations, mark)
        for conversation in there.conversations:
            await self._delete(conversation, asked_at)
        await self._database.write(lambda connection: unlist(connection, person))
        removed, serving = await self._retire(person.workspace, mark)
        emptied = await empty_log(self._database)
        if not emptied:
            log.warning("erased_words_in_log")
        return Erased(
            rows=there.rows,
            shared=there.shared,
            nights=tuple(scrubbed),
            versions_removed=removed,
            versions_in_service=serving,
            agent=there.agent,
            articles=there.articles,
            complete=not serving,
            in_log=not emptied,
        )

    async def _delete(self, conversation: int, asked_at: float) -> None:
        for table in (messages, inbox):
            while await self._database.write(some_of(table, conversation)):
                pass
        await self._database.write(
            lambda connection: delete_conversation(connection, conversation, asked_at)
        )

    async def _retire(
        self, workspace: WorkspaceId, mark: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Delete what saw them and is not in service; the names of what went, and what serves.

        The erasure is complete once nothing that serves has seen them.
        """
        slots = learnt_from(self._data_dir, workspace, mark)
        # One that the gate refused has files, and no row.
        seen = [version_name(kind, slot) for slot in slots for kind in VersionKind]
        serving, gone = await self._database.write(
            # The rows first: nobody may go back to a version whose files are being deleted.
            lambda connection: _parted(connection, workspace, seen)
        )
        removed = tuple(name for name in gone if self._remove(workspace, name))
        if not serving:
            await self._database.write(lambda connection: _complete(connection, workspace, mark))
        return removed, serving

    def _remove(self, workspace: WorkspaceId, name: str) -> bool:
        folder = version_folder(self._data_dir, workspace, name)
        if not folder.exists():
            return False
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise Unavailable("the models' files", error.strerror or str(error)) from error
        return True

    def _returned(
        self, connection: Connection, entries: Sequence[Entry]
    ) -> dict[Person, tuple[int, ...]]:
        """Who is in the ledger and has a conversation in which they wrote before they asked."""
        ledger = {one.who: one.asked_at for one in entries}
        found: dict[Person, tuple[int, ...]] = {}
        for workspace in sorted({one.workspace for one in entries}):
            latest = max(one.asked_at for one in entries if one.workspace == workspace)
            for row in connection.execute(_wrote(workspace, latest)):
                person = Person(
                    workspace=WorkspaceId(workspace), channel=row.channel, id=row.customer
                )
                who = (workspace, row.channel, person.hash(self._key))
                if row.since <= ledger.get(who, 0.0):
                    found[person] = (*found.get(person, ()), row.id)
        return found


async def forget_again(database: Database, key: bytes, data_dir: Path) -> int:
    """Erase whoever asked for it and came back with a backup; how many conversations it took.

    Raises: Unavailable: the database does not answer, or a file cannot be deleted.
    """
    return await Erasures(database, key, data_dir).forget_again()


def _held_of(person: Person, ids: Sequence[int]) -> Any:
    return lambda connection: held(connection, person, ids)


def _wrote(workspace: str, latest: float) -> Any:
    """Who wrote in which conversation since when, as far as that was until `latest`."""
    began = select(
        conversations.c.id,
        conversations.c.channel,
        conversations.c.customer,
        conversations.c.created_at.label("since"),
    ).where(conversations.c.workspace == workspace, conversations.c.created_at <= latest)
    joined = (
        select(
            inbox.c.conversation_id,
            inbox.c.channel,
            inbox.c.customer,
            func.min(inbox.c.received_at),
        )
        .where(
            inbox.c.workspace == workspace,
            inbox.c.customer.is_not(None),
            inbox.c.received_at <= latest,
        )
        .group_by(inbox.c.conversation_id, inbox.c.channel, inbox.c.customer)
    )
    return union_all(began, joined)


def _parted(
    connection: Connection, workspace: WorkspaceId, names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which versions serve, and those that do not, which are withdrawn.

    One that is being put into service at this moment is either withdrawn first, and then is not, or
    serves already. Rows are locked in the order of `core.adapters.in_service`.
    """
    _withdraw(connection, workspace, names)
    live = select(model_versions.c.name).where(
        model_versions.c.workspace == workspace,
        model_versions.c.name.in_(names),
        model_versions.c.state == VersionState.LIVE,
    )
    serving = tuple(connection.scalars(live.order_by(model_versions.c.id)))
    return serving, tuple(name for name in names if name not in serving)


def _withdraw(connection: Connection, workspace: WorkspaceId, names: Sequence[str]) -> None:
    """Write down that those which do not serve are gone: nobody approves or goes back to one."""
    if not names:
        return
    for kind in VersionKind:
        connection.execute(
            update(pointers)
            .where(
                pointers.c.workspace == workspace,
                pointers.c.kind == kind,
                pointers.c.previous.in_(names),
            )
            .values(previous=base_name(kind))
        )
    # One on trial needs no successor: what was in service all along serves its conversations.
    tried = canaries.c.workspace == workspace, canaries.c.name.in_(names)
    connection.execute(delete(canaries).where(*tried))
    refused = (
        update(model_versions)
        .where(
            model_versions.c.workspace == workspace,
            model_versions.c.name.in_(names),
            model_versions.c.state != VersionState.LIVE,
        )
        .values(state=VersionState.REFUSED, reason=_WHY)
        .returning(model_versions.c.night_id)
    )
    for night in set(connection.execute(refused).scalars()):
        end_wait(connection, night)


def _complete(connection: Connection, workspace: WorkspaceId, mark: str) -> None:
    connection.execute(
        update(erasures)
        .where(
            erasures.c.workspace == workspace,
            erasures.c.customer_hash == mark,
            erasures.c.completed_at.is_(None),
        )
        .values(completed_at=Now())
    )
