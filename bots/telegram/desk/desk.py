"""The Telegram desk put together: a forum that follows the cases, and agents who act in it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import structlog
from telegram import Update

from bots.telegram.api import TelegramApi
from bots.telegram.carrying import Carrier
from bots.telegram.desk.agents import Agents
from bots.telegram.desk.deciding import TelegramDecisions
from bots.telegram.desk.group import Group
from bots.telegram.desk.hands import Does, Hands
from bots.telegram.desk.pace import Pace
from bots.telegram.desk.parts import Parts
from bots.telegram.desk.port import Reads, TelegramDesk
from bots.telegram.desk.pressing import Pressing
from bots.telegram.desk.reading import chat_in
from bots.telegram.desk.telling import Telling
from bots.telegram.trouble import Trouble
from core.adapters.accounts import Accounts
from core.adapters.deciding import Decider
from core.adapters.holds import Holds
from core.errors import Misconfigured, Unavailable
from core.mirror import Mirror
from core.ports import Files, Threads
from core.turn import Channel

log = structlog.get_logger()

MOVED_TO = "desk-group:"
HELD_S = 15.0
RETRY_S = 60.0


class DeskGroup:
    """The desk in one forum group."""

    def __init__(
        self,
        api: TelegramApi,
        chat_id: int,
        *,
        reads: Reads,
        does: Does,
        accounts: Accounts,
        threads: Threads,
        holds: Holds,
        files: Mapping[Channel, Files],
        mirror: Callable[[TelegramDesk, Threads], Mirror] | None = None,
        decider: Decider | None = None,
        held_s: float = HELD_S,
    ) -> None:
        """Work as the bot of `api` in the group of that id, which one process shows at a time."""
        self._held_s = held_s
        self._first = chat_id
        self._reads = reads
        self._holds = holds
        self._name = f"telegram-desk:{api.bot_id}:{chat_id}"
        self.group = Group(api, chat_id, Pace(api.limits), Carrier(api, files), self._keep_move)
        self._telling = Telling(api, self.group)
        agents = Agents(self.group, accounts, reads.workspace)
        self.port = TelegramDesk(self.group, reads)
        self._decisions: TelegramDecisions | None = None
        if decider is not None:
            self._decisions = TelegramDecisions(
                self.group,
                self._telling,
                decider,
                language=does.language,
                workspace=does.workspace,
            )
        self._hands = Hands(
            *(self.group, agents, self._telling, does),
            parts=Parts(reads.cursors, reads.workspace),
            press=Pressing(agents, self._telling, does, self._decisions).take,
            being_made=self.port.being_made,
        )
        self._threads = threads
        self._mirror = mirror or (lambda desk, threads: Mirror(Channel.TELEGRAM, desk, threads))
        self._trouble = Trouble()

    async def take(self, update: Update) -> bool:
        """Do what an update says; False if it is not of the group.

        Raises: Unavailable, TelegramError, TimeoutError: it must come again.
        """
        chat_id = chat_in(update)
        message = update.message
        if message is not None and message.migrate_from_chat_id is not None:
            if not self.group.is_here(message.migrate_from_chat_id):
                return False
            await self.group.move(message.chat.id)
            return True
        if chat_id is None or not await self._is_here(chat_id):
            return False
        await self._hands.take(update)
        return True

    async def _is_here(self, chat_id: int) -> bool:
        if chat_id < 0 and not self.group.is_here(chat_id):
            # Another process may have been told of a new id.
            await self._remember_move()
        return self.group.is_here(chat_id)

    async def run(self) -> None:
        """Show what happens in the group until cancelled; one process at a time does.

        So the limit of 20 messages a minute is kept however many processes there are.
        """
        try:
            await self._remember_move()
            while True:
                async with self._holds.alone(self._name, self._held_s):
                    if await self._may_work():
                        await self._show()
                    await asyncio.sleep(self._held_s / 3)
        finally:
            if self._decisions is not None:
                await self._decisions.decider.close()
            await self._telling.drain()

    async def check(self) -> str:
        """One line for `dragoman doctor`.

        Raises: Misconfigured, Unavailable: as `Group.check` does.
        """
        await self._remember_move()
        return await self.group.check()

    async def _show(self) -> None:
        log.info("telegram_desk_open")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._mirror(self.port, self._threads))
            if self._decisions is not None:
                await stack.enter_async_context(self._decisions.decider.asks(self._decisions))
            await asyncio.Event().wait()

    async def _may_work(self) -> bool:
        try:
            await self.group.check()
        except Misconfigured as error:
            self._trouble.say("telegram_desk_closed", str(error))
        except Unavailable as error:
            self._trouble.say("telegram_desk_unreachable", str(error))
        else:
            self._trouble.over()
            return True
        return False

    async def _keep_move(self, new: int) -> None:
        await self._reads.cursors.write(
            self._reads.workspace, Channel.TELEGRAM, f"{MOVED_TO}{self._first}", str(new)
        )

    async def _remember_move(self) -> None:
        """Go on where the group was when it last got another id."""
        moved = await self._reads.cursors.read(
            self._reads.workspace, Channel.TELEGRAM, f"{MOVED_TO}{self._first}"
        )
        if moved is not None:
            await self.group.move(int(moved))
