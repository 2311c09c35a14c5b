"""Files of a conversation, copied into its thread."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from bots.attached import in_words
from bots.slack.desk.lines import remark
from bots.slack.desk.posts import Mark, Posts, Thread
from bots.slack.desk.texts import named
from bots.slack.files import MAX_BYTES, SlackFiles, missing, name_of
from core.cases import Case, DeskLine
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say
from core.ports import Files
from core.turn import Attachment, Channel

# Of the 20 s that showing one event may take.
FETCH_S = 10.0

log = structlog.get_logger()


class Carrier:
    """Fetches files where they are, and uploads them where agents read."""

    def __init__(self, posts: Posts, uploads: SlackFiles, files: Mapping[Channel, Files]) -> None:
        """Upload into the channel of `posts`."""
        self._posts = posts
        self._uploads = uploads
        self._files = files

    async def carry(
        self,
        case: Case,
        lines: Sequence[DeskLine],
        thread_ts: str,
        thread: Thread,
        *,
        language: str,
        since: str = "",
    ) -> None:
        """Copy what is not there yet among the files posted from `since` on.

        Raises: as `Posts.post` does; a file that cannot be had is no error, but is told.
        """
        titles = [title for ts, title in thread.files if ts >= since]
        files = [file for line in lines if line.deleted_at is None for file in line.attachments]
        files = [file for file in files if not in_words(file)]
        for number, file in enumerate(missing(files, titles)):
            try:
                content = await self._fetch(case, file)
            except (Rejected, Unavailable, TimeoutError) as error:
                # The customer's platform is no reason to show nothing more here.
                log.info("desk_file_not_copied", error=str(error))
                mark = Mark(about=f"file:{lines[0].id}", part=number)
                if mark not in thread.marks:
                    text = say(Phrase.DESK_FILE_NOT_HERE, language, name=named(name_of(file)))
                    await self._posts.post(remark(f"⚠️ {text}"), mark, thread=thread_ts)
                continue
            await self._posts.upload(self._uploads, file, content, thread=thread_ts)

    async def _fetch(self, case: Case, file: Attachment) -> bytes:
        origin = Channel(file.channel or case.channel)
        files = self._files.get(origin)
        if files is None:
            raise Rejected(f"no files come from {origin}")
        async with asyncio.timeout(FETCH_S):
            return await files.fetch(file, max_bytes=MAX_BYTES)
