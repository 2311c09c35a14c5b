"""A workspace's documents, with the pointer to the index that was built from them."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, or_, select

from core.adapters.canaries import CANARY, VERSION, canary_of, keep_in_step
from core.adapters.database import Database, Now
from core.adapters.pointers import INDEX, Pointer, locked, move
from core.adapters.tables import canaries, documents, model_versions, pointers
from core.adapters.upsert import insert_into
from core.canary import Canary
from core.nights import VersionKind
from core.turn import WorkspaceId

# SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535.
_BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document as it is kept; headings stand in `text` as Markdown lines."""

    id: str
    title: str
    text: str
    language: str
    source: str = ""

    @property
    def sha256(self) -> str:
        """What tells this wording from any other of the same document."""
        parts = (self.title, self.language, self.source, self.text)
        return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A document in a list, without its text."""

    id: str
    title: str
    language: str
    source: str
    characters: int
    added_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds at this moment: what is in service, and the wording of some documents.

    `pointer` is the index's; `encoder` that of the version that it goes with, None where it is the
    encoder of the settings. `canary` is an encoder on trial beside them.
    """

    pointer: Pointer | None
    wordings: dict[str, str]
    encoder: Pointer | None = None
    canary: Canary | None = None


class Documents:
    """The rows are the truth; an index only ever repeats them."""

    def __init__(self, database: Database) -> None:
        """Keep the documents in `database`."""
        self._database = database

    async def all(self, workspace: WorkspaceId) -> tuple[Document, ...]:
        """Every document with its text, by id."""
        mine = documents.c.workspace == workspace
        statement = select(documents).where(mine).order_by(documents.c.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            Document(id=r.id, title=r.title, text=r.text, language=r.language, source=r.source)
            for r in rows
        )

    async def get(self, workspace: WorkspaceId, id: str) -> Document | None:
        """One document with its text; None if there is none of that id."""
        wanted = select(documents).where(documents.c.workspace == workspace, documents.c.id == id)
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            return None
        return Document(
            id=row.id, title=row.title, text=row.text, language=row.language, source=row.source
        )

    async def list(self, workspace: WorkspaceId) -> tuple[Listed, ...]:
        """Every document without its text, by id."""
        statement = _listed(workspace)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(Listed(**row._mapping) for row in rows)

    async def find(
        self, workspace: WorkspaceId, *, words: str, language: str, limit: int
    ) -> tuple[Listed, ...]:
        """The first of those that have these words in title, id or text, without it, by id.

        Without `words` or a `language` any will do.
        """
        statement = _listed(workspace).limit(limit)
        if words:
            columns = (documents.c.title, documents.c.id, documents.c.text)
            statement = statement.where(
                or_(*(each.icontains(words, autoescape=True) for each in columns))
            )
        if language:
            statement = statement.where(documents.c.language == language)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(Listed(**row._mapping) for row in rows)

    async def languages(self, workspace: WorkspaceId) -> dict[str, int]:
        """How many documents there are in each language."""
        counted = (
            select(documents.c.language, func.count().label("documents"))
            .where(documents.c.workspace == workspace)
            .group_by(documents.c.language)
        )
        rows = await self._database.read(lambda connection: connection.execute(counted).all())
        return {row.language: row.documents for row in rows}

    async def titles(self, workspace: WorkspaceId) -> tuple[str, ...]:
        """The title of every document, in order of id."""
        mine = documents.c.workspace == workspace
        statement = select(documents.c.title).where(mine).order_by(documents.c.id)
        rows = await self._database.read(lambda connection: connection.scalars(statement).all())
        return tuple(rows)

    async def count(self, workspace: WorkspaceId) -> int:
        """How many documents there are."""
        mine = documents.c.workspace == workspace
        counted = select(func.count()).select_from(documents).where(mine)
        found = await self._database.read(lambda connection: connection.scalar(counted))
        return int(found or 0)

    async def standing(self, workspace: WorkspaceId, ids: Collection[str]) -> Standing:
        """Read the pointers, together with the wording (sha256) of those documents that exist."""
        worded = select(documents.c.id, documents.c.sha256).where(
            documents.c.workspace == workspace, documents.c.id.in_(list(ids))
        )

        def work(connection: Connection) -> Standing:
            found = connection.execute(_POINTING, {"its_workspace": workspace}).all()
            at = {row.kind: Pointer(name=row.name, previous=row.previous) for row in found}
            tried = [canary_of(row) for row in found if row.canary_index is not None]
            rows = connection.execute(worded).all() if ids else []
            return Standing(
                pointer=at.get(INDEX),
                wordings={row.id: row.sha256 for row in rows},
                encoder=at.get(VersionKind.ENCODER),
                canary=tried[0] if tried else None,
            )

        return await self._database.read(work)

    async def remove(self, workspace: WorkspaceId, ids: Sequence[str]) -> tuple[str, ...]:
        """Delete documents; from here on nobody cites them. Returns the ids that were there."""
        mine = documents.c.workspace == workspace

        def work(connection: Connection) -> tuple[str, ...]:
            removed: list[str] = []
            for start in range(0, len(ids), _BATCH):
                batch = documents.c.id.in_(ids[start : start + _BATCH])
                gone = connection.execute(
                    delete(documents).where(mine, batch).returning(documents.c.id)
                )
                removed.extend(gone.scalars())
            return tuple(sorted(removed))

        return await self._database.write(work)

    async def publish(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        instead_of: str | None,
        put: Sequence[Document] = (),
        canary: Canary | None = None,
        canary_index: str | None = None,
    ) -> bool:
        """Put documents and flip the pointer to the snapshot that has them, as one.

        A `canary` gets the `canary_index` that has them too.
        Returns: False, with nothing changed, if the pointer is no longer at `instead_of`, or the
        canary is not the one that is on trial.
        """

        def work(connection: Connection) -> bool:
            at = locked(connection, workspace, INDEX)
            if (at.name if at else None) != instead_of:
                return False
            if not keep_in_step(connection, workspace, canary, canary_index):
                return False
            if not move(
                connection, workspace, INDEX, name, instead_of=instead_of, previous=instead_of
            ):
                return False
            if put:
                _put(connection, workspace, put)
            return True

        return await self._database.write(work)


def _listed(workspace: WorkspaceId) -> Select[Any]:
    length = func.length(documents.c.text).label("characters")
    columns = [documents.c[name] for name in ("id", "title", "language", "source", "added_at")]
    mine = documents.c.workspace == workspace
    return select(*columns, length).where(mine).order_by(documents.c.id)


def _put(connection: Connection, workspace: WorkspaceId, put: Sequence[Document]) -> None:
    added_at = connection.scalar(select(Now()))
    statement = insert_into(connection, documents)
    replaced = ("title", "language", "source", "sha256", "text", "added_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(documents.primary_key),
            set_={column: statement.excluded[column] for column in replaced},
        ),
        [
            {
                "workspace": workspace,
                "id": document.id,
                "title": document.title,
                "language": document.language,
                "source": document.source,
                "sha256": document.sha256,
                "text": document.text,
                "added_at": added_at,
            }
            for document in put
        ],
    )


# One statement, built once: each search reads it, and a round trip costs more than the join.
_POINTING = (
    select(pointers.c.kind, pointers.c.name, pointers.c.previous, *CANARY)
    .select_from(
        pointers.outerjoin(
            canaries,
            (canaries.c.workspace == pointers.c.workspace)
            & (canaries.c.kind == VersionKind.ENCODER),
        ).outerjoin(model_versions, VERSION)
    )
    .where(
        pointers.c.workspace == bindparam("its_workspace"),
        pointers.c.kind.in_((INDEX, VersionKind.ENCODER)),
    )
)
