"""The cases of a workspace as agents see them: the inbox, one conversation, and what is new."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, or_, select

from core.adapters.database import Database, Now
from core.adapters.tables import accounts, conversations, desk_events, handoffs, inbox, messages
from core.cases import (
    Case,
    CaseId,
    DeskEvent,
    DeskLine,
    EventId,
    EventKind,
    Filter,
    Waiting,
)
from core.staff import AccountId
from core.turn import Attachment, Author, Channel, ConversationId, Owner, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

# What names an agent's reply in the inbox of a channel, so that no customer's event can.
AGENTS = "agent:"


class Cases:
    """What the desks read; every method stays inside the workspace that it is given."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def list(
        self,
        workspace: WorkspaceId,
        which: Filter = Filter.OPEN,
        *,
        agent: AccountId | None = None,
        limit: int = 200,
    ) -> tuple[Waiting, ...]:
        """Cases by urgency, then by how long the customer waits; ended ones newest first."""
        wanted = _LISTED.where(handoffs.c.workspace == workspace, _which(which, agent)).limit(limit)
        order = (
            (handoffs.c.ended_at.desc(),)
            if which is Filter.ENDED
            else (
                handoffs.c.priority.desc(),
                func.coalesce(conversations.c.waiting_since, handoffs.c.opened_at),
                handoffs.c.id,
            )
        )
        rows = await self._database.read(
            lambda connection: connection.execute(wanted.order_by(*order)).all()
        )
        return tuple(
            Waiting(
                case=case_in(row),
                waited_s=row.waited_s or 0.0,
                last_message=row.last_message or "",
            )
            for row in rows
        )

    async def counts(
        self, workspace: WorkspaceId, *, agent: AccountId | None = None
    ) -> Mapping[Filter, int]:
        """How many cases each filter would show, but for what has ended: that is all there was."""
        live = [which for which in Filter if which is not Filter.ENDED]
        counted = (
            select(*(func.count().filter(_which(which, agent)).label(which) for which in live))
            .select_from(
                handoffs.join(conversations, conversations.c.id == handoffs.c.conversation_id)
            )
            .where(handoffs.c.workspace == workspace, handoffs.c.ended_at.is_(None))
        )
        row = await self._database.read(lambda connection: connection.execute(counted).one())
        return {which: row._mapping[which] for which in live}

    async def get(self, workspace: WorkspaceId, conversation: ConversationId) -> Case | None:
        """The newest case of a conversation; None if it never had one in this workspace."""

        def work(connection: Connection) -> Case | None:
            found = newest_case(connection, conversation)
            return found if found is not None and found.workspace == workspace else None

        return await self._database.read(work)

    async def lines(
        self, workspace: WorkspaceId, conversation: ConversationId, *, after: int = 0
    ) -> tuple[DeskLine, ...]:
        """The transcript of a conversation, notes and all, with an id above `after`."""
        wanted = {"workspace": workspace, "conversation": conversation, "after": after}

        def work(connection: Connection) -> tuple[DeskLine, ...]:
            return tuple(line_in(row) for row in connection.execute(_LINES, wanted))

        return await self._database.read(work)

    async def last_lines(
        self, workspace: WorkspaceId, conversation: ConversationId, limit: int
    ) -> tuple[DeskLine, ...]:
        """The end of the transcript of a conversation, notes and all, oldest first."""
        newest_first = (
            _LINES_OF.where(
                messages.c.workspace == workspace, messages.c.conversation_id == conversation
            )
            .order_by(messages.c.id.desc())
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(newest_first).all())
        return tuple(line_in(row) for row in reversed(rows))

    async def events(
        self, workspace: WorkspaceId, *, after: EventId, limit: int = 200
    ) -> tuple[DeskEvent, ...]:
        """What happened since an event, oldest first; nothing below it is still to come."""

        def work(connection: Connection) -> tuple[DeskEvent, ...]:
            newer = _EVENTS.where(desk_events.c.workspace == workspace, desk_events.c.id > after)
            rows = connection.execute(newer.limit(limit)).all()
            return events_in(connection, rows)

        return await self._database.read(work)

    async def latest(self, workspace: WorkspaceId) -> EventId:
        """The newest event; 0 if there is none."""
        newest = select(func.max(desk_events.c.id)).where(desk_events.c.workspace == workspace)
        found = await self._database.read(lambda connection: connection.scalar(newest))
        return EventId(found or 0)


def newest_case(connection: Connection, conversation: ConversationId) -> Case | None:
    """The newest case of a conversation, inside a transaction."""
    row = connection.execute(_NEWEST, {"conversation": conversation}).first()
    return case_in(row) if row is not None else None


def these_cases(connection: Connection, ids: Sequence[int]) -> Mapping[CaseId, Case]:
    """The cases with some ids, inside a transaction."""
    rows = connection.execute(_THESE, {"ids": ids}) if ids else ()
    return {found.id: found for found in map(case_in, rows)}


def lines_between(
    connection: Connection,
    conversation: ConversationId,
    after: int | None,
    before: int | None,
    limit: int,
) -> tuple[DeskLine, ...]:
    """The last lines of a conversation between two, both left out, inside a transaction."""
    wanted = _LINES_OF.where(messages.c.conversation_id == conversation)
    if after is not None:
        wanted = wanted.where(messages.c.id > after)
    if before is not None:
        wanted = wanted.where(messages.c.id < before)
    newest_first = connection.execute(wanted.order_by(messages.c.id.desc()).limit(limit)).all()
    return tuple(line_in(row) for row in reversed(newest_first))


def last_said(
    connection: Connection, conversation: ConversationId, limit: int
) -> tuple[DeskLine, ...]:
    """The last lines that customers may read and nobody took back, inside a transaction."""
    wanted = _LINES_OF.where(
        messages.c.conversation_id == conversation,
        messages.c.internal.is_(False),
        messages.c.deleted_at.is_(None),
    )
    newest_first = connection.execute(wanted.order_by(messages.c.id.desc()).limit(limit)).all()
    return tuple(line_in(row) for row in reversed(newest_first))


def event_after(
    connection: Connection, conversation: ConversationId, after: EventId
) -> DeskEvent | None:
    """The first event of a conversation above one, inside a transaction."""
    newer = _EVENTS.where(desk_events.c.conversation_id == conversation, desk_events.c.id > after)
    found = events_in(connection, connection.execute(newer.limit(1)).all())
    return found[0] if found else None


def events_in(connection: Connection, rows: Sequence[SqlRow]) -> tuple[DeskEvent, ...]:
    """The events in some rows, with their lines and their cases as they stand now."""
    said = {"ids": list({row.message_id for row in rows} - {None})}
    lines = [line_in(row) for row in connection.execute(_THESE_LINES, said)] if said["ids"] else ()
    line_of = {line.id: line for line in lines}
    case_of = these_cases(connection, list({row.handoff_id for row in rows} - {None}))
    return tuple(
        _event(row, line_of.get(row.message_id), case_of.get(row.handoff_id)) for row in rows
    )


def _event(row: SqlRow, line: DeskLine | None, about: Case | None) -> DeskEvent:
    return DeskEvent(
        id=EventId(row.id),
        kind=EventKind(row.kind),
        conversation=ConversationId(row.conversation_id),
        case=about,
        created_at=row.created_at,
        line=line,
        actor=row.actor or "",
        account=AccountId(row.account_id) if row.account_id is not None else None,
        details=row.details,
    )


def case_in(row: SqlRow) -> Case:
    """The case in a row of the statements below."""
    return Case(
        id=CaseId(row.id),
        conversation=ConversationId(row.conversation_id),
        workspace=WorkspaceId(row.workspace),
        channel=Channel(row.channel),
        customer=row.customer,
        owner=Owner(row.owner),
        reason=row.reason,
        language=row.language or row.customer_language,
        opened_at=row.opened_at,
        priority=row.priority,
        waiting_since=row.waiting_since if row.ended_at is None else None,
        due_at=row.due_at,
        snoozed_until=row.snoozed_until,
        agent=AccountId(row.account_id) if row.account_id is not None else None,
        agent_name=row.agent_name or "",
        claimed_at=row.claimed_at,
        first_answer_at=row.first_answer_at,
        ended_at=row.ended_at,
        ending=row.ending or "",
        briefing=row.briefing or "",
        rating=row.rating,
        comment=row.comment or "",
    )


def line_in(row: SqlRow) -> DeskLine:
    """The line in a row of the statements below."""
    details = json.loads(row.details)
    return DeskLine(
        id=row.id,
        author=Author(row.author),
        text=row.text,
        language=row.language,
        created_at=row.created_at,
        translation=row.translation,
        translation_language=row.translation_language,
        name=row.name or "",
        account=AccountId(row.account_id) if row.account_id is not None else None,
        internal=row.internal,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
        attachments=tuple(Attachment(**file) for file in details.get("attachments") or ()),
        event_id=(row.event_id or "").removeprefix(AGENTS) if row.author == Author.AGENT else "",
        fault=details.get("fault") or "",
        details=row.details,
    )


def _which(which: Filter, agent: AccountId | None) -> Any:
    hidden = and_(handoffs.c.snoozed_until.is_not(None), handoffs.c.snoozed_until > Now())
    live = handoffs.c.ended_at.is_(None)
    return {
        Filter.OPEN: and_(live, ~hidden),
        Filter.WAITING: and_(live, ~hidden, conversations.c.owner == Owner.WAITING),
        Filter.MINE: and_(
            live, ~hidden, conversations.c.owner == Owner.HUMAN, handoffs.c.account_id == agent
        ),
        Filter.OTHERS: and_(
            live,
            ~hidden,
            conversations.c.owner == Owner.HUMAN,
            or_(handoffs.c.account_id.is_(None), handoffs.c.account_id != (agent or 0)),
        ),
        Filter.SNOOZED: and_(live, hidden),
        Filter.ENDED: handoffs.c.ended_at.is_not(None),
    }[which]


# What no desk shows.
_OF_OTHERS = {"suggestion_fate", "active_at", "briefed_to", "read_in"}
# Statements are built once: putting one together costs far more than running it.
_COLUMNS = (
    *(column for column in handoffs.c if column.name not in _OF_OTHERS),
    conversations.c.channel,
    conversations.c.customer,
    conversations.c.language,
    # Of a case that has ended, the conversation may be in other hands again.
    case(
        (handoffs.c.ended_at.is_(None), conversations.c.owner),
        (handoffs.c.ending == "resolved", Owner.CLOSED.value),
        else_=Owner.BOT.value,
    ).label("owner"),
    conversations.c.waiting_since,
    accounts.c.name.label("agent_name"),
)
_FROM = handoffs.join(conversations, conversations.c.id == handoffs.c.conversation_id).outerjoin(
    accounts, accounts.c.id == handoffs.c.account_id
)
_CASES: Select[Any] = select(*_COLUMNS).select_from(_FROM)
_NEWEST = (
    _CASES.where(handoffs.c.conversation_id == bindparam("conversation"))
    .order_by(handoffs.c.id.desc())
    .limit(1)
)
_THESE = _CASES.where(handoffs.c.id.in_(bindparam("ids", expanding=True)))
_LAST_MESSAGE = (
    select(func.coalesce(messages.c.translation, messages.c.text))
    .where(
        messages.c.conversation_id == handoffs.c.conversation_id,
        messages.c.author == Author.CUSTOMER,
    )
    .order_by(messages.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_LISTED = _CASES.add_columns(
    case((handoffs.c.ended_at.is_(None), Now() - conversations.c.waiting_since), else_=None).label(
        "waited_s"
    ),
    _LAST_MESSAGE.label("last_message"),
)
_LINES_OF: Select[Any] = select(
    messages.c.id,
    messages.c.author,
    messages.c.text,
    messages.c.language,
    messages.c.translation,
    messages.c.translation_language,
    messages.c.account_id,
    messages.c.internal,
    messages.c.edited_at,
    messages.c.deleted_at,
    messages.c.details,
    messages.c.created_at,
    # Of a customer's words only who else than the conversation's own customer wrote them.
    func.coalesce(
        accounts.c.name, case((messages.c.author == Author.CUSTOMER, inbox.c.customer))
    ).label("name"),
    inbox.c.event_id,
).select_from(
    messages.outerjoin(accounts, accounts.c.id == messages.c.account_id).outerjoin(
        inbox, inbox.c.id == messages.c.inbox_id
    )
)
_LINES = _LINES_OF.where(
    messages.c.workspace == bindparam("workspace"),
    messages.c.conversation_id == bindparam("conversation"),
    messages.c.id > bindparam("after"),
).order_by(messages.c.id)
_THESE_LINES = _LINES_OF.where(messages.c.id.in_(bindparam("ids", expanding=True)))
_EVENTS: Select[Any] = (
    select(
        desk_events.c.id,
        desk_events.c.kind,
        desk_events.c.conversation_id,
        desk_events.c.handoff_id,
        desk_events.c.message_id,
        desk_events.c.account_id,
        desk_events.c.details,
        desk_events.c.created_at,
        accounts.c.name.label("actor"),
    )
    .select_from(desk_events.outerjoin(accounts, accounts.c.id == desk_events.c.account_id))
    # What a newer release beside this one tells is passed over.
    .where(desk_events.c.kind.in_(EventKind))
    .order_by(desk_events.c.id)
)
