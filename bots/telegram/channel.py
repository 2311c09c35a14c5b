"""The Telegram channel put together."""

import asyncio
from collections.abc import Sequence

import structlog
from starlette.routing import Route
from telegram import WebhookInfo
from telegram.error import InvalidToken, TelegramError

from bots.telegram.api import TelegramApi
from bots.telegram.commands import set_commands
from bots.telegram.desk.desk import DeskGroup
from bots.telegram.intake import Accept, Intake, LastSaid, Move, Rate
from bots.telegram.polling import Poller
from bots.telegram.webhook import Webhook, can_be_called
from core.adapters.holds import Holds
from core.errors import Misconfigured, Unavailable
from core.turn import WorkspaceId

log = structlog.get_logger()


class TelegramChannel:
    """The way in: by webhook where the world can reach us, by long polling elsewhere."""

    def __init__(
        self,
        api: TelegramApi,
        *,
        workspace: WorkspaceId,
        accept: Accept,
        rate: Rate,
        move: Move,
        holds: Holds,
        last_said: LastSaid | None = None,
        languages: Sequence[str] = (),
        public_url: str = "",
        desk: DeskGroup | None = None,
    ) -> None:
        """Take updates of the bot of `api` in for `workspace`.

        A `public_url` that Telegram can call makes it a webhook. `languages` are those of the menu
        of commands; none means all. `last_said` is as in `Intake`. With a `desk`, agents work in
        its group.
        """
        self._api = api
        self._languages = languages
        self._desk = desk
        self._intake = Intake(
            api,
            workspace,
            accept=accept,
            rate=rate,
            move=move,
            last_said=last_said,
            desk=desk.take if desk is not None else None,
        )
        self._poller = Poller(api, self._intake, holds)
        self._webhook: Webhook | None = None
        if can_be_called(public_url, api.api_url):
            self._webhook = Webhook(api, self._intake, public_url)
        elif public_url:
            log.info("telegram_polls", reason="Telegram calls https on port 443, 80, 88 or 8443")

    @property
    def routes(self) -> Sequence[Route]:
        """What the web server serves for us; empty when polling."""
        return self._webhook.routes if self._webhook is not None else ()

    @property
    def silent_for_s(self) -> float:
        """Seconds for which Telegram has not answered our polls."""
        return self._poller.silent_for_s

    async def run(self) -> None:
        """Take updates in until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(set_commands(self._api, self._languages))
                if self._desk is not None:
                    group.create_task(self._desk.run())
                await (self._webhook or self._poller).run()
        finally:
            await self._intake.drain()

    async def check(self) -> str:
        """One line for `dragoman doctor`.

        Raises:
            Misconfigured: the token or the webhook is wrong; the message says what to do.
            Unavailable: Telegram cannot be reached.
        """
        try:
            me = await self._api.me()
            info = await self._api.bot.get_webhook_info()
        except InvalidToken:
            raise Misconfigured(
                "Telegram refuses TELEGRAM_BOT_TOKEN: copy it anew from @BotFather"
            ) from None
        except (TelegramError, TimeoutError) as error:
            raise Unavailable("telegram", f"cannot be reached ({type(error).__name__})") from error
        desk = f", {await self._desk.check()}" if self._desk is not None else ""
        return f"@{me.username}, {self._way_in(info)}{desk}"

    def _way_in(self, info: WebhookInfo) -> str:
        ours = info.url.endswith(self._api.webhook_path)
        if self._webhook is None:
            if info.url and not ours:
                raise Misconfigured(
                    "another program has set a webhook for this bot: set DRAGOMAN_PUBLIC_URL to"
                    " take it over, or call deleteWebhook once, or make a bot of its own"
                )
            return "long polling"
        if ours and info.last_error_message and info.pending_update_count:
            raise Misconfigured(f"Telegram cannot deliver to us: {info.last_error_message}")
        return "webhook" if ours else "webhook, set at the next start"
