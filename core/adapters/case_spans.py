"""Which lines of a conversation belong to one of its cases."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from core.adapters.tables import handoffs, inbox, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The lines with an id above `after`, up to `last`; it is None while the case goes on."""

    after: int
    last: int | None


def span_of(connection: Connection, case: int, *, since_resolved: bool = False) -> Span:
    """From where the case before it ended, to where this one did.

    A case that was returned to the bot is often about the same: with `since_resolved` it counts as
    the beginning of this one.
    """
    ended = _RESOLVED_BEFORE if since_resolved else _ENDED_BEFORE
    row = connection.execute(ended, {"case_id": case}).first()
    if row is None:
        # Its customer was erased meanwhile.
        return Span(after=0, last=0)
    return Span(
        after=_last_until(connection, row.conversation_id, row.before) or 0,
        last=_last_until(connection, row.conversation_id, row.ended_at),
    )


def _last_until(connection: Connection, conversation: int, at: float | None) -> int | None:
    """The last line of what was said by then; 0 if nothing was, None if there is no then."""
    if at is None:
        return None
    return connection.scalar(_LAST_UNTIL, {"conversation": conversation, "at": at}) or 0


# Statements are built once: putting one together costs far more than running it.
_EARLIER = handoffs.alias()
_BEFORE = select(func.max(_EARLIER.c.ended_at)).where(
    _EARLIER.c.conversation_id == handoffs.c.conversation_id, _EARLIER.c.id < handoffs.c.id
)
_CASE = select(handoffs.c.conversation_id, handoffs.c.ended_at).where(
    handoffs.c.id == bindparam("case_id")
)
_ENDED_BEFORE = _CASE.add_columns(_BEFORE.correlate(handoffs).scalar_subquery().label("before"))
_RESOLVED_BEFORE = _CASE.add_columns(
    _BEFORE.where(_EARLIER.c.ending == "resolved")
    .correlate(handoffs)
    .scalar_subquery()
    .label("before")
)
# What an agent sends is in the transcript once it is translated: they may have ended the case by
# then.
_LAST_UNTIL = (
    select(func.max(messages.c.id))
    .select_from(messages.outerjoin(inbox, inbox.c.id == messages.c.inbox_id))
    .where(
        messages.c.conversation_id == bindparam("conversation"),
        func.coalesce(inbox.c.received_at, messages.c.created_at) <= bindparam("at"),
    )
)
