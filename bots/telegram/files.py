"""Files that people sent in Telegram, brought from there."""

from telegram.error import ChatMigrated

from bots.telegram.api import TelegramApi, plain_errors
from core.errors import Rejected
from core.turn import Attachment

# core.telegram.org/bots/api#getfile: a bot gets no larger ones.
MAX_DOWNLOAD_BYTES = 20 * 1024 * 1024
READ_S = 30.0


class TelegramFiles:
    """The files port over the Bot API."""

    def __init__(self, api: TelegramApi) -> None:
        """Fetch as the bot of `api`, to which the files were sent."""
        self._api = api

    async def fetch(self, file: Attachment, *, max_bytes: int) -> bytes:
        """What is in a file."""
        limit = min(max_bytes, MAX_DOWNLOAD_BYTES)
        if file.size_bytes > limit:
            raise Rejected(f"telegram: the file is larger than {limit} bytes")
        with plain_errors():
            try:
                known = await self._api.bot.get_file(file.ref)
                if (known.file_size or 0) > limit:
                    raise Rejected(f"telegram: the file is larger than {limit} bytes")
                # Its path holds the token: neither it nor an error's text may be logged.
                return bytes(await known.download_as_bytearray(read_timeout=READ_S))
            except ChatMigrated as moved:
                raise Rejected("telegram: the file's chat has moved") from moved
