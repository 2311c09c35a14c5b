"""What customers did, each thing once."""

import json
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, case, delete, func, or_, select, update

from core.adapters.database import Database, Now
from core.adapters.handoffs import record
from core.adapters.tables import Seconds, conversations, desk_events, inbox, messages
from core.adapters.upsert import for_each_dialect
from core.cases import CaseId, EventKind
from core.errors import Rejected
from core.turn import Accepted, Address, Author, ConversationId, Inbound, Kind, Lease, Owner

MAX_ID_CHARS = 255


class SqlInbox:
    """The inbox port over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep what comes in in `database`."""
        self._database = database

    async def accept(
        self, inbound: Inbound, *, holder: str | None, held_s: float
    ) -> Accepted | None:
        """Commit one inbound, claiming its conversation in the same transaction if it is free."""
        _check_lengths(inbound)

        def work(connection: Connection) -> Accepted | None:
            conversation, owner = _open_conversation(connection, inbound)
            if not _keep(connection, conversation, inbound):
                return None
            if holder is None:
                return Accepted(conversation=conversation, lease=None, owner=owner)
            lease = claim(connection, conversation, holder=holder, held_s=held_s)
            return Accepted(conversation=conversation, lease=lease, owner=owner)

        return await self._database.write(work)

    async def rate(self, address: Address, turn: int, *, helpful: bool) -> bool:
        """Keep the customer's verdict, the last one if there are several."""
        place = select(conversations.c.id).where(
            conversations.c.workspace == address.workspace,
            conversations.c.channel == address.channel,
            conversations.c.place == address.place,
        )

        def work(connection: Connection) -> bool:
            result = connection.execute(
                update(messages)
                .where(
                    messages.c.inbox_id == turn,
                    messages.c.author == Author.BOT,
                    messages.c.conversation_id.in_(place),
                )
                .values(rating=1 if helpful else -1)
            )
            return result.rowcount > 0

        return await self._database.write(work)

    async def leave(self, address: Address) -> None:
        """Tell the desks that nobody reads on there, once for each case."""
        place = {
            "workspace": address.workspace,
            "channel": address.channel,
            "place": address.place,
        }

        def work(connection: Connection) -> None:
            left = connection.execute(_LEFT, place).first()
            if left is None or connection.scalar(_TOLD_SO, {"case_id": left.handoff_id}):
                return
            case_id = CaseId(left.handoff_id)
            record(connection, address.workspace, left.id, case_id, EventKind.LEFT)

        await self._database.write(work)


def _check_lengths(inbound: Inbound) -> None:
    ids = (inbound.event_id, inbound.address.place, inbound.customer, inbound.message_ref or "")
    if any(len(value) > MAX_ID_CHARS for value in ids):
        raise Rejected(f"an id of this message is longer than {MAX_ID_CHARS} characters")
    if not inbound.event_id or not inbound.address.place:
        raise Rejected("this message names no event or no place")


def _open_conversation(connection: Connection, inbound: Inbound) -> tuple[ConversationId, Owner]:
    address = inbound.address
    row = {
        "workspace": address.workspace,
        "channel": address.channel,
        "place": address.place,
        "customer": inbound.customer,
    }
    found = connection.execute(_OPEN[connection.dialect.name], row).one()
    return ConversationId(found.id), Owner(found.owner)


def _keep(connection: Connection, conversation: ConversationId, inbound: Inbound) -> bool:
    """Insert the row; an edit instead rewrites the message that it belongs to, if that is here."""
    if inbound.kind is Kind.EDIT and _rewrite(connection, conversation, inbound):
        return True
    row = _row(conversation, inbound)
    # An edit that overtook its original carries the whole text: it is the message.
    row["kind"] = Kind.MESSAGE if inbound.kind is Kind.EDIT else inbound.kind
    if inbound.kind is Kind.RATES and inbound.target is not None and inbound.target < 2**63:
        asked = {"here": conversation, "asked": inbound.target}
        row["target_id"] = connection.scalar(_ASKED, asked)
    return connection.execute(_KEEP[connection.dialect.name], row).first() is not None


def _row(conversation: ConversationId, inbound: Inbound) -> dict[str, object]:
    return {
        "workspace": inbound.address.workspace,
        "channel": inbound.address.channel,
        "event_id": inbound.event_id,
        "conversation_id": conversation,
        "message_ref": inbound.message_ref,
        "wrote": inbound.customer,
        "here": conversation,
        "version": inbound.version,
        "kind": inbound.kind,
        "text": inbound.text,
        "language_hint": inbound.language_hint,
        "attachments": json.dumps([asdict(item) for item in inbound.attachments]),
        "told_at": inbound.sent_at or None,
    }


def _rewrite(connection: Connection, conversation: ConversationId, inbound: Inbound) -> bool:
    """Apply an edit; True if the message is known, whether or not the edit was news."""
    mine = (
        inbox.c.conversation_id == conversation,
        inbox.c.message_ref == inbound.message_ref,
    )
    known = connection.execute(select(inbox.c.id, inbox.c.text).where(*mine)).first()
    if known is None:
        return False
    changed = connection.execute(
        update(inbox)
        .where(*mine, inbox.c.version < inbound.version)
        .values(text=inbound.text, version=inbound.version)
    )
    # The platform also tells of what changes no words: bold letters, another photo.
    same = known.text == inbound.text != ""
    if changed.rowcount and not same:
        # What was answered already is corrected in the transcript, not answered again.
        _correct(connection, conversation, known.id, inbound)
    return True


def _correct(
    connection: Connection, conversation: ConversationId, row: int, inbound: Inbound
) -> None:
    """Let the transcript, and the people who read it, have what a customer's message says now.

    Its translation said something else: a turn of its own is read anew for them, like the message.
    """
    gone = not inbound.text.strip()
    changes = {"deleted_at": Now()} if gone else {"edited_at": Now()}
    line = connection.scalar(
        update(messages)
        .where(messages.c.inbox_id == row, messages.c.author == Author.CUSTOMER)
        .values(**changes, text=inbound.text, translation=None, translation_language=None)
        .returning(messages.c.id)
    )
    # What an earlier edit said nobody needs to read any more.
    earlier = delete(inbox).where(inbox.c.conversation_id == conversation)
    connection.execute(earlier.where(inbox.c.target_id == row))
    where = connection.execute(
        select(conversations.c.workspace, conversations.c.owner, conversations.c.handoff_id).where(
            conversations.c.id == conversation
        )
    ).one()
    if line is None or where.owner not in (Owner.WAITING, Owner.HUMAN) or not where.handoff_id:
        return
    if gone:
        record(
            connection,
            where.workspace,
            conversation,
            CaseId(where.handoff_id),
            EventKind.DELETED,
            message=line,
        )
    else:
        edit = {**_row(conversation, inbound), "message_ref": None, "target_id": row}
        connection.execute(_KEEP[connection.dialect.name], edit)


def claim(
    connection: Connection, conversation: ConversationId, *, holder: str, held_s: float
) -> Lease | None:
    """Take the lease of a conversation, whose row is locked already, if it is free or lapsed."""
    wanted = {"conversation": conversation, "claimer": holder, "held_s": held_s}
    row = connection.execute(_CLAIM, wanted).first()
    if row is None:
        return None
    return Lease(conversation=conversation, holder=holder, fence=row.fence, attempts=row.attempts)


# Statements are built once: putting one together costs far more than running it.
_OPEN = for_each_dialect(
    lambda insert: (
        insert(conversations)
        .values(due_at=Now(), created_at=Now())
        .on_conflict_do_update(
            index_elements=["workspace", "channel", "place"],
            # An earlier due time (a postponed parcel) must not be pushed back.
            set_={
                "due_at": case(
                    (conversations.c.due_at < Now(), conversations.c.due_at), else_=Now()
                )
            },
        )
        .returning(conversations.c.id, conversations.c.owner)
    )
)
_BEGAN = (
    select(conversations.c.customer)
    .where(conversations.c.id == bindparam("here"))
    .scalar_subquery()
)
_LEFT = (
    select(conversations.c.id, conversations.c.handoff_id)
    .where(
        conversations.c.workspace == bindparam("workspace"),
        conversations.c.channel == bindparam("channel"),
        conversations.c.place == bindparam("place"),
        conversations.c.owner.in_((Owner.WAITING, Owner.HUMAN)),
        conversations.c.handoff_id.is_not(None),
    )
    .with_for_update(key_share=True)
)
_TOLD_SO = (
    select(desk_events.c.id)
    .where(desk_events.c.handoff_id == bindparam("case_id"), desk_events.c.kind == EventKind.LEFT)
    .limit(1)
)
# What a customer says was asked of them, if it was, and here.
_ASKED = select(inbox.c.id).where(
    inbox.c.id == bindparam("asked"),
    inbox.c.conversation_id == bindparam("here"),
    inbox.c.kind == Kind.CHANGE,
)
_KEEP = for_each_dialect(
    lambda insert: (
        insert(inbox)
        .values(
            customer=func.nullif(bindparam("wrote", type_=inbox.c.customer.type), _BEGAN),
            sent_at=func.coalesce(bindparam("told_at", type_=Seconds), Now()),
            received_at=Now(),
        )
        .on_conflict_do_nothing()
        .returning(inbox.c.id)
    )
)
_CLAIM = (
    update(conversations)
    .where(
        conversations.c.id == bindparam("conversation"),
        or_(conversations.c.held_until.is_(None), conversations.c.held_until < Now()),
    )
    .values(
        holder=bindparam("claimer"),
        held_until=Now() + bindparam("held_s"),
        fence=conversations.c.fence + 1,
        attempts=conversations.c.attempts + 1,
    )
    .returning(conversations.c.fence, conversations.c.attempts)
)
