"""Stays of conversations with people, written inside the transactions that change hands."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, case, func, insert, or_, select, text, update

from core.adapters.database import Now
from core.adapters.tables import (
    conversations,
    desk_events,
    desk_threads,
    handoffs,
    inbox,
    messages,
)
from core.cases import CaseId, Change, EventId, EventKind
from core.turn import ConversationId, Kind, Owner, WorkspaceId

# What no change of hands makes stale: an agent's words.
ANY_EPOCH = 2**31 - 1
# BCP 47 for a text whose language nobody has determined.
UNDETERMINED = "und"
# What names a change of hands in the inbox of a channel; the number of its event follows.
OF_DESK = "desk:"
# In the details of an event: the last line when the conversation came to people, or went.
SAID = "said"


def open_case(
    connection: Connection,
    workspace: WorkspaceId,
    conversation: ConversationId,
    *,
    reason: str,
    language: str,
    priority: int = 0,
    due_at: float | None = None,
    waits: bool = True,
) -> CaseId:
    """Put a conversation into the queue, in a transaction that has locked its row.

    Nobody `waits` where an agent takes over without being asked.
    """
    opened = connection.execute(
        _OPEN,
        {
            "workspace": workspace,
            "conversation_id": conversation,
            "reason": reason,
            "customer_language": language,
            "priority": priority,
            "due_at": due_at,
        },
    ).scalar_one()
    connection.execute(_QUEUE, {"conversation": conversation, "why": reason, "opened": opened})
    if not waits:
        connection.execute(_NOBODY_WAITS, {"conversation": conversation})
    said = _said_so_far(connection, conversation)
    record(connection, workspace, conversation, CaseId(opened), EventKind.OPENED, details=said)
    return CaseId(opened)


def record(
    connection: Connection,
    workspace: WorkspaceId,
    conversation: ConversationId,
    case_id: CaseId | None,
    kind: EventKind,
    *,
    message: int | None = None,
    account: int | None = None,
    details: Mapping[str, object] | None = None,
) -> EventId:
    """Add what happened to the log that every desk reads, and make their threads due."""
    in_order(connection, workspace)
    event = connection.execute(
        _RECORD,
        {
            "workspace": workspace,
            "conversation_id": conversation,
            "handoff_id": case_id,
            "kind": kind,
            "message_id": message,
            "account_id": account,
            "details": json.dumps(details or {}, ensure_ascii=False),
        },
    ).scalar_one()
    connection.execute(_MAKE_DUE, {"conversation": conversation})
    return EventId(event)


def in_order(connection: Connection, workspace: str) -> None:
    """Let no other event of the workspace get a number until the commit.

    So whoever has read up to a number has missed none below it.
    """
    # SQLite has one writer anyway.
    if connection.dialect.name == "postgresql":
        connection.execute(_IN_ORDER, {"workspace": workspace})


def tell_customer(
    connection: Connection,
    conversation: ConversationId,
    change: Change,
    *,
    event: EventId,
    account: int | None,
) -> None:
    """Let the customer know who has the conversation now, behind what is under way already."""
    told = {
        "conversation": conversation,
        "event_id": f"{OF_DESK}{event}",
        "kind": Kind.CHANGE,
        "text": change,
        "account_id": account,
    }
    connection.execute(_TELL, told)
    serve_soon(connection, conversation)


def change_hands(
    connection: Connection,
    workspace: WorkspaceId,
    conversation: ConversationId,
    case_id: CaseId | None,
    owner: Owner,
    change: Change,
    *,
    account: int | None = None,
    told: bool = True,
) -> None:
    """Give a locked conversation to somebody else, and say so to desks and, if `told`, customer.

    What the bot has not sent by now it will not send.
    """
    connection.execute(_HAND, {"conversation": conversation, "new_owner": owner})
    event = record(
        connection,
        workspace,
        conversation,
        case_id,
        EventKind(change),
        account=account,
        details=_said_so_far(connection, conversation),
    )
    if told:
        tell_customer(connection, conversation, change, event=event, account=account)


def serve_soon(connection: Connection, conversation: ConversationId) -> None:
    """Make a conversation due, for the next sweep of any process if nobody is faster."""
    connection.execute(_SERVE, {"conversation": conversation})


def customer_spoke(connection: Connection, conversation: ConversationId) -> None:
    """The customer waits from now on, unless they do already; nobody hides them any longer."""
    connection.execute(_WAITS, {"conversation": conversation})
    connection.execute(_UNHIDE, {"conversation": conversation})


def agent_answered(connection: Connection, conversation: ConversationId, case_id: CaseId) -> None:
    """The last word is the agent's."""
    connection.execute(_ANSWERED, {"case_id": case_id})
    connection.execute(_NO_LONGER_WAITS, {"conversation": conversation})


def _said_so_far(connection: Connection, conversation: ConversationId) -> Mapping[str, object]:
    """Tells desks which lines come later: those below a case's are shown with its beginning."""
    return {SAID: connection.scalar(_LAST_LINE, {"conversation": conversation}) or 0}


def last_case(connection: Connection, conversation: ConversationId) -> CaseId | None:
    """The newest stay of a conversation with people, whether it has ended or not."""
    newest = connection.scalar(_LAST, {"conversation": conversation})
    return CaseId(newest) if newest is not None else None


# Statements are built once: putting one together costs far more than running it.
_OPEN = insert(handoffs).values(opened_at=Now()).returning(handoffs.c.id)
_THIS = conversations.c.id == bindparam("conversation")
_QUEUE = (
    update(conversations)
    .where(_THIS)
    .values(
        owner=Owner.WAITING,
        reason=bindparam("why"),
        handoff_id=bindparam("opened"),
        waiting_since=Now(),
    )
)
_NOBODY_WAITS = update(conversations).where(_THIS).values(waiting_since=None)
_IN_ORDER = text("select pg_advisory_xact_lock(hashtext('desk_events'), hashtext(:workspace))")
_RECORD = insert(desk_events).values(created_at=Now()).returning(desk_events.c.id)
# A time that stands there stays: a platform that told us to wait has to be waited for. The row is
# locked in any case, so that who is about to find nothing more to show finds this.
_MAKE_DUE = (
    update(desk_threads)
    .where(desk_threads.c.conversation_id == bindparam("conversation"))
    .values(due_at=func.coalesce(desk_threads.c.due_at, Now()))
)
_OF_CONVERSATION = {
    "workspace": conversations.c.workspace,
    "channel": conversations.c.channel,
    "conversation_id": conversations.c.id,
    "event_id": bindparam("event_id", type_=inbox.c.event_id.type),
    "kind": bindparam("kind", type_=inbox.c.kind.type),
    "text": bindparam("text", type_=inbox.c.text.type),
    "account_id": bindparam("account_id", type_=inbox.c.account_id.type),
    "sent_at": Now(),
    "received_at": Now(),
}
_TELL = insert(inbox).from_select(
    list(_OF_CONVERSATION), select(*_OF_CONVERSATION.values()).where(_THIS)
)
_SERVE = (
    update(conversations)
    .where(_THIS)
    .values(
        # An earlier due time (a postponed parcel) must not be pushed back.
        due_at=case((conversations.c.due_at < Now(), conversations.c.due_at), else_=Now())
    )
)
_HAND = (
    update(conversations)
    .where(_THIS)
    .values(owner=bindparam("new_owner"), epoch=conversations.c.epoch + 1)
)
_WITH_PEOPLE = conversations.c.owner.in_((Owner.WAITING, Owner.HUMAN))
_WAITS = (
    update(conversations)
    .where(_THIS, _WITH_PEOPLE)
    .values(waiting_since=func.coalesce(conversations.c.waiting_since, Now()))
)
_UNHIDE = (
    update(handoffs)
    .where(
        handoffs.c.conversation_id == bindparam("conversation"),
        handoffs.c.ended_at.is_(None),
        handoffs.c.snoozed_until.is_not(None),
    )
    .values(snoozed_until=None)
)
_ANSWERED = (
    update(handoffs)
    .where(handoffs.c.id == bindparam("case_id"))
    .values(first_answer_at=func.coalesce(handoffs.c.first_answer_at, Now()), active_at=Now())
)
_NO_LONGER_WAITS = (
    update(conversations)
    .where(_THIS, or_(conversations.c.owner == Owner.HUMAN, conversations.c.owner == Owner.CLOSED))
    .values(waiting_since=None)
)
_LAST_LINE = select(func.max(messages.c.id)).where(
    messages.c.conversation_id == bindparam("conversation")
)
_LAST = select(func.max(handoffs.c.id)).where(
    handoffs.c.conversation_id == bindparam("conversation")
)
