"""Lines of the transcript: copied from the inbox, added, changed and struck out."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from core.adapters.database import Now
from core.adapters.handoffs import UNDETERMINED
from core.adapters.tables import inbox, messages
from core.turn import (
    Agent,
    Answer,
    Author,
    Clarify,
    Handoff,
    Heard,
    Kind,
    Served,
    Spoken,
    Turn,
    Words,
)


def copy_customers_words(
    connection: Connection, turn: Turn, served: Served | None, heard: Heard | None
) -> list[int]:
    """Copy the customer's messages into the transcript; their ids there."""
    if turn.kind in (Kind.CHOOSES_LANGUAGE, Kind.CHANGE):
        return []
    if turn.kind is Kind.RATES and (served is None or served.survey is None):
        # A digit that rated nothing says nothing.
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


def add_bots_words(connection: Connection, turn: Turn, said: Served) -> int:
    """Write what the bot replied; its id in the transcript."""
    line = {
        **_belongs_to(turn),
        "author": Author.BOT,
        "text": said.outcome.text,
        "language": said.language,
        "details": json.dumps(details(turn, said), ensure_ascii=False),
    }
    return int(connection.execute(_ADD_TO_TRANSCRIPT, line).scalar_one())


def add_agents_words(
    connection: Connection, turn: Turn, agent: Agent, served: Served | None, line: Spoken
) -> int:
    """Write what an agent said; its id in the transcript."""
    row = {
        **_belongs_to(turn),
        **_as_read(line),
        "author": Author.AGENT,
        "account_id": agent.id,
        "details": _agents_details(turn, served, line),
    }
    return int(connection.execute(_ADD_TO_TRANSCRIPT, row).scalar_one())


def rewrite(connection: Connection, turn: Turn, served: Served | None, line: Spoken) -> int | None:
    """Change the agent's line that a turn is about; its id, None if nobody has written it."""
    change = {
        "target": turn.target,
        **_as_read(line),
        "details": _agents_details(turn, served, line),
    }
    return connection.execute(_REWRITE, change).scalar()


def strike(connection: Connection, turn: Turn) -> int | None:
    """Strike out the agent's line that a turn is about; its id, None if it is not there."""
    return connection.execute(_STRIKE, {"target": turn.target}).scalar()


def correct(connection: Connection, turn: Turn, line: Spoken) -> int | None:
    """Give a customer's changed line its translation; its id, None if it was changed again."""
    found = connection.execute(_CORRECTED, {"target": turn.target, "said": line.text}).first()
    if found is None:
        return None
    known = json.loads(found.details) | {"fault": line.fault}
    change = {**_as_read(line), "details": json.dumps(known, ensure_ascii=False)}
    connection.execute(_READ, {"line": found.id, **change})
    return int(found.id)


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
