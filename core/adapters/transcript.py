"""What was said in a conversation, as its customer may read it."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, case, or_, select

from core.adapters.database import Database
from core.adapters.tables import conversations, inbox, messages
from core.turn import Address, Author, Owner

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message; `details` is JSON about how a bot's reply came about.

    What agents wrote is in the customer's words. `changed_at` is when it was last changed or
    taken back, 0 if never; what was taken back has no text. `event_id` is that of what a customer
    wrote, as long as the inbox has it, and `rating` their verdict on a reply: 1 helpful, -1 not.
    """

    id: int
    author: Author
    text: str
    language: str
    details: str
    created_at: float
    changed_at: float = 0.0
    event_id: str = ""
    rating: int | None = None


class Transcript:
    """The messages of conversations, oldest first, without what agents say among themselves."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def lines(
        self, address: Address, after: int = 0, *, changed_after: float | None = None
    ) -> tuple[Line, ...]:
        """The messages of one conversation with an id above `after`.

        With `changed_after`, also those that were changed or taken back since that time.
        """
        wanted = {
            "workspace": address.workspace,
            "channel": address.channel,
            "place": address.place,
            "after": after,
            # Nothing is changed as late as that.
            "changed_after": changed_after if changed_after is not None else 1e18,
        }

        def work(connection: Connection) -> tuple[Line, ...]:
            return tuple(_line(row) for row in connection.execute(_LINES, wanted))

        return await self._database.read(work)

    async def spoken(self, address: Address) -> str | None:
        """The language in which the bot wrote last; None if it never did."""
        wanted = {
            "workspace": address.workspace,
            "channel": address.channel,
            "place": address.place,
        }
        return await self._database.read(lambda connection: connection.scalar(_SPOKEN, wanted))

    async def is_with_people(self, address: Address) -> bool:
        """Whether a person has the conversation, or it waits for one."""
        wanted = {
            "workspace": address.workspace,
            "channel": address.channel,
            "place": address.place,
        }
        owner = await self._database.read(lambda connection: connection.scalar(_OWNER, wanted))
        return owner in (Owner.WAITING, Owner.HUMAN)


def _line(row: SqlRow) -> Line:
    text, language = row.text, row.language
    if row.author == Author.AGENT:
        # As it was sent, with a note where nobody could translate it.
        text = json.loads(row.details).get("shown") or row.translation or row.text
        language = row.translation_language or row.language
    return Line(
        id=row.id,
        author=Author(row.author),
        text="" if row.deleted_at is not None else text,
        language=language,
        details=row.details,
        created_at=row.created_at,
        changed_at=row.changed_at or 0.0,
        event_id=(row.event_id or "") if row.author == Author.CUSTOMER else "",
        rating=row.rating,
    )


# Statements are built once: putting one together costs far more than running it.
_THERE = (
    conversations.c.workspace == bindparam("workspace"),
    conversations.c.channel == bindparam("channel"),
    conversations.c.place == bindparam("place"),
)
_OWNER = select(conversations.c.owner).where(*_THERE)
_SPOKEN = (
    select(messages.c.language)
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(*_THERE, messages.c.author == Author.BOT, messages.c.internal.is_(False))
    .order_by(messages.c.id.desc())
    .limit(1)
)
_LINES = (
    select(
        messages.c.id,
        messages.c.author,
        messages.c.text,
        messages.c.language,
        messages.c.translation,
        messages.c.translation_language,
        messages.c.details,
        messages.c.created_at,
        messages.c.deleted_at,
        case(
            (messages.c.deleted_at.is_not(None), messages.c.deleted_at),
            else_=messages.c.edited_at,
        ).label("changed_at"),
        messages.c.rating,
        inbox.c.event_id,
    )
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .outerjoin(inbox, inbox.c.id == messages.c.inbox_id)
    .where(
        *_THERE,
        messages.c.internal.is_(False),
        or_(
            messages.c.id > bindparam("after"),
            messages.c.edited_at > bindparam("changed_after"),
            messages.c.deleted_at > bindparam("changed_after"),
        ),
    )
    .order_by(messages.c.id)
)
