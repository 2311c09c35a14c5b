"""What was said goes into the transcript, to the customer and to the desks, as one transaction."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from core.adapters.database import Now
from core.adapters.handoffs import (
    ANY_EPOCH,
    UNDETERMINED,
    agent_answered,
    customer_spoke,
    last_case,
    open_case,
    record,
)
from core.adapters.tables import conversations, handoffs, inbox, messages, outbox
from core.cases import CaseId, EventKind
from core.turn import (
    Answer,
    Author,
    Clarify,
    Handoff,
    Heard,
    Kind,
    Owner,
    Served,
    Spoken,
    Survey,
    Turn,
    Words,
)

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
    said = _customers_words(connection, turn, served, heard)
    if served is not None:
        replied = _bots_words(connection, turn, served)
        # What says who has the conversation is an event of its own on every desk.
        said += [replied] if turn.kind is not Kind.CHANGE else []
    if conversation.owner in (Owner.WAITING, Owner.HUMAN) and conversation.handoff_id:
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


def _customers_words(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> list[int]:
    """Copy the customer's messages into the transcript; their ids there."""
    if turn.kind in (Kind.CHOOSES_LANGUAGE, Kind.CHANGE):
        return []
    spoken = served.language if served is not None else turn.language or UNDETERMINED
    lines: Sequence[Spoken | None] = heard.lines if heard and heard.lines else [None] * 10
    written: list[int] = []
    for (row, _), line in zip(turn.rows, lines, strict=False):
        copy = {
            "row": row,
            "spoken": line.language if line else spoken,
            "translated": line.translation if line else None,
            "into": line.translation_language if line else None,
            "more": f', "fault": {json.dumps(line.fault)}' if line and line.fault else "",
        }
        written += connection.execute(_COPY_TO_TRANSCRIPT, copy).scalars().all()
    return written


def _bots_words(connection: Connection, turn: Turn, said: Served) -> int:
    line = {
        **_belongs_to(turn),
        "author": Author.BOT,
        "text": said.outcome.text,
        "language": said.language,
        "details": json.dumps(details(turn, said), ensure_ascii=False),
    }
    return int(connection.execute(_ADD_TO_TRANSCRIPT, line).scalar_one())


def _write_agents_words(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> None:
    """Write an agent's reply; one that was taken back before it was read leaves nothing."""
    if heard is None or not heard.lines or turn.agent is None:
        return
    [line] = heard.lines
    row = {
        **_belongs_to(turn),
        **_as_read(line),
        "author": Author.AGENT,
        "account_id": turn.agent.id,
        "details": _agents_details(turn, served, line),
    }
    message = connection.execute(_ADD_TO_TRANSCRIPT, row).scalar_one()
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


def _agents_details(turn: Turn, served: Served | None, line: Spoken) -> str:
    """What the customer reads of an agent's words, as they were sent, and under which name."""
    said = {
        "turn": turn.target or turn.id,
        "outcome": "words",
        "shown": served.outcome.text if served is not None else line.text,
        "sender": served.outcome.sender if served and isinstance(served.outcome, Words) else "",
        "attachments": [asdict(file) for file in turn.attachments],
        "fault": line.fault,
    }
    return json.dumps(said, ensure_ascii=False)


def _write_edit(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> None:
    """Change a line of an agent's, or strike it out."""
    if heard is None or turn.agent is None:
        return
    [line] = heard.lines
    gone = not line.text.strip() and not turn.attachments
    change = {
        "target": turn.target,
        **_as_read(line),
        "details": _agents_details(turn, served, line),
    }
    if gone:
        message = connection.execute(_STRIKE, {"target": turn.target}).scalar()
    else:
        message = connection.execute(_REWRITE, change).scalar()
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
    which = {"target": turn.target, "said": line.text}
    found = connection.execute(_CORRECTED, which).first()
    if found is None:
        return
    known = json.loads(found.details) | {"fault": line.fault}
    change = {**_as_read(line), "details": json.dumps(known, ensure_ascii=False)}
    connection.execute(_READ, {"line": found.id, **change})
    record(
        connection,
        turn.address.workspace,
        turn.conversation,
        last_case(connection, turn.conversation),
        EventKind.EDITED,
        message=found.id,
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


def _belongs_to(turn: Turn) -> dict[str, object]:
    return {
        "workspace": turn.address.workspace,
        "conversation_id": turn.conversation,
        "inbox_id": turn.target or turn.id,
    }


def _as_read(line: Spoken) -> dict[str, object]:
    return {
        "text": line.text,
        "language": line.language,
        "translation": line.translation,
        "translation_language": line.translation_language,
    }


def details(turn: Turn, served: Served) -> dict[str, object]:
    """How a reply came about, in the form that the transcript and `dragoman ask` show."""
    outcome = served.outcome
    citations = outcome.citations if isinstance(outcome, Answer) else ()
    return {
        "turn": turn.id,
        "outcome": type(outcome).__name__.lower(),
        **({"asks_rating": outcome.asks_rating} if isinstance(outcome, Words) else {}),
        "reason": outcome.reason if isinstance(outcome, Handoff) else None,
        "citations": [
            {
                "document": passage.document,
                "title": passage.title,
                "passage": passage.text,
                "source": passage.source,
                "language": passage.language,
            }
            for passage in citations
        ],
        "choices": list(outcome.choices) if isinstance(outcome, Clarify) else [],
        "offer_languages": list(served.offer_languages),
        "verbatim": outcome.verbatim if isinstance(outcome, Answer) else False,
        "probability": served.probability,
        "model": served.model,
        "index": served.index,
        "encoder": served.encoder,
        "timings_ms": served.timings_ms,
    }


# Statements are built once: putting one together costs far more than running it.
_TO_COPY = {
    "workspace": inbox.c.workspace,
    "conversation_id": inbox.c.conversation_id,
    "inbox_id": inbox.c.id,
    "author": literal(Author.CUSTOMER.value),
    "text": inbox.c.text,
    "language": bindparam("spoken", type_=messages.c.language.type),
    "translation": bindparam("translated", type_=messages.c.translation.type),
    "translation_language": bindparam("into", type_=messages.c.translation_language.type),
    "details": literal('{"attachments": ')
    + inbox.c.attachments
    + bindparam("more", type_=messages.c.details.type)
    + literal("}"),
    "created_at": inbox.c.received_at,
}
_COPY_TO_TRANSCRIPT = (
    insert(messages)
    .from_select(
        list(_TO_COPY),
        select(*_TO_COPY.values()).where(
            inbox.c.id == bindparam("row"),
            (inbox.c.text != "") | (inbox.c.attachments != "[]"),
        ),
    )
    .returning(messages.c.id)
)
_ADD_TO_TRANSCRIPT = insert(messages).values(created_at=Now()).returning(messages.c.id)
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
_RATE = update(handoffs).where(handoffs.c.id == bindparam("rated"))
_LINE = update(messages).where(
    messages.c.inbox_id == bindparam("target"),
    messages.c.author == Author.AGENT,
)
_CORRECTED = select(messages.c.id, messages.c.details).where(
    messages.c.inbox_id == bindparam("target"),
    messages.c.author == Author.CUSTOMER,
    messages.c.text == bindparam("said"),
    messages.c.deleted_at.is_(None),
)
_READ = update(messages).where(messages.c.id == bindparam("line"))
# What was taken back is there again once its author changes it to something.
_REWRITE = _LINE.values(edited_at=Now(), deleted_at=None).returning(messages.c.id)
_STRIKE = (
    _LINE.where(messages.c.deleted_at.is_(None)).values(deleted_at=Now()).returning(messages.c.id)
)
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
