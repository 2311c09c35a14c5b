"""What somebody had in hand who may do less from now on goes back to the company."""

from sqlalchemy import Connection, bindparam, delete, select, update

from core.adapters.handoffs import change_hands, customer_spoke
from core.adapters.tables import conversations, handoffs, sessions
from core.cases import CaseId, Change
from core.staff import AccountId
from core.turn import ConversationId, Owner, WorkspaceId

INVITATION = "invitation"


def void_links(connection: Connection, account: AccountId) -> None:
    """Void the links that somebody made: through one of their own they would walk in again."""
    connection.execute(_LINKS, {"account": account})


def release_cases(connection: Connection, workspace: WorkspaceId, account: AccountId) -> None:
    """Let the customers whom somebody has wait for another agent.

    Who has had their answer is told nothing: they wait for none.
    """
    # All are locked before anything is written: of what happened, one transaction writes at a time.
    for row in connection.execute(_HELD, {"account": account}).all():
        case_id, conversation = CaseId(row.case_id), ConversationId(row.conversation)
        waits = row.waiting_since is not None
        release(connection, workspace, conversation, case_id, Change.LAPSED, told=waits)


def release(
    connection: Connection,
    workspace: WorkspaceId,
    conversation: ConversationId,
    case_id: CaseId,
    change: Change,
    *,
    by: AccountId | None = None,
    told: bool = True,
) -> None:
    """Let a locked conversation wait for another agent; its customer need not be `told`."""
    connection.execute(_RELEASE, {"case_id": case_id})
    if told:
        # Who has had their answer waits from now on as well.
        customer_spoke(connection, conversation)
    waiting = Owner.WAITING
    change_hands(
        connection, workspace, conversation, case_id, waiting, change, account=by, told=told
    )


# Statements are built once: putting one together costs far more than running it.
_LINKS = delete(sessions).where(
    sessions.c.kind == INVITATION, sessions.c.made_by == bindparam("account")
)
_HELD = (
    select(
        conversations.c.id.label("conversation"),
        handoffs.c.id.label("case_id"),
        conversations.c.waiting_since,
    )
    .join(handoffs, handoffs.c.id == conversations.c.handoff_id)
    .where(
        conversations.c.owner == Owner.HUMAN,
        handoffs.c.account_id == bindparam("account"),
        handoffs.c.ended_at.is_(None),
    )
    .order_by(conversations.c.id)
    .with_for_update(of=conversations, key_share=True)
)
_RELEASE = update(handoffs).where(handoffs.c.id == bindparam("case_id")).values(account_id=None)
