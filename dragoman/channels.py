"""The chat platforms that have a token, opened and ready to run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from starlette.routing import BaseRoute

from bots.slack.channel import SlackNeeds, SlackOptions, open_slack
from bots.slack.desk.desk import DeskNeeds
from bots.telegram.api import TelegramApi
from bots.telegram.channel import TelegramChannel
from bots.telegram.files import TelegramFiles
from bots.telegram.presence import TelegramPresence
from bots.telegram.sending import TelegramPort
from core.adapters.conversations import Conversations
from core.adapters.cursors import Cursors
from core.adapters.database import Database
from core.adapters.holds import Holds
from core.adapters.preferences import SqlPreferences
from core.adapters.vault import Vault
from core.delivery import Delivery
from core.errors import Misconfigured
from core.ports import Deciding, Files, Port, Presence
from core.turn import Channel, WorkspaceId
from dragoman.chat_desks import slack_desk, telegram_desk
from dragoman.settings import Settings

log = structlog.get_logger()

# After an error that nobody foresaw.
RESTART_S = 5.0
_TAKES = {
    Channel.SLACK: "SLACK_BOT_TOKEN and SLACK_APP_TOKEN",
    Channel.TELEGRAM: "TELEGRAM_BOT_TOKEN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatChannel:
    """One platform: how it takes in, sends out, shows presence and is checked."""

    name: Channel
    port: Port
    presence: Presence
    routes: Sequence[BaseRoute]
    run: Callable[[], Awaitable[None]]
    check: Callable[[], Awaitable[str]]


def switched_off(channels: Sequence[ChatChannel]) -> dict[str, str]:
    """The settings that each platform takes which is not among these."""
    on = {channel.name for channel in channels}
    return {str(name): takes for name, takes in _TAKES.items() if name not in on}


@asynccontextmanager
async def open_channels(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    preferences: SqlPreferences | None = None,
    models: Deciding | None = None,
) -> AsyncIterator[tuple[ChatChannel, ...]]:
    """Open each platform that a token was given for; on their desks admins decide on `models`.

    Raises: Misconfigured: a token cannot be one, or settings contradict each other.
    """
    async with AsyncExitStack() as stack:
        channels = []
        preferences = preferences or SqlPreferences(database, settings.preferences)
        # Each channel adds its own, from which the others fetch.
        files: dict[Channel, Files] = {}
        if settings.slack_bot_token.get_secret_value() or settings.slack_client_id:
            desk = slack_desk(
                settings, database, delivery, preferences=preferences, files=files, models=models
            )
            channels.append(await _slack(settings, database, delivery, stack, desk, files))
        elif settings.slack_desk:
            raise Misconfigured("DRAGOMAN_SLACK_DESK needs SLACK_BOT_TOKEN")
        if settings.telegram_bot_token.get_secret_value():
            channels.append(
                await _telegram(settings, database, delivery, stack, preferences, files, models)
            )
        elif settings.telegram_desk:
            raise Misconfigured("DRAGOMAN_TELEGRAM_DESK needs TELEGRAM_BOT_TOKEN")
        yield tuple(channels)


Stopped = Callable[[Channel, str], None]


@asynccontextmanager
async def keep_running(channels: Sequence[ChatChannel], stopped: Stopped) -> AsyncIterator[None]:
    """Let each channel take in what customers do; `stopped` is told of one that cannot go on."""
    tasks = [asyncio.create_task(_keep_running(channel, stopped)) for channel in channels]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(channel: ChatChannel, stopped: Stopped) -> None:
    while True:
        try:
            await channel.run()
        except Misconfigured as error:
            # The message says all; a traceback would hide it.
            log.error("channel_stopped", channel=channel.name, error=str(error))  # noqa: TRY400 - as said above
            stopped(channel.name, str(error))
            return
        except Exception:
            log.exception("channel_failed", channel=channel.name)
            await asyncio.sleep(RESTART_S)
        else:
            return


async def _slack(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    stack: AsyncExitStack,
    desk: DeskNeeds | None,
    files: dict[Channel, Files],
) -> ChatChannel:
    conversations = Conversations(database)
    options = SlackOptions(
        workspace=WorkspaceId(settings.workspace),
        bot_token=settings.slack_bot_token.get_secret_value(),
        app_token=settings.slack_app_token.get_secret_value(),
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret.get_secret_value(),
        public_url=settings.public_url,
        api_url=settings.slack_api_url,
        default_language=settings.default_language,
    )
    needs = SlackNeeds(
        accept=delivery.accept,
        rate=delivery.rate,
        known=conversations.known,
        answers_agent=conversations.answers_agent,
        recent=conversations.recent,
        cursors=Cursors(database),
        holds=Holds(database),
        vault=Vault(database, settings.sealing_key()),
        desk=desk,
        files=files,
    )
    slack = await stack.enter_async_context(open_slack(options, needs))
    files[Channel.SLACK] = slack.files
    return ChatChannel(
        name=Channel.SLACK,
        port=slack.port,
        presence=slack.port,
        routes=slack.routes,
        run=slack.run,
        check=slack.check,
    )


async def _telegram(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    stack: AsyncExitStack,
    preferences: SqlPreferences,
    files: dict[Channel, Files],
    models: Deciding | None,
) -> ChatChannel:
    api = await stack.enter_async_context(
        TelegramApi(settings.telegram_bot_token.get_secret_value(), settings.telegram_api_url)
    )
    files[Channel.TELEGRAM] = TelegramFiles(api)
    telegram = TelegramChannel(
        api,
        workspace=WorkspaceId(settings.workspace),
        accept=delivery.accept,
        rate=delivery.rate,
        move=Conversations(database).move,
        holds=Holds(database),
        last_said=Conversations(database).last_said,
        languages=settings.languages,
        public_url=settings.public_url,
        desk=telegram_desk(
            settings, database, delivery, api, preferences=preferences, files=files, models=models
        ),
    )
    return ChatChannel(
        name=Channel.TELEGRAM,
        port=TelegramPort(api, files),
        presence=TelegramPresence(api),
        routes=telegram.routes,
        run=telegram.run,
        check=telegram.check,
    )
