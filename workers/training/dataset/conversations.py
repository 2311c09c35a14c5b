"""Conversations of the database as rows: what people answered, and what customers thought of it."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from core.adapters.database import Database
from core.adapters.tables import messages
from core.turn import Author, WorkspaceId
from workers.training.dataset.examples import Evidence, Example, Question, Reply, Said
from workers.training.dataset.licences import OWN
from workers.training.dataset.marks import marked

_BATCH = 2_000
_HISTORY = 8
_RATINGS = {1: "up", -1: "down"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message on the customer's side; `details` is how a bot's reply came about.

    `translated` are an agent's words as the customer read them, which no person has written;
    `other` is the same on the agent's side, in `other_language`, empty where nobody translated.
    `ids` are those of the messages that it is made of, `at` is when the first was written, in
    seconds since 1970. `rating` is 1, -1 or None.
    """

    conversation: int
    author: Author
    text: str
    language: str
    rating: int | None
    details: dict[str, Any]
    translated: bool = False
    other: str = ""
    other_language: str = ""
    ids: tuple[int, ...] = ()
    at: float = 0.0

    @property
    def passages(self) -> tuple[Evidence, ...]:
        """What the bot cited."""
        return tuple(
            Evidence(title=cited["title"], text=cited["passage"])
            for cited in self.details.get("citations", ())
            if cited["passage"].strip()
        )


async def read(database: Database, workspace: WorkspaceId, *, after: float = 0.0) -> list[Example]:
    """The rows of a workspace's conversations with a message since `after` (seconds since 1970).

    What an agent wrote in the customer's language is a reply to learn, one more if it mends what
    the customer had rated down (`rejected`). What the bot wrote counts only where the customer
    rated it. A reply rated up is also a question to the passages it cites.

    Raises: Unavailable: the database cannot be reached.
    """
    found: list[Example] = []
    async for said in logged(database, workspace, after=after):
        found.extend(_rows(said))
    return found


async def logged(
    database: Database, workspace: WorkspaceId, *, after: float = 0.0
) -> AsyncIterator[tuple[Line, ...]]:
    """What was said in each conversation with a message since `after`, by their ids.

    Notes among agents and what was taken back are left out.

    Raises: Unavailable: the database cannot be reached.
    """
    last = 0
    while lines := await database.read(partial(_lines, workspace, after, last)):
        for _, said in groupby(lines, key=lambda line: line.conversation):
            yield tuple(said)
        last = lines[-1].conversation


def _lines(workspace: str, after: float, last: int, connection: Connection) -> list[Line]:
    """All messages of the next conversations, in the order of their ids."""
    recent = (
        select(messages.c.conversation_id)
        .where(
            messages.c.workspace == workspace,
            messages.c.created_at >= after,
            messages.c.conversation_id > last,
        )
        .group_by(messages.c.conversation_id)
        .order_by(messages.c.conversation_id)
        .limit(_BATCH)
    )
    query = (
        select(messages)
        .where(
            messages.c.conversation_id.in_(recent),
            # What agents say among themselves, or take back, must never be learnt.
            messages.c.internal.is_(False),
            messages.c.deleted_at.is_(None),
        )
        .order_by(messages.c.conversation_id, messages.c.id)
    )
    lines = [_line(row) for row in connection.execute(query)]
    # Who has the conversation now is no reply to anything.
    return [
        line
        for line in lines
        if line.author is not Author.BOT or line.details.get("outcome") != "words"
    ]


def _line(row: Any) -> Line:
    """One message in the customer's language, in which the bot is to answer."""
    translated = row.author == Author.AGENT and row.translation is not None
    sides = (row.text, row.language), (row.translation or "", row.translation_language or "")
    (text, language), (other, other_language) = sides[::-1] if translated else sides
    return Line(
        conversation=row.conversation_id,
        author=Author(row.author),
        text=text,
        language=language,
        rating=row.rating,
        details=json.loads(row.details),
        translated=translated,
        other=other,
        other_language=other_language,
        ids=(row.id,),
        at=row.created_at,
    )


def _rows(said: Sequence[Line]) -> Iterator[Example]:
    lines = joined(said)
    for at, line in enumerate(lines):
        asked = told(lines[:at])
        if line.author is Author.CUSTOMER or not asked:
            continue
        if line.author is Author.AGENT:
            # Learning from a machine's translation would be learning from ourselves.
            if line.translated:
                continue
            yield _reply(line, asked, rejected=_mended(lines[:at]))
        elif line.rating in _RATINGS and line.details.get("outcome") == "answer":
            yield _reply(line, asked)
            if line.rating == 1:
                yield from _questions(line, asked[-1].text)


def joined(lines: Sequence[Line]) -> list[Line]:
    """The messages that say something; what an agent wrote in a row is one reply."""
    found: list[Line] = []
    for line in lines:
        if not line.text.strip():
            continue
        if found and line.author is found[-1].author is Author.AGENT:
            before = found[-1]
            found[-1] = replace(
                before,
                text=f"{before.text}\n{line.text}",
                translated=before.translated or line.translated,
                other=f"{before.other}\n{line.other}".strip(),
                ids=before.ids + line.ids,
            )
        else:
            found.append(line)
    return found


def told(before: Sequence[Line]) -> tuple[Said, ...]:
    """What was said up to the last message of the customer."""
    places = [at for at, line in enumerate(before) if line.author is Author.CUSTOMER]
    if not places:
        return ()
    recent = before[: places[-1] + 1][-_HISTORY:]
    return tuple(Said(author=line.author, text=line.text) for line in recent)


def _mended(before: Sequence[Line]) -> str:
    """The bot's reply to the same message, if the customer rated it down."""
    for line in reversed(before):
        if line.author is Author.CUSTOMER:
            return ""
        if line.author is Author.BOT and line.rating == -1:
            return line.text
    return ""


def _reply(line: Line, asked: tuple[Said, ...], rejected: str = "") -> Reply:
    passages = line.passages
    return Reply.model_validate(
        {
            **_about(line),
            "messages": asked,
            "passages": passages,
            "reply": marked(line.text, [passage.text for passage in passages]),
            "rejected": rejected,
            "rating": _RATINGS.get(line.rating) if line.rating is not None else None,
        }
    )


def _questions(line: Line, question: str) -> Iterator[Question]:
    for passage in line.passages:
        fields = {**_about(line), "query": question, "passage": passage.text}
        yield Question.model_validate(fields)


def _about(line: Line) -> dict[str, str]:
    return {
        "lang": line.language,
        "group": f"conversation:{line.conversation}",
        "source": f"conversations:{line.author}",
        "licence": OWN,
    }
