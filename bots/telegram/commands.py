"""The menu of commands that a Telegram app shows, in each language."""

from collections.abc import Sequence

import structlog
from telegram import BotCommand
from telegram.error import TelegramError

from bots.telegram.api import TelegramApi
from core.phrases import LOCALE_DIR, Phrase, say

log = structlog.get_logger()

MENU = (
    ("ask", Phrase.ASK_A_QUESTION),
    ("human", Phrase.TALK_TO_PERSON),
    ("language", Phrase.CHOOSE_LANGUAGE),
    ("help", Phrase.WHAT_I_CAN_DO),
)


async def set_commands(api: TelegramApi, languages: Sequence[str]) -> None:
    """Set the menu in English, then per language, all of ours if none is named.

    The desk works without it too, so that a failure is only logged.
    """
    languages = languages or sorted(path.name.replace("_", "-") for path in LOCALE_DIR.iterdir())
    # Telegram knows two-letter codes only: of zh and zh-Hant the first one listed serves both.
    tags = {tag.partition("-")[0]: tag for tag in reversed(languages)}
    menus = [(None, "en"), *((code, tag) for code, tag in tags.items() if len(code) == 2)]
    for code, tag in menus:
        try:
            await api.bot.set_my_commands(
                [BotCommand(name, say(phrase, tag)) for name, phrase in MENU], language_code=code
            )
        except (TelegramError, TimeoutError) as error:
            log.info("telegram_menu_not_set", language=tag, error=type(error).__name__)
            return
