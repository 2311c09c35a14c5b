"""Answers to agents in their topic, behind the update that asked for them."""

import asyncio

import structlog
from telegram.error import TelegramError

from bots.telegram.api import TelegramApi, plain_errors
from bots.telegram.desk.group import Group
from bots.telegram.desk.pace import Rank
from bots.telegram.desk.words import notice
from core.errors import DragomanError, Unavailable

log = structlog.get_logger()

MAX_TOAST_CHARS = 200
TRIES = 20
PAUSE_S = 3.0


class Telling:
    """Says things in the background: no update waits for the group's limit."""

    def __init__(self, api: TelegramApi, group: Group) -> None:
        """Say them as the bot of `api` in `group`."""
        self._api = api
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[tuple[int | None, str]] = set()

    def tell(self, thread: int | None, message: int, text: str) -> None:
        """Answer a message; what is about to be said in that topic is not said twice."""
        if (thread, text) in self._waiting:
            return
        self._waiting.add((thread, text))
        self._start(self._say(thread, message, text))

    def toast(self, query_id: str, text: str = "", *, alert: bool = False) -> None:
        """Answer the press of a button, on the screen of whoever pressed it."""
        self._start(self._answer(query_id, text[:MAX_TOAST_CHARS], alert))

    def strip(self, message: int) -> None:
        """Take the buttons away that have done their work."""
        self._start(self._strip(message))

    async def drain(self) -> None:
        """Let what is under way come to its end, for a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PAUSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, doing: object) -> None:
        task = asyncio.ensure_future(doing)  # type: ignore[call-overload]  # always a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, thread: int | None, message: int, text: str) -> None:
        try:
            for _ in range(TRIES):
                try:
                    await self._group.say(thread, notice(text), Rank.URGENT, reply_to=message)
                except Unavailable as error:
                    await asyncio.sleep(error.retry_after_s or PAUSE_S)
                except TimeoutError:
                    # It may be there: once is enough, and nobody loses anything but an answer.
                    return
                else:
                    return
            log.warning("telegram_agent_not_told")
        except (DragomanError, LookupError) as error:
            log.info("telegram_agent_not_told", error=str(error))
        finally:
            self._waiting.discard((thread, text))

    async def _answer(self, query_id: str, text: str, alert: bool) -> None:
        try:
            with plain_errors():
                await self._api.bot.answer_callback_query(query_id, text or None, show_alert=alert)
        except (DragomanError, TelegramError, TimeoutError) as error:
            log.info("telegram_press_not_acknowledged", error=str(error))

    async def _strip(self, message: int) -> None:
        try:
            await self._group.strip(message)
        except (DragomanError, LookupError, TimeoutError) as error:
            log.info("telegram_buttons_left", error=str(error))
