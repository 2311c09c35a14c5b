"""Long polling that confirms an update only once it is kept."""

import asyncio
import random
import time
from dataclasses import dataclass

import structlog
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bots.telegram.api import TelegramApi, wait_of
from bots.telegram.intake import Intake
from bots.telegram.trouble import Trouble
from core.adapters.holds import Holds
from core.errors import Unavailable

log = structlog.get_logger()

WAIT_S = 25
SILENT_S = 90.0
# A long poll breaks now and then; only what lasts is worth a line.
BLIPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Seconds: how long the right to poll is held, how long to wait after a failure."""

    held_s: float = 12.0
    first_s: float = 0.5
    longest_s: float = 30.0
    refused_s: float = 30.0


class Poller:
    """Fetches updates for as long as no other process of ours does."""

    def __init__(
        self, api: TelegramApi, intake: Intake, holds: Holds, *, pauses: Pauses | None = None
    ) -> None:
        """Take turns with other replicas by a lease in `holds`."""
        self._api = api
        self._intake = intake
        self._holds = holds
        self._pauses = pauses or Pauses()
        self._name = f"telegram-poll:{api.bot_id}"
        self._offset: int | None = None
        self._trouble = Trouble()
        self._succeeded_at_s = time.monotonic()
        self._polling = False

    @property
    def silent_for_s(self) -> float:
        """Seconds since Telegram last answered, 0 while another replica does the polling."""
        return time.monotonic() - self._succeeded_at_s if self._polling else 0.0

    async def run(self) -> None:
        """Poll, or wait for the lease, until cancelled."""
        while True:
            async with self._holds.alone(self._name, self._pauses.held_s):
                log.info("telegram_polling")
                self._succeeded_at_s = time.monotonic()
                self._polling = True
                try:
                    await self._poll()
                finally:
                    self._polling = False

    async def _poll(self) -> None:
        failures = 0
        while True:
            try:
                await self._fetch()
                failures = 0
                self._trouble.over()
            except (TelegramError, Unavailable, TimeoutError) as error:
                failures += 1
                await asyncio.sleep(await self._wait_after(error, failures))

    async def _fetch(self) -> None:
        """One call: what it brings is kept update by update, and confirmed by the next call."""
        updates = await self._api.updates(self._offset, wait_s=WAIT_S)
        self._succeeded_at_s = time.monotonic()
        for number, update in updates:
            await self._intake.take(update)
            self._offset = number + 1

    async def _wait_after(self, error: Exception, failures: int) -> float:
        """Say what is wrong, once, and how long to wait before the next call."""
        if isinstance(error, RetryAfter):
            return wait_of(error)
        if isinstance(error, InvalidToken):
            self._trouble.say(
                "telegram_token_refused",
                "the token was revoked or mistyped: set TELEGRAM_BOT_TOKEN to the one that"
                " @BotFather shows, and restart",
            )
            return self._pauses.refused_s
        if isinstance(error, Conflict):
            await self._explain_conflict(error)
            return min(self._pauses.refused_s, self._backoff_s(failures + 3))
        if isinstance(error, Unavailable):
            self._trouble.say("telegram_updates_not_kept", str(error))
        elif self.silent_for_s > SILENT_S:
            self._trouble.say("telegram_silent", "no answer for a long time: check the network")
        elif failures > BLIPS:
            self._trouble.say("telegram_unreachable", type(error).__name__)
        return self._backoff_s(failures)

    def _backoff_s(self, failures: int) -> float:
        wait_s = min(self._pauses.longest_s, self._pauses.first_s * 2.0 ** min(failures - 1, 10))
        # Spread, so that replicas do not come back in step.
        return wait_s * random.uniform(0.75, 1.25)

    async def _explain_conflict(self, error: Conflict) -> None:
        if "webhook" not in error.message.lower():
            self._trouble.say(
                "telegram_other_poller",
                "another program polls with this token: stop it, or make a bot of its own for it",
            )
        elif not await self._removed_own_webhook():
            self._trouble.say(
                "telegram_webhook_active",
                "another program has set a webhook for this bot, so that it cannot be polled: set"
                " DRAGOMAN_PUBLIC_URL to take it over, or call deleteWebhook once",
            )

    async def _removed_own_webhook(self) -> bool:
        """Undo what we set while a public address was configured; others' is not ours to undo."""
        try:
            info = await self._api.bot.get_webhook_info()
            if not info.url.endswith(self._api.webhook_path):
                return False
            await self._api.bot.delete_webhook(drop_pending_updates=False)
        except TelegramError:
            return False
        log.info("telegram_webhook_removed")
        return True
