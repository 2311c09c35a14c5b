"""The forum group of the desk: its topics, and what is written in them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from telegram import ChatMemberAdministrator, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bots.telegram.api import TelegramApi, plain_errors, wait_of
from bots.telegram.carrying import Carrier
from bots.telegram.desk.pace import Pace, Rank
from bots.telegram.desk.words import Block
from bots.telegram.sending import NO_PREVIEW, markup_of
from core.errors import Misconfigured, Rejected, Unavailable

log = structlog.get_logger()

CLOSED_S = 60.0
# What the Bot API says of a topic that somebody deleted.
_GONE = ("message thread not found", "topic_deleted", "topic_id_invalid")
_DONE = ("topic_not_modified", "message is not modified")
# Of a group that the bot was taken out of, or may not manage any more.
_SHUT = ("chat not found", "not enough rights", "need administrator rights", "chat_write_forbidden")
# Which of Telegram's icons shows which state; the first that there is.
ICONS = {
    "waiting": "❓🔔💡",
    "urgent": "🔥‼❗",
    "taken": "💬🗣👀",
    "snoozed": "📆☕",
    "resolved": "✅🏁",
    "returned": "🤖🆒",
}
_PLAIN_EMOJI = "\ufe0f"

Moved = Callable[[int], Awaitable[None]]


class Group:
    """Calls to the Bot API about one forum, each within its limits.

    Every method raises Unavailable or TimeoutError as `DeskPort.show` does; those that name a topic
    raise LookupError if it is gone, also because the group has got another id.
    """

    def __init__(
        self, api: TelegramApi, chat_id: int, pace: Pace, carrier: Carrier, moved: Moved
    ) -> None:
        """Work in `chat_id`; `moved` keeps the id that the group gets later."""
        self._api = api
        self._pace = pace
        self._carrier = carrier
        self._moved = moved
        self._icons: dict[str, str] | None = None
        self.chat_id = chat_id
        # Ids that it had: what comes from there is no customer's either.
        self.former: set[int] = set()

    async def move(self, new: int) -> None:
        """Go on under another id, which the group got by becoming a supergroup."""
        if new != self.chat_id:
            log.info("telegram_desk_moved")
            self.former.add(self.chat_id)
            self.chat_id = new
            await self._moved(new)

    def is_here(self, chat_id: int) -> bool:
        """Whether something in that chat belongs to the desk."""
        return chat_id == self.chat_id or chat_id in self.former

    async def create(self, name: str, state: str) -> int:
        """Make a topic; its id."""
        icon = await self.icon(state)
        await self._pace.enter(self.chat_id, f"new {name}", Rank.OPENED)
        async with self._errors():
            topic = await self._api.bot.create_forum_topic(
                self.chat_id, name, icon_custom_emoji_id=icon
            )
            return topic.message_thread_id
        raise LookupError("telegram made nothing")

    async def say(
        self, thread: int | None, block: Block, rank: Rank, *, reply_to: int | None = None
    ) -> int:
        """Send a message into a topic, or into the one that every forum has; its id.

        Raises: Rejected: Telegram will never take it.
        """
        await self._pace.enter(self.chat_id, f"{thread}", rank)
        async with self._errors():
            if block.load is not None:
                return await self._carrier.carry(self.chat_id, thread, block.load)
            try:
                return await self._post(thread, block, block.html, ParseMode.HTML, reply_to)
            except BadRequest as error:
                if "can't parse entities" not in error.message.lower():
                    raise
                log.warning("telegram_html_refused")
                return await self._post(thread, block, block.plain, None, reply_to)
        raise LookupError("telegram made nothing")

    async def rewrite(self, thread: int | None, message: int, block: Block) -> None:
        """Change a message.

        Raises: KeyError: the message is gone, the topic is not.
        """
        await self._pace.enter(self.chat_id, f"{thread} card", Rank.DRESSED)
        async with self._errors():
            try:
                await self._api.bot.edit_message_text(
                    block.html,
                    self.chat_id,
                    message,
                    parse_mode=ParseMode.HTML,
                    link_preview_options=NO_PREVIEW,
                    reply_markup=markup_of(block.buttons),
                )
            except BadRequest as error:
                if "message to edit not found" in error.message.lower():
                    raise KeyError(message) from error
                raise

    async def dress(self, thread: int, name: str, state: str) -> None:
        """Give a topic its name and the icon of a state."""
        icon = await self.icon(state)
        await self._pace.enter(self.chat_id, f"{thread} icon", Rank.DRESSED)
        async with self._errors():
            await self._api.bot.edit_forum_topic(self.chat_id, thread, name, icon)

    async def shut(self, thread: int, *, closed: bool) -> None:
        """Close or reopen a topic."""
        await self._pace.enter(self.chat_id, f"{thread} door", Rank.DRESSED)
        bot = self._api.bot
        async with self._errors():
            await (bot.close_forum_topic if closed else bot.reopen_forum_topic)(
                self.chat_id, thread
            )

    async def strip(self, message: int) -> None:
        """Take the buttons away from a message, if there is room for that."""
        if not self._api.limits.spare(self.chat_id):
            return
        async with self._errors():
            await self._api.bot.edit_message_reply_markup(self.chat_id, message)

    async def is_member(self, user: int) -> bool:
        """Whether somebody is in the group.

        Raises: Rejected: Telegram does not tell, or the group has shut the bot out.
        """
        async with self._errors():
            try:
                member = await self._api.bot.get_chat_member(self.chat_id, user)
            except (BadRequest, Forbidden) as error:
                # Not for later: what waits for an answer keeps customers' updates waiting.
                raise Rejected(f"telegram: {error.message}") from error
            return member.status not in ("left", "kicked") and getattr(member, "is_member", True)
        return False

    async def icon(self, state: str) -> str | None:
        """The custom emoji that shows a state; None where Telegram offers none that would."""
        if self._icons is None:
            async with self._errors():
                stickers = await self._api.bot.get_forum_topic_icon_stickers()
                self._icons = {
                    (sticker.emoji or "").replace(_PLAIN_EMOJI, ""): sticker.custom_emoji_id or ""
                    for sticker in stickers
                }
        known = self._icons or {}
        return next((known[emoji] for emoji in ICONS[state] if emoji in known), None)

    async def check(self) -> str:
        """One line for `dragoman doctor`.

        Raises: Misconfigured: the group is no forum, or not ours to manage; it says what to do.
        """
        try:
            async with asyncio.timeout(15.0):
                chat = await self._api.bot.get_chat(self.chat_id)
                me = await self._api.bot.get_chat_member(self.chat_id, self._api.bot_id)
        except ChatMigrated as moved:
            await self.move(moved.new_chat_id)
            return await self.check()
        except (BadRequest, Forbidden) as error:
            raise Misconfigured(
                f"DRAGOMAN_TELEGRAM_DESK={self.chat_id}: {error.message}; add the bot to the group"
                " and make it an admin"
            ) from error
        except (TelegramError, TimeoutError) as error:
            raise Unavailable("telegram", f"cannot be reached ({type(error).__name__})") from error
        if not chat.is_forum:
            raise Misconfigured(
                f"DRAGOMAN_TELEGRAM_DESK={self.chat_id} is no forum: switch on Topics in the"
                " group's settings"
            )
        if not isinstance(me, ChatMemberAdministrator) or not me.can_manage_topics:
            raise Misconfigured(
                f"DRAGOMAN_TELEGRAM_DESK={self.chat_id}: make the bot an admin who may manage"
                " topics"
            )
        return f"desk in {chat.title}"

    async def _post(
        self,
        thread: int | None,
        block: Block,
        text: str,
        mode: ParseMode | None,
        reply_to: int | None,
    ) -> int:
        message = await self._api.bot.send_message(
            chat_id=self.chat_id,
            text=text,
            parse_mode=mode,
            message_thread_id=thread,
            link_preview_options=NO_PREVIEW,
            reply_markup=markup_of(block.buttons),
            reply_parameters=ReplyParameters(reply_to, allow_sending_without_reply=True)
            if reply_to
            else None,
        )
        return message.message_id

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Turn the library's errors into ours; what is done already is done."""
        try:
            with plain_errors():
                try:
                    yield
                except RetryAfter as error:
                    self._api.limits.pause(self.chat_id, wait_of(error))
                    raise
                except (BadRequest, Forbidden) as error:
                    _judge(error)
        except ChatMigrated as moved:
            await self.move(moved.new_chat_id)
            raise LookupError("the group has moved") from moved


def _judge(error: BadRequest | Forbidden) -> None:
    """Tell what a refusal means; return if it means that nothing was left to do."""
    said = error.message.lower()
    if _any(_DONE, said):
        return
    if _any(_GONE, said):
        raise LookupError(said) from error
    if isinstance(error, Forbidden) or _any(_SHUT, said):
        # Whatever was to be shown waits until somebody lets the bot in again.
        raise Unavailable("telegram", said, retry_after_s=CLOSED_S) from error
    raise error


def _any(texts: Sequence[str], said: str) -> bool:
    return any(text in said for text in texts)
