"""What is known of conversations, for those who look on from outside."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, or_, select, update

from core.adapters.database import Database, Now
from core.adapters.handoffs import ANY_EPOCH
from core.adapters.tables import conversations, inbox, outbox
from core.turn import Address, Channel, Owner, WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """How much went wrong and wants a person's eye: a count each."""

    parked: int
    unknown: int
    refused: int
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many conversations wait for this program, the longest for `oldest_s`.

    `waiting` for a person are conversations of every workspace.
    """

    due: int
    oldest_s: float
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a customer; `ref` and `sent_at` are the platform's."""

    ref: str
    text: str
    sent_at: float
    files: bool


class Conversations:
    """The conversations of a workspace, seen from outside."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def known(self, address: Address, *, before: float | None = None) -> bool:
        """Whether anybody has written there, and first at `before` or earlier.

        `before` is in seconds since 1970 by the platform's clock.
        """
        wanted = select(conversations.c.id).where(*_at(address))
        if before is not None:
            # Only messages have the platform's time; where none is left, nobody knows better.
            began = (
                select(func.min(inbox.c.sent_at))
                .where(inbox.c.conversation_id == conversations.c.id)
                .where(inbox.c.message_ref.is_not(None))
                .scalar_subquery()
            )
            wanted = wanted.where(func.coalesce(began, before) <= before)
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return row is not None

    async def answers_agent(self, address: Address, *, root: str, said: str) -> bool:
        """Whether what hangs on the message `root` there is for the people who have it.

        It is if an agent has sent `root`. If `said`, what hangs there, is kept there already, it
        stays whoever has the conversation by now.
        """
        sent = (
            select(outbox.c.id)
            .where(outbox.c.conversation_id == conversations.c.id, outbox.c.platform_ref == root)
            .where(outbox.c.epoch == ANY_EPOCH)
        )
        kept = select(inbox.c.id).where(
            inbox.c.conversation_id == conversations.c.id, inbox.c.message_ref == said
        )
        with_people = conversations.c.owner.in_((Owner.WAITING, Owner.HUMAN))
        wanted = select(conversations.c.id).where(
            *_at(address), sent.exists(), with_people | kept.exists()
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return row is not None

    async def last_said(self, address: Address, customer: str, ref: str) -> Said | None:
        """What a customer has said last there; the message `ref` itself if it is kept."""
        wanted = (
            select(inbox.c.message_ref, inbox.c.text, inbox.c.sent_at, inbox.c.attachments)
            .join(conversations, inbox.c.conversation_id == conversations.c.id)
            .where(*_at(address), inbox.c.message_ref.is_not(None))
            .where(func.coalesce(inbox.c.customer, conversations.c.customer) == customer)
            .order_by(case((inbox.c.message_ref == ref, 0), else_=1), inbox.c.id.desc())
            .limit(1)
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            return None
        return Said(
            ref=row.message_ref,
            text=row.text,
            sent_at=row.sent_at,
            files=row.attachments != "[]",
        )

    async def recent(
        self, workspace: WorkspaceId, channel: Channel, within_s: float
    ) -> tuple[str, ...]:
        """The places in which somebody wrote within that many seconds, newest first."""
        newest = func.max(inbox.c.received_at)
        wanted = (
            select(conversations.c.place)
            .join(inbox, inbox.c.conversation_id == conversations.c.id)
            .where(
                conversations.c.workspace == workspace,
                conversations.c.channel == channel,
                inbox.c.received_at > Now() - within_s,
            )
            .group_by(conversations.c.place)
            .order_by(newest.desc())
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return tuple(row.place for row in rows)

    async def move(self, address: Address, place: str) -> bool:
        """Let a conversation go on under another place: a chat that got a new id.

        Returns: False if there is none, or if the new place has a conversation already.
        """
        taken = select(conversations.c.id).where(
            conversations.c.workspace == address.workspace,
            conversations.c.channel == address.channel,
            conversations.c.place == place,
        )
        moving = (
            update(conversations)
            .where(*_at(address), ~taken.exists())
            .values(place=place)
            .returning(conversations.c.id)
        )

        def work(connection: Connection) -> bool:
            moved = connection.scalar(moving)
            if moved is None:
                return False
            # The chat counts its messages anew there.
            of_moved = update(inbox).where(inbox.c.conversation_id == moved)
            connection.execute(of_moved.values(message_ref=None))
            return True

        return await self._database.write(work)

    async def trouble(self, *, late_s: float = 60.0) -> Trouble:
        """Count what is parked, of unknown fate, refused, or due for longer than `late_s`."""

        def work(connection: Connection) -> Trouble:
            fates = connection.execute(
                select(outbox.c.state, func.count())
                .where(outbox.c.state.in_(("unknown", "refused")))
                .group_by(outbox.c.state)
            )
            count = {row[0]: row[1] for row in fates}
            parked = select(func.count()).select_from(inbox).where(inbox.c.state == "parked")
            late = (
                select(func.count())
                .select_from(conversations)
                .where(conversations.c.due_at < Now() - late_s)
            )
            return Trouble(
                parked=connection.scalar(parked) or 0,
                unknown=count.get("unknown", 0),
                refused=count.get("refused", 0),
                late=connection.scalar(late) or 0,
            )

        return await self._database.read(work)

    async def backlog(self) -> Backlog:
        """Count what is due in any workspace and held by nobody."""

        def work(connection: Connection) -> Backlog:
            due = connection.execute(
                select(func.count(), Now() - func.min(conversations.c.due_at)).where(
                    conversations.c.due_at <= Now(),
                    or_(conversations.c.held_until.is_(None), conversations.c.held_until < Now()),
                )
            ).one()
            waiting = (
                select(func.count())
                .select_from(conversations)
                .where(conversations.c.owner == Owner.WAITING)
            )
            return Backlog(
                due=due[0], oldest_s=due[1] or 0.0, waiting=connection.scalar(waiting) or 0
            )

        return await self._database.read(work)


def _at(address: Address) -> tuple[ColumnElement[bool], ...]:
    return (
        conversations.c.workspace == address.workspace,
        conversations.c.channel == address.channel,
        conversations.c.place == address.place,
    )
