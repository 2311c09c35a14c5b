"""Small named values of a channel, which outlive the process and go with what they are about."""

import time
from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, or_, select

from core.adapters.database import Database
from core.adapters.tables import conversations, cursors, desk_threads
from core.adapters.upsert import insert_into
from core.turn import Channel, WorkspaceId

# How far a place of Slack's was read, as the `ts` of a message.
MARK = "mark:"
# Of a direct message all that is newer is read, however old; of any other place what is of today.
_DIRECT = f"{MARK}D"
# Whether what is written about a conversation is for colleagues.
INTERNAL = "internal:"
# The card of a topic in Telegram; albums and long texts there, by the topic and who or what.
CARD, ALBUM, CUT = "desk-card:", "desk-album:", "desk-cut:"
# No mark, and no long text, says anything after so long.
OLD_S = 2 * 86_400.0
REST_S = 3_600.0


class Cursors:
    """Small named values of a channel that outlive the process."""

    def __init__(self, database: Database) -> None:
        """Keep the values in `database`."""
        self._database = database
        self._rest_until = float("-inf")

    async def read(self, workspace: WorkspaceId, channel: Channel, name: str) -> str | None:
        """The value last written under that name."""
        return await self._database.read(
            lambda connection: _value(connection, workspace, channel, name)
        )

    async def write(self, workspace: WorkspaceId, channel: Channel, name: str, value: str) -> None:
        """Replace the value."""
        await self._database.write(
            lambda connection: _put(connection, workspace, channel, name, value)
        )

    async def look(self) -> None:
        """Delete what is too old to say anything, or rest.

        Raises: Unavailable: the database does not answer.
        """
        if time.monotonic() < self._rest_until:
            return
        # Both hold a platform's time, of as many digits until the year 2286.
        old = f"{time.time() - OLD_S:.6f}"
        marks = cursors.c.name.startswith(MARK) & ~cursors.c.name.startswith(_DIRECT)
        cuts = cursors.c.name.startswith(CUT)
        gone = delete(cursors).where(marks | cuts, cursors.c.value < old)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
        self._rest_until = time.monotonic() + REST_S


def forget(connection: Connection, ids: Sequence[int]) -> None:
    """Delete what the desks remember of some conversations, while these are still there."""
    switches = [f"{INTERNAL}{conversation}" for conversation in ids]
    connection.execute(delete(cursors).where(cursors.c.name.in_(switches)))
    shown = select(desk_threads).where(
        desk_threads.c.conversation_id.in_(ids), desk_threads.c.place.is_not(None)
    )
    for thread in connection.execute(shown).all():
        there = or_(
            cursors.c.name == f"{CARD}{thread.place}",
            *(
                cursors.c.name.startswith(f"{kind}{thread.place}/", autoescape=True)
                for kind in (ALBUM, CUT)
            ),
        )
        mine = and_(cursors.c.workspace == thread.workspace, cursors.c.channel == thread.channel)
        connection.execute(delete(cursors).where(mine, there))


def leave_unread(connection: Connection, conversation: int, until: float) -> None:
    """Read nothing back that was said in a conversation `until` then, in seconds since 1970."""
    wanted = select(conversations.c.workspace, conversations.c.place).where(
        conversations.c.id == conversation, conversations.c.channel == Channel.SLACK
    )
    for row in connection.execute(wanted).all():
        name = f"{MARK}{row.place}"
        read_to = float(_value(connection, row.workspace, Channel.SLACK, name) or 0.0)
        _put(connection, row.workspace, Channel.SLACK, name, f"{max(read_to, until):.6f}")


def _value(connection: Connection, workspace: str, channel: Channel, name: str) -> str | None:
    return connection.scalar(
        select(cursors.c.value).where(
            cursors.c.workspace == workspace, cursors.c.channel == channel, cursors.c.name == name
        )
    )


def _put(connection: Connection, workspace: str, channel: Channel, name: str, value: str) -> None:
    statement = insert_into(connection, cursors).values(
        workspace=workspace, channel=channel, name=name, value=value
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(cursors.primary_key), set_={"value": value}
        )
    )
