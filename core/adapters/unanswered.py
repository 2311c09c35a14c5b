"""Questions that the bot could not answer, or answered badly."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select, update

from core.adapters.database import Database, Now
from core.adapters.tables import conversations, messages
from core.turn import Author, Channel, ConversationId, Reason, WorkspaceId

MAX_READ = 1_000
_REASONS = (Reason.LOW_CONFIDENCE, Reason.NO_KNOWLEDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """One question, however often it was asked; `replies` are the bot's lines that did not help.

    `translation` is how an agent has read it, empty if none has. `reason` is why it was handed
    over, empty where the customer said that the answer did not help.
    """

    text: str
    translation: str
    language: str
    channel: Channel
    conversation: ConversationId
    reason: str
    asked_at: float
    replies: tuple[int, ...]


class UnansweredQuestions:
    """The queue of one workspace's gaps in knowledge."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def list(self, workspace: WorkspaceId) -> tuple[Unanswered, ...]:
        """What nobody has seen to: most often asked first, then newest first."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                _WANTED.where(messages.c.workspace == workspace)
            ).all()
        )
        groups: dict[str, list[Unanswered]] = {}
        for row in rows:
            key = " ".join(row.text.casefold().split()).strip(" ?.!？。！")
            groups.setdefault(key, []).append(
                Unanswered(
                    text=row.text,
                    translation=row.translation or "",
                    language=row.language,
                    channel=Channel(row.channel),
                    conversation=ConversationId(row.conversation_id),
                    reason=next((why for why in _REASONS if _says(why) in row.details), ""),
                    asked_at=row.created_at,
                    replies=(row.reply,),
                )
            )
        merged = [_merged(group) for group in groups.values()]
        return tuple(sorted(merged, key=lambda each: (-len(each.replies), -each.asked_at)))

    async def settle(self, workspace: WorkspaceId, replies: Sequence[int]) -> None:
        """Somebody has seen to it, by an article or otherwise."""
        seen = (
            update(messages)
            .where(
                messages.c.workspace == workspace,
                messages.c.id.in_(list(replies)),
                messages.c.author == Author.BOT,
            )
            .values(settled_at=Now())
        )
        await self._database.write(lambda connection: connection.execute(seen).rowcount)


def _merged(group: Sequence[Unanswered]) -> Unanswered:
    newest = max(group, key=lambda each: each.asked_at)
    return Unanswered(
        text=newest.text,
        translation=newest.translation,
        language=newest.language,
        channel=newest.channel,
        conversation=newest.conversation,
        reason=newest.reason,
        asked_at=newest.asked_at,
        replies=tuple(reply for each in group for reply in each.replies),
    )


def _says(reason: Reason) -> str:
    # Inside a string of the JSON its quotation marks would be escaped: this is the field itself.
    return f'"reason": "{reason}"'


_reply, _question = messages, messages.alias("question")
_WANTED = (
    select(
        _reply.c.id.label("reply"),
        _reply.c.details,
        _reply.c.conversation_id,
        _question.c.text,
        _question.c.translation,
        _question.c.language,
        _question.c.created_at,
        conversations.c.channel,
    )
    .join(_question, _question.c.inbox_id == _reply.c.inbox_id)
    .join(conversations, conversations.c.id == _reply.c.conversation_id)
    .where(
        _reply.c.author == Author.BOT,
        _question.c.author == Author.CUSTOMER,
        _reply.c.settled_at.is_(None),
        or_(
            _reply.c.rating == -1,
            *(_reply.c.details.contains(_says(why), autoescape=True) for why in _REASONS),
        ),
    )
    .order_by(_reply.c.id.desc())
    .limit(MAX_READ)
)
