"""What stands where on one platform's desk, for whoever reads and writes there."""

from sqlalchemy import bindparam, func, select, update

from core.adapters.cases import AGENTS
from core.adapters.database import Database, Now
from core.adapters.tables import (
    conversations,
    desk_events,
    desk_lines,
    desk_threads,
    inbox,
    messages,
)
from core.cases import EventKind
from core.turn import Author, Channel, ConversationId, Owner, WorkspaceId


class DeskPlaces:
    """The threads and messages of one workspace's desk on one channel."""

    def __init__(self, database: Database, workspace: WorkspaceId, channel: Channel) -> None:
        """Look them up in `database`."""
        self._database = database
        self._desk = {"its_workspace": workspace, "its_channel": channel}

    async def place_of(self, conversation: ConversationId) -> str | None:
        """Where a conversation is shown; None while it is nowhere."""
        wanted = {**self._desk, "conversation": conversation}
        return await self._database.read(lambda c: c.scalar(_PLACE, wanted))

    async def conversation_at(self, place: str) -> ConversationId | None:
        """Which conversation is shown at a place; None if it is none of ours."""
        wanted = {**self._desk, "where": place}
        found = await self._database.read(lambda c: c.scalar(_AT, wanted))
        return ConversationId(found) if found is not None else None

    async def places(self, within_s: float) -> tuple[str, ...]:
        """Where people have conversations, or had one until lately."""
        wanted = {**self._desk, "within_s": within_s}
        return await self._database.read(lambda c: tuple(c.execute(_PLACES, wanted).scalars()))

    async def lost(self, place: str) -> None:
        """Note that a place was deleted: it is made anew if people have the conversation."""
        gone = {**self._desk, "where": place}
        await self._database.write(lambda c: c.execute(_LOST, gone).rowcount)

    async def shown_as(self, line: int) -> str | None:
        """The platform's id of our copy of a line; None if there is none."""
        wanted = {**self._desk, "line": line}
        return await self._database.read(lambda c: c.scalar(_SHOWN_AS, wanted))

    async def reply_shown_as(self, ref: str) -> str | None:
        """What names the agent's reply of which a message is our copy; None if it is of none."""
        wanted = {**self._desk, "ref": ref}
        found = await self._database.read(lambda c: c.scalar(_REPLY_SHOWN_AS, wanted))
        return found.removeprefix(AGENTS) if found is not None else None

    async def written_as(self, line: int) -> str | None:
        """The platform's id of a note that was written there; None if it was not."""
        wanted = {**self._desk, "line": line}
        return await self._database.read(lambda c: c.scalar(_WRITTEN_AS, wanted))

    async def is_note(self, ref: str) -> bool:
        """Whether a message of the platform was kept as a note."""
        wanted = {**self._desk, "ref": ref}
        return await self._database.read(lambda c: c.scalar(_NOTE, wanted)) is not None

    async def is_reply(self, conversation: ConversationId, event_id: str) -> bool:
        """Whether what an agent did under that id was kept as a reply to the customer."""
        wanted = {"conversation": conversation, "event_id": AGENTS + event_id}
        return await self._database.read(lambda c: c.scalar(_REPLY, wanted)) is not None

    async def claimed_at(self, conversation: ConversationId) -> float:
        """When an agent last took a conversation; 0 if nobody did."""
        wanted = {"conversation": conversation}
        return await self._database.read(lambda c: c.scalar(_CLAIMED_AT, wanted)) or 0.0


# Statements are built once: putting one together costs far more than running it.
_MINE = (
    desk_threads.c.workspace == bindparam("its_workspace"),
    desk_threads.c.channel == bindparam("its_channel"),
)
_PLACE = select(desk_threads.c.place).where(
    *_MINE, desk_threads.c.conversation_id == bindparam("conversation")
)
_IS_AT = desk_threads.c.place == bindparam("where")
_AT = select(desk_threads.c.conversation_id).where(*_MINE, _IS_AT)
_WITH_PEOPLE = conversations.c.owner.in_((Owner.WAITING, Owner.HUMAN))
_LATELY = (
    select(desk_events.c.id)
    .where(
        desk_events.c.conversation_id == desk_threads.c.conversation_id,
        desk_events.c.created_at > Now() - bindparam("within_s"),
    )
    .exists()
)
_PLACES = (
    select(desk_threads.c.place)
    .join(conversations, conversations.c.id == desk_threads.c.conversation_id)
    .where(*_MINE, desk_threads.c.place.is_not(None), _WITH_PEOPLE | _LATELY)
    .order_by(desk_threads.c.id.desc())
)
_LOST = (
    update(desk_threads)
    .where(*_MINE, _IS_AT)
    .values(place=None, due_at=func.coalesce(desk_threads.c.due_at, Now()))
)
_REFS = (
    desk_lines.c.workspace == bindparam("its_workspace"),
    desk_lines.c.channel == bindparam("its_channel"),
)
_OF_LINE = select(desk_lines.c.ref).where(*_REFS, desk_lines.c.message_id == bindparam("line"))
# What the mirror copied names the event; what an agent wrote there does not.
_SHOWN_AS = _OF_LINE.where(desk_lines.c.event_id.is_not(None)).limit(1)
_REPLY_SHOWN_AS = (
    select(inbox.c.event_id)
    .join(messages, messages.c.inbox_id == inbox.c.id)
    .join(desk_lines, desk_lines.c.message_id == messages.c.id)
    .where(
        *_REFS,
        desk_lines.c.ref == bindparam("ref"),
        desk_lines.c.event_id.is_not(None),
        messages.c.author == Author.AGENT,
    )
)
_WRITTEN_AS = _OF_LINE.where(desk_lines.c.event_id.is_(None)).limit(1)
_NOTE = select(desk_lines.c.message_id).where(
    *_REFS,
    desk_lines.c.ref == bindparam("ref"),
    desk_lines.c.event_id.is_(None),
    desk_lines.c.message_id.is_not(None),
)
_REPLY = select(inbox.c.id).where(
    inbox.c.conversation_id == bindparam("conversation"),
    inbox.c.event_id == bindparam("event_id"),
)
_CLAIMED_AT = select(func.max(desk_events.c.created_at)).where(
    desk_events.c.conversation_id == bindparam("conversation"),
    desk_events.c.kind == EventKind.CLAIMED,
)
