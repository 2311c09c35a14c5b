"""Where one platform's desk shows which conversation, and how far, under leases."""

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update

from core.adapters.cases import event_after, lines_between, newest_case
from core.adapters.database import Database, Now
from core.adapters.handoffs import SAID, in_order
from core.adapters.tables import desk_events, desk_lines, desk_threads, handoffs
from core.adapters.upsert import for_each_dialect
from core.cases import DeskLine, EventId, EventKind, Showing, ThreadLease
from core.errors import LeaseLost
from core.turn import Channel, ConversationId, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

# Of what was said before, as many lines stand at the top of a thread.
LINES_BEFORE = 30


class SqlThreads:
    """The threads port over SQL, for the desk of one workspace on one channel."""

    def __init__(self, database: Database, workspace: WorkspaceId, channel: Channel) -> None:
        """Keep the threads in `database`."""
        self._database = database
        self._desk: dict[str, str] = {"its_workspace": workspace, "its_channel": channel}

    async def claim_due(self, *, holder: str, held_s: float, limit: int) -> tuple[ThreadLease, ...]:
        """Take what has something to show that nobody else is showing."""

        def look(connection: Connection) -> tuple[bool, bool]:
            new = connection.execute(_NEW, self._desk).first() is not None
            due = connection.execute(_DUE, {**self._desk, "limit": 1}).first() is not None
            return new, due

        new, due = await self._database.read(look)
        if not new and not due:
            return ()

        def work(connection: Connection) -> tuple[ThreadLease, ...]:
            if new:
                # An event that is being recorded looks for a thread to make due: it has to be
                # committed before the thread is there, or to come after it.
                in_order(connection, self._desk["its_workspace"])
                connection.execute(_ADD[connection.dialect.name], self._desk)
            taken = []
            for row in connection.execute(_DUE, {**self._desk, "limit": limit}).all():
                claim = {"thread": row.id, "claimer": holder, "held_s": held_s}
                lease = connection.execute(_CLAIM, claim).first()
                if lease is not None:
                    taken.append(
                        ThreadLease(
                            thread=row.id,
                            holder=holder,
                            fence=lease.fence,
                            failures=lease.failures,
                        )
                    )
            return tuple(taken)

        return await self._database.write(work)

    async def next(self, lease: ThreadLease) -> Showing | None:
        """What to show next; None, and the lease is given back, if there is nothing."""

        def work(connection: Connection) -> Showing | None:
            row = _locked(connection, lease)
            conversation = ConversationId(row.conversation_id)
            event = event_after(connection, conversation, EventId(row.shown))
            case_ = newest_case(connection, conversation)
            unopened = row.place is None and case_ is not None and case_.ended_at is None
            if case_ is None or (event is None and not unopened):
                connection.execute(_LET_GO, _of(lease))
                return None
            reopens = event is not None and event.kind is EventKind.OPENED
            lines: tuple[DeskLine, ...] = ()
            if row.place is None or reopens:
                lines = _lines(connection, row, is_new=row.place is None)
            if event is not None and reopens:
                event = replace(event, lines=lines)
            return Showing(place=row.place, case=case_, event=event, lines=lines)

        return await self._database.write(work)

    async def opened(self, lease: ThreadLease, place: str | None, *, held_s: float) -> None:
        """Keep the place; None if it is gone, and has to be made anew."""

        def work(connection: Connection) -> None:
            _locked(connection, lease)
            connection.execute(_OPENED, {**_of(lease), "made": place, "held_s": held_s})

        await self._database.write(work)

    async def shown(
        self, lease: ThreadLease, event: EventId, ref: str, *, held_s: float, error: str = ""
    ) -> None:
        """Go on behind an event, shown as `ref`, or given up with `error`."""

        def work(connection: Connection) -> None:
            _locked(connection, lease)
            gone_on = {**_of(lease), "event": event, "held_s": held_s, "why": error or None}
            connection.execute(_SHOWN, gone_on)
            if ref:
                message = connection.scalar(_MESSAGE, {"event": event})
                line = {
                    "workspace": self._desk["its_workspace"],
                    "channel": self._desk["its_channel"],
                    "ref": ref,
                    "event_id": event,
                    "message_id": message,
                }
                connection.execute(_KEEP_REF[connection.dialect.name], line)

        await self._database.write(work)

    async def put_back(self, lease: ThreadLease, *, retry_in_s: float, error: str) -> None:
        """Let go, to be tried again later."""
        later = {**_of(lease), "retry_in_s": retry_in_s, "why": error}
        await self._database.write(lambda connection: connection.execute(_PUT_BACK, later).rowcount)

    async def conversation_at(self, place: str) -> ConversationId | None:
        """Which conversation is shown at a place; None if it is none of ours."""
        wanted = {**self._desk, "its_place": place}
        found = await self._database.read(lambda c: c.scalar(_AT, wanted))
        return ConversationId(found) if found is not None else None


def _lines(connection: Connection, thread: SqlRow, *, is_new: bool) -> tuple[DeskLine, ...]:
    """What was said before the first event that a thread does not show yet.

    With people each line is an event, of which a thread made anew shows the last ones as well. A
    thread that goes on needs what was said while the bot had the conversation: agents may have
    written notes meanwhile, which stand there already.
    """
    around = {"conversation": thread.conversation_id, "after": thread.shown}
    details = connection.scalar(_HANDS_CHANGED, around)
    said = json.loads(details).get(SAID) if details is not None else None
    shown = connection.scalar(_LAST_SHOWN if is_new else _LAST_SAID, around)
    last = max((line for line in (shown, said) if line is not None), default=None)
    first = connection.scalar(_FIRST_UNSHOWN, around)
    if is_new and last is not None:
        return lines_between(connection, thread.conversation_id, None, last + 1, LINES_BEFORE)
    lines = lines_between(connection, thread.conversation_id, last, first, LINES_BEFORE)
    notes = set(connection.scalars(_NOTES_SHOWN, around))
    return tuple(line for line in lines if line.id not in notes)


def _locked(connection: Connection, lease: ThreadLease) -> SqlRow:
    row = connection.execute(_LOCK, _of(lease)).first()
    if row is None:
        raise LeaseLost(f"desk thread {lease.thread}")
    return row


def _of(lease: ThreadLease) -> dict[str, object]:
    return {
        "held_thread": lease.thread,
        "held_fence": lease.fence,
        "held_by": lease.holder,
    }


# Statements are built once: putting one together costs far more than running it.
_MINE = (
    desk_threads.c.workspace == bindparam("its_workspace"),
    desk_threads.c.channel == bindparam("its_channel"),
)
_UNTHREADED = ~(
    select(desk_threads.c.id)
    .where(
        desk_threads.c.conversation_id == handoffs.c.conversation_id,
        desk_threads.c.channel == bindparam("its_channel"),
    )
    .exists()
)
_OPEN_CASES = (
    handoffs.c.ended_at.is_(None),
    handoffs.c.workspace == bindparam("its_workspace"),
    _UNTHREADED,
)
_NEW = select(handoffs.c.id).where(*_OPEN_CASES).limit(1)
# A new thread begins with the case: the event that opened it says nothing more.
_BEGINNING = (
    select(func.max(desk_events.c.id))
    .where(
        desk_events.c.conversation_id == handoffs.c.conversation_id,
        desk_events.c.handoff_id == handoffs.c.id,
        desk_events.c.kind == EventKind.OPENED,
    )
    .correlate(handoffs)
    .scalar_subquery()
)
_TO_ADD = {
    "workspace": handoffs.c.workspace,
    "channel": bindparam("its_channel", type_=desk_threads.c.channel.type),
    "conversation_id": handoffs.c.conversation_id,
    "shown": func.coalesce(_BEGINNING, 0),
    "due_at": Now(),
}
_ADD = for_each_dialect(
    lambda insert: (
        insert(desk_threads)
        .from_select(list(_TO_ADD), select(*_TO_ADD.values()).where(*_OPEN_CASES))
        .on_conflict_do_nothing()
    )
)
_FREE = or_(desk_threads.c.held_until.is_(None), desk_threads.c.held_until < Now())
_DUE = (
    select(desk_threads.c.id)
    .where(*_MINE, desk_threads.c.due_at <= Now(), _FREE)
    .order_by(desk_threads.c.due_at)
    .limit(bindparam("limit"))
)
_CLAIM = (
    update(desk_threads)
    .where(desk_threads.c.id == bindparam("thread"), _FREE)
    .values(
        holder=bindparam("claimer"),
        held_until=Now() + bindparam("held_s"),
        fence=desk_threads.c.fence + 1,
    )
    .returning(desk_threads.c.fence, desk_threads.c.failures)
)
_HELD = (
    desk_threads.c.id == bindparam("held_thread"),
    desk_threads.c.fence == bindparam("held_fence"),
    desk_threads.c.holder == bindparam("held_by"),
)
_LOCK = (
    select(desk_threads.c.conversation_id, desk_threads.c.place, desk_threads.c.shown)
    .where(*_HELD)
    .with_for_update()
)
_THIS = update(desk_threads).where(*_HELD)
_LET_GO = _THIS.values(holder=None, held_until=None, due_at=None, failures=0)
_STILL = Now() + bindparam("held_s")
_OPENED = _THIS.values(place=bindparam("made"), held_until=_STILL)
_SHOWN = _THIS.values(
    shown=bindparam("event"), held_until=_STILL, failures=0, error=bindparam("why")
)
_PUT_BACK = _THIS.values(
    holder=None,
    held_until=None,
    failures=desk_threads.c.failures + 1,
    due_at=Now() + bindparam("retry_in_s"),
    error=bindparam("why"),
)
_MESSAGE = select(desk_events.c.message_id).where(desk_events.c.id == bindparam("event"))
_KEEP_REF = for_each_dialect(lambda insert: insert(desk_lines).on_conflict_do_nothing())
_FIRST_UNSHOWN = select(func.min(desk_events.c.message_id)).where(
    desk_events.c.conversation_id == bindparam("conversation"),
    desk_events.c.id > bindparam("after"),
    desk_events.c.kind.in_((EventKind.MESSAGE, EventKind.NOTE)),
)
_HANDS_CHANGED = (
    select(desk_events.c.details)
    .where(
        desk_events.c.conversation_id == bindparam("conversation"),
        desk_events.c.id <= bindparam("after"),
        desk_events.c.kind.in_((EventKind.OPENED, EventKind.RETURNED, EventKind.RESOLVED)),
    )
    .order_by(desk_events.c.id.desc())
    .limit(1)
)
_SHOWN_HERE = (
    desk_events.c.conversation_id == bindparam("conversation"),
    desk_events.c.id <= bindparam("after"),
)
_LAST_SHOWN = select(func.max(desk_events.c.message_id)).where(*_SHOWN_HERE)
_LAST_SAID = _LAST_SHOWN.where(desk_events.c.kind == EventKind.MESSAGE)
_NOTES_SHOWN = select(desk_events.c.message_id).where(
    *_SHOWN_HERE, desk_events.c.kind == EventKind.NOTE
)
_AT = select(desk_threads.c.conversation_id).where(
    *_MINE, desk_threads.c.place == bindparam("its_place")
)
