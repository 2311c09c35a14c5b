"""One update from Telegram, kept before anybody says "received"."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog
from telegram import Update

from bots.telegram.api import Me, TelegramApi
from bots.telegram.buttons import Act
from bots.telegram.following import Overheard, goes_on
from bots.telegram.presses import Pressed, acknowledge, notice
from bots.telegram.updates import Moved, read
from core.adapters.conversations import Said
from core.errors import Rejected
from core.turn import Address, Inbound, WorkspaceId

log = structlog.get_logger()

Accept = Callable[[Inbound], Awaitable[bool]]
Move = Callable[[Address, str], Awaitable[bool]]
LastSaid = Callable[[Address, str, str], Awaitable[Said | None]]
"""What a customer has said last in a place; the message of that reference if it is kept."""
TakeForDesk = Callable[[Update], Awaitable[bool]]
"""Does what agents did in their group; False if an update is not from there."""


class Rate(Protocol):
    """Keeps the verdict on a reply; False if that turn is not of this place."""

    def __call__(self, address: Address, turn: int, *, helpful: bool) -> Awaitable[bool]: ...  # noqa: D102 - the class says it


class Intake:
    """Reads updates, whichever way they came, and keeps what they say."""

    def __init__(
        self,
        api: TelegramApi,
        workspace: WorkspaceId,
        *,
        accept: Accept,
        rate: Rate,
        move: Move,
        last_said: LastSaid | None = None,
        desk: TakeForDesk | None = None,
    ) -> None:
        """Keep messages by `accept`, verdicts by `rate`, new ids of groups by `move`.

        Without `last_said` each message of a group has to call us. What `desk` takes is no
        customer's.
        """
        self._api = api
        self._workspace = workspace
        self._accept = accept
        self._rate = rate
        self._move = move
        self._last_said = last_said
        self._desk = desk
        self._notices: set[asyncio.Task[None]] = set()

    async def take(self, raw: Mapping[str, object]) -> None:
        """Keep one update; once this returns Telegram may forget it.

        Raises: Unavailable, TelegramError, TimeoutError: it could not be kept and must come again.
        """
        me = await self._api.me()
        try:
            await self._follow(Update.de_json(dict(raw), None), me)
        except Rejected as error:
            log.warning("telegram_update_refused", update=raw.get("update_id"), error=str(error))
        # What is in an update can trip us by these; it would come again and hold up all others.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            log.exception("telegram_update_failed", update=raw.get("update_id"))

    async def _follow(self, update: Update, me: Me) -> None:
        if self._desk is not None and await self._desk(update):
            return
        meaning = read(update, me, self._workspace)
        if isinstance(meaning, Inbound):
            await self._accept(meaning)
        elif isinstance(meaning, Overheard):
            await self._take_overheard(meaning)
        elif isinstance(meaning, Pressed):
            await self._take_press(meaning)
        elif isinstance(meaning, Moved):
            await self._move(meaning.address, meaning.place)

    async def drain(self) -> None:
        """Wait for the notices that are still on their way."""
        await asyncio.gather(*self._notices, return_exceptions=True)

    async def _take_overheard(self, overheard: Overheard) -> None:
        inbound = overheard.inbound
        if self._last_said is None or inbound.message_ref is None:
            return
        said = await self._last_said(inbound.address, inbound.customer, inbound.message_ref)
        if goes_on(overheard, said):
            await self._accept(inbound)

    async def _take_press(self, pressed: Pressed) -> None:
        kept = await self._keep_press(pressed)
        # Telegram's answer to our answer must not hold up the next update.
        task = asyncio.create_task(acknowledge(self._api, pressed, notice(pressed, kept=kept)))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _keep_press(self, pressed: Pressed) -> bool:
        press, inbound = pressed.press, pressed.inbound
        if press is None:
            return False
        if press.act is Act.FEEDBACK:
            return await self._rate(inbound.address, press.turn, helpful=press.value == "1")
        if press.act is Act.CHOICE and not inbound.text:
            return True
        await self._accept(inbound)
        return True
