"""Nights of learning as rows: one a workspace and slot, carried on under a lease.

Times are by the database's clock. A lease that lapsed and was taken by somebody else is lost: its
fence is an old one, and each write under it is refused.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select, update

from core.adapters.database import Database, Now
from core.adapters.tables import conversations, nights
from core.adapters.upsert import for_each_dialect
from core.adapters.versions import end_wait, refuse_candidates
from core.errors import LeaseLost
from core.nights import Night, NightLease, NightState
from core.turn import WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

Figures = Mapping[str, Mapping[str, Any]]
"""What each step found, by its name."""

# Of the due ones, so many are tried before it is said that others have them all.
_CANDIDATES = 20

_MISSED = "nobody brought it to its end within a day"
_MISSED_S = 86_400.0


class SqlNights:
    """The nights of every workspace."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    @property
    def database(self) -> Database:
        """What they are kept in, beside the versions that they made."""
        return self._database

    async def ring(self, workspace: WorkspaceId, slot: str) -> bool:
        """See that there is a night for the slot; False if there was one, whoever rang for it.

        Raises: Unavailable: the database does not answer.
        """
        wanted = {"its_workspace": workspace, "its_slot": slot}

        def work(connection: Connection) -> bool:
            return connection.execute(_RING[connection.dialect.name], wanted).rowcount > 0

        return await self._database.write(work)

    async def take(
        self, *, holder: str, held_s: float, of: tuple[WorkspaceId, str] | None = None
    ) -> NightLease | None:
        """Take a night that is due and that nobody holds; `of` names the only one that will do.

        One that nobody brought to its end within a day is over: the next reads all that it would.
        Returns: None if there is none.
        Raises: Unavailable: the database does not answer.
        """
        due = _DUE if of is None else _DUE.where(_OF)
        which = {} if of is None else {"its_workspace": of[0], "its_slot": of[1]}
        rows = await self._database.read(lambda c: c.execute(due, which).all())
        if not rows:
            return None

        def work(connection: Connection) -> NightLease | None:
            for night in connection.scalars(_MISS).all() if of is None else ():
                refuse_candidates(connection, night, _MISSED)
            for row in rows:
                claim = {"night": row.id, "claimer": holder, "held_s": held_s}
                taken = connection.execute(_CLAIM, claim).first()
                if taken is not None:
                    return _lease(taken)
            return None

        return await self._database.write(work)

    async def renew(self, lease: NightLease, *, held_s: float) -> None:
        """Hold it for that much longer.

        Raises:
            LeaseLost: somebody else has it.
            Unavailable: the database does not answer.
        """
        await self._change(lease, held_until=Now() + held_s)

    async def begin(self, lease: NightLease, state: NightState) -> NightLease:
        """Count a start of the step that `state` stands for.

        Raises: LeaseLost, Unavailable: as `renew` does.
        """
        again = lease.state is state
        attempts = nights.c.attempts + 1 if again else 1
        return await self._change(lease, state=state, attempts=attempts)

    async def move_on(self, lease: NightLease, state: NightState, figures: Figures) -> NightLease:
        """Go on to the next step, with what those before it found.

        Raises: LeaseLost, Unavailable: as `renew` does.
        """
        return await self._change(
            lease, figures, state=state, attempts=0, reason=None, due_at=Now()
        )

    async def end(
        self, lease: NightLease, state: NightState, *, reason: str = "", figures: Figures
    ) -> None:
        """Let go for good; one that is `WAITING` ends when a person decides (`versions.end_wait`).

        A version that it has registered, and come to no decision on, never serves.
        Raises: LeaseLost, Unavailable: as `renew` does.
        """
        ended_at = None if state is NightState.WAITING else Now()
        values = {"state": state, "reason": reason or None, "ended_at": ended_at, **_FREED}

        def work(connection: Connection) -> None:
            _changed(connection, lease, figures, values)
            refuse_candidates(connection, lease.night, reason)
            if state is NightState.WAITING:
                # A person may have decided before it began to wait.
                end_wait(connection, lease.night)

        await self._database.write(work)

    async def put_back(
        self, lease: NightLease, *, retry_in_s: float, reason: str = "", counts: bool = True
    ) -> None:
        """Let go, to go on later; a start that was not to blame is not counted.

        Raises: LeaseLost, Unavailable: as `renew` does.
        """
        attempts = lease.attempts if counts else max(0, lease.attempts - 1)
        values = {**_FREED, "due_at": Now() + retry_in_s, "attempts": attempts}
        await self._change(lease, reason=reason or None, **values)

    async def stop(self, workspace: WorkspaceId, slot: str, *, reason: str) -> None:
        """End a night whoever carries it; one that has ended, or waits for a person, stays.

        Raises: Unavailable: the database does not answer.
        """
        wanted = {"its_workspace": workspace, "its_slot": slot, "why": reason}

        def work(connection: Connection) -> None:
            for night in connection.scalars(_STOP, wanted).all():
                refuse_candidates(connection, night, reason)

        await self._database.write(work)

    async def workspaces(self) -> tuple[tuple[WorkspaceId, ...], float]:
        """Each workspace in which somebody has written, and the time.

        Raises: Unavailable: the database does not answer.
        """

        def work(connection: Connection) -> tuple[tuple[WorkspaceId, ...], float]:
            names = connection.scalars(_WORKSPACES).all()
            return tuple(WorkspaceId(name) for name in names), float(
                connection.execute(_CLOCK).scalar_one()
            )

        return await self._database.read(work)

    async def list(self, workspace: WorkspaceId, limit: int = 100) -> tuple[Night, ...]:
        """The nights of a workspace, newest first.

        Raises: Unavailable: the database does not answer.
        """
        which = {"its_workspace": workspace, "most": limit}
        rows = await self._database.read(lambda c: c.execute(_LIST, which).all())
        return tuple(_night(row) for row in rows)

    async def lately(self, within_s: float) -> Mapping[NightState, int]:
        """How many nights of all workspaces stand where, without those that ended earlier.

        Raises: Unavailable: the database does not answer.
        """
        rows = await self._database.read(lambda c: c.execute(_LATELY, {"within_s": within_s}).all())
        return {NightState(row.state): row.nights for row in rows}

    async def last_ended(self) -> float | None:
        """When a night of any workspace last ended, in seconds since 1970; None if none has.

        Raises: Unavailable: the database does not answer.
        """
        ended: float | None = await self._database.read(lambda c: c.scalar(_LAST_ENDED))
        return ended

    async def silent_s(self, workspace: WorkspaceId) -> float:
        """For how long none was rung for, since the last one or since a customer first wrote.

        Raises: Unavailable: the database does not answer.
        """
        which = {"its_workspace": workspace}
        found = await self._database.read(lambda c: c.scalar(_SILENT, which))
        return float(found or 0.0)

    async def _change(
        self, lease: NightLease, figures: Figures | None = None, /, **values: Any
    ) -> NightLease:
        return await self._database.write(lambda c: _changed(c, lease, figures, values))


def _changed(
    connection: Connection, lease: NightLease, figures: Figures | None, values: Mapping[str, Any]
) -> NightLease:
    held = {"held_night": lease.night, "held_fence": lease.fence, "held_by": lease.holder}
    changed = dict(values)
    if figures:
        known = connection.scalar(_FIGURES, held)
        changed["figures"] = json.dumps(
            {**json.loads(known or "{}"), **figures}, ensure_ascii=False
        )
    row = connection.execute(_THIS.values(changed).returning(*_LEASED), held).first()
    if row is None:
        raise LeaseLost(f"night {lease.slot} of {lease.workspace}")
    return _lease(row)


def hold(connection: Connection, workspace: WorkspaceId, slot: str, fence: int) -> None:
    """See, inside a transaction, that the lease under which a step runs is still the newest.

    A step that nobody leads has the fence 0, and no lease.

    Raises: LeaseLost: another process carries the night on.
    """
    if fence == 0:
        return
    which = {"its_workspace": workspace, "its_slot": slot}
    if connection.scalar(_FENCE, which) != fence:
        raise LeaseLost(f"night {slot} of {workspace}")


def _lease(row: SqlRow) -> NightLease:
    return NightLease(
        night=row.id,
        workspace=WorkspaceId(row.workspace),
        slot=row.slot,
        state=NightState(row.state),
        attempts=row.attempts,
        holder=row.holder or "",
        fence=row.fence,
    )


def _night(row: SqlRow) -> Night:
    return Night(
        id=row.id,
        workspace=WorkspaceId(row.workspace),
        slot=row.slot,
        state=NightState(row.state),
        reason=row.reason or "",
        figures=json.loads(row.figures),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


# Statements are built once: putting one together costs far more than running it.
_LEASED = (
    nights.c.id,
    nights.c.workspace,
    nights.c.slot,
    nights.c.state,
    nights.c.attempts,
    nights.c.holder,
    nights.c.fence,
)
_FREED: Mapping[str, Any] = {"holder": None, "held_until": None, "due_at": None}
_OF = (nights.c.workspace == bindparam("its_workspace")) & (nights.c.slot == bindparam("its_slot"))
_RING = for_each_dialect(
    lambda insert: (
        insert(nights)
        .values(
            workspace=bindparam("its_workspace"),
            slot=bindparam("its_slot"),
            created_at=Now(),
            due_at=Now(),
        )
        .on_conflict_do_nothing()
    )
)
_IS_FREE = or_(nights.c.held_until.is_(None), nights.c.held_until < Now())
_IS_DUE = (nights.c.due_at <= Now(), _IS_FREE)
_DUE = select(nights.c.id).where(*_IS_DUE).order_by(nights.c.due_at).limit(_CANDIDATES)
_CLAIM = (
    update(nights)
    .where(nights.c.id == bindparam("night"), *_IS_DUE)
    .values(
        holder=bindparam("claimer"),
        held_until=Now() + bindparam("held_s"),
        fence=nights.c.fence + 1,
    )
    .returning(*_LEASED)
)
_MISS = (
    update(nights)
    .where(*_IS_DUE, nights.c.created_at < Now() - _MISSED_S)
    .values(state=NightState.SKIPPED, reason=_MISSED, ended_at=Now(), **_FREED)
    .returning(nights.c.id)
)
_STOP = (
    update(nights)
    .where(_OF, nights.c.ended_at.is_(None), nights.c.state != NightState.WAITING)
    .values(
        state=NightState.SKIPPED,
        reason=bindparam("why"),
        ended_at=Now(),
        # Whoever holds it finds its writes refused.
        fence=nights.c.fence + 1,
        **_FREED,
    )
    .returning(nights.c.id)
)
_HELD: tuple[ColumnElement[bool], ...] = (
    nights.c.id == bindparam("held_night"),
    nights.c.fence == bindparam("held_fence"),
    nights.c.holder == bindparam("held_by"),
)
_THIS = update(nights).where(*_HELD)
_FIGURES = select(nights.c.figures).where(*_HELD).with_for_update()
_FENCE = select(nights.c.fence).where(_OF).with_for_update()
_LIST = (
    select(nights)
    .where(nights.c.workspace == bindparam("its_workspace"))
    .order_by(nights.c.id.desc())
    .limit(bindparam("most"))
)
_LATELY = (
    select(nights.c.state, func.count().label("nights"))
    .where(or_(nights.c.ended_at.is_(None), nights.c.ended_at > Now() - bindparam("within_s")))
    .group_by(nights.c.state)
)
_LAST_ENDED = select(func.max(nights.c.ended_at))
_NEWEST = select(func.max(nights.c.created_at)).where(
    nights.c.workspace == bindparam("its_workspace")
)
_WROTE = select(func.min(conversations.c.created_at)).where(
    conversations.c.workspace == bindparam("its_workspace")
)
_SILENT = select(Now() - func.coalesce(_NEWEST.scalar_subquery(), _WROTE.scalar_subquery()))
_CLOCK = select(Now())
# From one workspace to the next in the index: there are few beside the conversations they have.
_FIRST = select(func.min(conversations.c.workspace).label("name")).cte("known", recursive=True)
_NEXT = (
    select(func.min(conversations.c.workspace))
    .where(conversations.c.workspace > _FIRST.c.name)
    .scalar_subquery()
)
_KNOWN = _FIRST.union_all(select(_NEXT).where(_FIRST.c.name.is_not(None)))
_WORKSPACES = select(_KNOWN.c.name).where(_KNOWN.c.name.is_not(None))
