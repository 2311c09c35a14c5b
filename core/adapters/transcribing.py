"""What was said goes into the transcript, to the customer and to the desks, as one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from core.adapters.database import Now
from core.adapters.handoffs import (
    ANY_EPOCH,
    agent_answered,
    customer_spoke,
    last_case,
    open_case,
    record,
)
from core.adapters.lines import (
    add_agents_words,
    add_bots_words,
    copy_customers_words,
    correct,
    rewrite,
    strike,
)
from core.adapters.tables import conversations, handoffs, inbox, outbox
from core.cases import CaseId, EventKind
from core.turn import Handoff, Heard, Kind, Owner, Served, Survey, Turn, Words

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any


def write(
    connection: Connection,
    conversation: SqlRow,
    turn: Turn,
    served: Served | None,
    heard: Heard | None,
) -> None:
    """Write a turn into the locked `conversation`: what was said, and what that changes."""
    if turn.kind is Kind.EDIT:
        _write_correction(connection, turn, heard)
        return
    if turn.kind is Kind.AGENT_EDIT:
        _write_edit(connection, turn, served, heard)
        return
    if turn.kind is Kind.AGENT_REPLY:
        _write_agents_words(connection, turn, served, heard)
        return
    said = copy_customers_words(connection, turn, served, heard)
    if served is not None:
        replied = add_bots_words(connection, turn, served)
        # What says who has the conversation is an event of its own on every desk.
        said += [replied] if turn.kind is not Kind.CHANGE else []
    with_people = conversation.owner in (Owner.WAITING, Owner.HUMAN) and conversation.handoff_id
    # A rating is an event of its own as well, and of another case than people have now.
    if with_people and turn.kind is not Kind.RATES:
        _tell_desks(connection, turn, said, CaseId(conversation.handoff_id))
    if served is not None:
        # A turn that is given up is written whoever has taken over since it was read.
        _note_outcome(connection, turn, served, Owner(conversation.owner))
    elif heard is not None:
        _note_language(connection, turn, heard.language, chosen=heard.chosen)


def write_parcels(connection: Connection, turn: Turn, bodies: Sequence[str]) -> None:
    """Put what the customer is to be sent into the outbox, in order."""
    shared = {
        "workspace": turn.address.workspace,
        "conversation_id": turn.conversation,
        "inbox_id": turn.id,
        "epoch": ANY_EPOCH if turn.kind.by_agent else turn.epoch,
    }
    arrived = _parcels_of(connection, turn) if turn.kind is Kind.AGENT_EDIT else {}
    for part in sorted({*range(len(bodies)), *arrived}):
        body = bodies[part] if part < len(bodies) else ""
        parcel = {**shared, "part": part, "body": body, "replaces": arrived.get(part)}
        connection.execute(_ADD_PARCEL, parcel)


def _write_agents_words(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> None:
    """Write an agent's reply; one that was taken back before it was read leaves nothing."""
    if heard is None or not heard.lines or turn.agent is None:
        return
    [line] = heard.lines
    message = add_agents_words(connection, turn, turn.agent, served, line)
    case_id = last_case(connection, turn.conversation)
    record(
        connection,
        turn.address.workspace,
        turn.conversation,
        case_id,
        EventKind.MESSAGE,
        message=message,
        account=turn.agent.id,
        details={"fault": line.fault} if line.fault else None,
    )
    if case_id is not None:
        agent_answered(connection, turn.conversation, case_id)


def _write_edit(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> None:
    """Change a line of an agent's, or strike it out."""
    if heard is None or turn.agent is None:
        return
    [line] = heard.lines
    gone = not line.text.strip() and not turn.attachments
    if gone:
        message = strike(connection, turn)
    else:
        message = rewrite(connection, turn, served, line)
        if message is None:
            # Taken back before anybody read it, and said after all.
            _write_agents_words(connection, turn, served, heard)
    if message is not None:
        record(
            connection,
            turn.address.workspace,
            turn.conversation,
            last_case(connection, turn.conversation),
            EventKind.DELETED if gone else EventKind.EDITED,
            message=message,
            account=turn.agent.id,
        )


def _write_correction(connection: Connection, turn: Turn, heard: Heard | None) -> None:
    """Show people what a customer has changed, unless it was changed again or nobody reads it."""
    if heard is None:
        return
    [line] = heard.lines
    message = correct(connection, turn, line)
    if message is None:
        return
    record(
        connection,
        turn.address.workspace,
        turn.conversation,
        last_case(connection, turn.conversation),
        EventKind.EDITED,
        message=message,
    )


def _tell_desks(connection: Connection, turn: Turn, lines: Sequence[int], case_id: CaseId) -> None:
    for message in lines:
        record(
            connection,
            turn.address.workspace,
            turn.conversation,
            case_id,
            EventKind.MESSAGE,
            message=message,
        )
    if lines and not turn.kind.by_agent:
        customer_spoke(connection, turn.conversation)


def _note_outcome(connection: Connection, turn: Turn, said: Served, owner: Owner) -> None:
    """Keep what the reply changes about the conversation, which `owner` has."""
    if said.survey is not None:
        _keep_survey(connection, turn, said.survey)
        return
    if turn.kind is Kind.CHANGE:
        _keep_promise(connection, turn, said)
        return
    _note_language(connection, turn, said.language, chosen=said.chosen)
    outcome = said.outcome
    if not isinstance(outcome, Handoff):
        if owner is Owner.CLOSED:
            # Whoever writes again starts anew with the bot.
            connection.execute(_REOPEN, {"conversation": turn.conversation})
    elif owner is Owner.WAITING:
        urgency = {"conversation": turn.conversation, "urgency": outcome.priority}
        connection.execute(_HURRY, urgency)
    elif owner is not Owner.HUMAN:
        open_case(
            connection,
            turn.address.workspace,
            turn.conversation,
            reason=outcome.reason,
            language=said.language,
            priority=outcome.priority,
            due_at=outcome.due_at,
        )


def _note_language(
    connection: Connection, turn: Turn, language: str | None, *, chosen: bool
) -> None:
    chosen = chosen or turn.chosen
    if language and (language, chosen) != (turn.language, turn.chosen):
        noted = {"conversation": turn.conversation, "language": language, "chosen": chosen}
        connection.execute(_NOTE, noted)


def _keep_promise(connection: Connection, turn: Turn, said: Served) -> None:
    """A customer whose agent was away was told another time."""
    if isinstance(said.outcome, Words) and said.outcome.due_at is not None:
        promised = {"conversation": turn.conversation, "promised_at": said.outcome.due_at}
        connection.execute(_PROMISE, promised)


def _keep_survey(connection: Connection, turn: Turn, survey: Survey) -> None:
    kept = {"rating": survey.rating, "comment": survey.comment or None}
    connection.execute(_RATE, {"rated": survey.case, **kept})
    record(
        connection,
        turn.address.workspace,
        turn.conversation,
        CaseId(survey.case),
        EventKind.RATED,
        details=kept,
    )


def _parcels_of(connection: Connection, turn: Turn) -> dict[int, int]:
    """The parcels of the reply that a turn changes by part, but for those taken back.

    A part may stay where others went: a file that the platform does not let go of.
    """
    wanted = {"conversation": turn.conversation, "target": turn.target}
    return {row.part: row.id for row in connection.execute(_PARCELS, wanted)}


# Statements are built once: putting one together costs far more than running it.
_ADD_PARCEL = insert(outbox).values(created_at=Now())
_THIS = conversations.c.id == bindparam("conversation")
_NOTE = update(conversations).where(_THIS)
_REOPEN = _NOTE.values(owner=Owner.BOT, handoff_id=None, reason=None, waiting_since=None)
_HURRY = (
    update(handoffs)
    .where(
        handoffs.c.id == select(conversations.c.handoff_id).where(_THIS).scalar_subquery(),
        handoffs.c.priority < bindparam("urgency"),
    )
    .values(priority=bindparam("urgency"))
)
_PROMISE = (
    update(handoffs)
    .where(
        handoffs.c.id == select(conversations.c.handoff_id).where(_THIS).scalar_subquery(),
        handoffs.c.ended_at.is_(None),
    )
    .values(due_at=bindparam("promised_at"))
)
_RATE = update(handoffs).where(handoffs.c.id == bindparam("rated"))
# An edit may have made a reply longer: its first parts replace, the others are further ones.
_OF_REPLY = select(inbox.c.id).where(
    inbox.c.conversation_id == bindparam("conversation"),
    (inbox.c.id == bindparam("target")) | (inbox.c.target_id == bindparam("target")),
)
_LATER = outbox.alias("later")
_PARCELS = (
    select(outbox.c.part, outbox.c.id)
    .where(
        outbox.c.inbox_id.in_(_OF_REPLY),
        outbox.c.replaces.is_(None),
        ~select(_LATER.c.id)
        .where(
            _LATER.c.conversation_id == bindparam("conversation"),
            _LATER.c.replaces == outbox.c.id,
            _LATER.c.body == "",
            _LATER.c.state.in_(("pending", "sending", "sent")),
        )
        .exists(),
    )
    .order_by(outbox.c.part, outbox.c.id)
)
