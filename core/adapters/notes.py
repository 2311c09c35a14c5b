"""What agents tell each other about a conversation, each under its desk's id of it."""

from sqlalchemy import Connection, bindparam, insert, select, update

from core.adapters.database import Now
from core.adapters.tables import desk_lines, messages
from core.adapters.upsert import for_each_dialect
from core.staff import Account
from core.turn import Author, ConversationId


def keep(
    connection: Connection,
    agent: Account,
    conversation: ConversationId,
    text: str,
    *,
    desk: str,
    ref: str,
) -> int | None:
    """Keep words as a line that no customer sees; None if some are kept under the ref already."""
    where = _place(agent, desk, ref)
    taken = connection.execute(
        _TAKE_REF[connection.dialect.name],
        {"workspace": agent.workspace, "channel": desk, "ref": ref},
    )
    if taken.first() is None:
        return None
    line = {
        "workspace": agent.workspace,
        "conversation_id": conversation,
        "text": text,
        "language": agent.language,
        "account_id": agent.id,
    }
    number: int = connection.execute(_LINE, line).scalar_one()
    connection.execute(_LINK_REF, {**where, "message": number})
    return number


def kept(connection: Connection, agent: Account, desk: str, ref: str) -> str | None:
    """The words that are kept under a desk's id of them, in the agent's workspace."""
    words: str | None = connection.scalar(_KEPT, _place(agent, desk, ref))
    return words


def _place(agent: Account, desk: str, ref: str) -> dict[str, object]:
    return {"its_workspace": agent.workspace, "its_channel": desk, "its_ref": ref}


# Statements are built once: putting one together costs far more than running it.
_ITS_REF = (
    desk_lines.c.workspace == bindparam("its_workspace"),
    desk_lines.c.channel == bindparam("its_channel"),
    desk_lines.c.ref == bindparam("its_ref"),
)
_LINE = (
    insert(messages)
    .values(author=Author.AGENT, internal=True, created_at=Now())
    .returning(messages.c.id)
)
_TAKE_REF = for_each_dialect(
    lambda insert_: insert_(desk_lines).on_conflict_do_nothing().returning(desk_lines.c.ref)
)
_LINK_REF = update(desk_lines).where(*_ITS_REF).values(message_id=bindparam("message"))
_KEPT = (
    select(messages.c.text)
    .join(desk_lines, desk_lines.c.message_id == messages.c.id)
    .where(*_ITS_REF)
)
