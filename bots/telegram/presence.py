"""What a customer sees while a reply is being written."""

from telegram.constants import ChatAction
from telegram.error import ChatMigrated, InvalidToken, RetryAfter

from bots.telegram.api import TelegramApi, plain_errors, wait_of
from bots.telegram.places import chat_of
from bots.telegram.splitting import split
from bots.telegram.texts import readable
from core.turn import Address

# One draft a chat at a time: the same id lets a longer text grow out of a shorter one.
DRAFT_ID = 1


class TelegramPresence:
    """Typing, then the reply as it grows; both give way to messages where limits are near."""

    def __init__(self, api: TelegramApi) -> None:
        """Show it as the bot of `api`."""
        self._api = api
        self._drafts_work = True

    async def working(self, address: Address, language: str | None) -> None:
        """Show `typing` for the next 5 s."""
        chat_id, thread_id = chat_of(address.place)
        # In a group it counts against the 20 messages a minute that all its customers share.
        if chat_id > 0:
            await self._show(chat_id, thread_id, None)

    async def partial(self, address: Address, text: str) -> None:
        """Show the beginning of the reply as a draft, which only private chats have."""
        chat_id, thread_id = chat_of(address.place)
        beginning = split(readable(text))[:1]
        if chat_id > 0 and self._drafts_work and beginning and self._api.limits.spare(chat_id):
            await self._show(chat_id, thread_id, beginning[0])

    async def _show(self, chat_id: int, thread_id: int | None, draft: str | None) -> None:
        bot = self._api.bot
        with plain_errors():
            try:
                if draft is None:
                    await bot.send_chat_action(chat_id, ChatAction.TYPING, thread_id)
                else:
                    await bot.send_message_draft(chat_id, DRAFT_ID, draft, thread_id)
            except RetryAfter as error:
                self._api.limits.pause(chat_id, wait_of(error))
                raise
            except ChatMigrated:
                return
            except InvalidToken:
                # Also the answer of a Bot API server that is too old to know drafts.
                self._drafts_work = draft is None
                raise
