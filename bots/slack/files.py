"""Files that people sent in Slack, brought from there; and others', brought there."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bots.proxies import proxy_for
from bots.slack import inbound
from bots.slack.api import asked
from bots.slack.teams import Team, Teams
from core.errors import Rejected, Unavailable
from core.turn import Attachment

# Both ways in all; a desk must not wait for a film.
MAX_BYTES = 20 * 1024 * 1024
MAX_NAME_CHARS = 120
CHUNK_BYTES = 64 * 1024


class SlackFiles:
    """The files port over the Web API, for the team of the token in the settings."""

    def __init__(self, teams: Teams, session: aiohttp.ClientSession, *, api_url: str) -> None:
        """Fetch with the team's token, which is shown to no host but Slack's own."""
        self._teams = teams
        self._session = session
        self._api_host = urlsplit(api_url).hostname or ""

    async def fetch(self, file: Attachment, *, max_bytes: int) -> bytes:
        """What is in a file."""
        team = await self._teams.own()
        if team is None:
            raise Rejected("slack: there is no team of our own")
        answer = await asked(team.client.files_info(file=file.ref))
        about: dict[str, Any] = answer.get("file") or {}
        url = str(about.get("url_private_download") or about.get("url_private") or "")
        if not self._is_slacks(url):
            raise Rejected("slack: this file is kept elsewhere")
        if int(about.get("size") or 0) > max_bytes:
            raise Rejected(f"slack: the file is larger than {max_bytes} bytes")
        try:
            return await self._download(team, url, max_bytes)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable("slack", f"no connection: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TimeoutError(f"slack broke off: {type(error).__name__}") from error

    async def upload(
        self, team: Team, file: Attachment, content: bytes, *, channel: str, thread: str | None
    ) -> str:
        """Put a file into a thread; its id, for Slack does not say where exactly it stands there.

        Raises: as `bots.slack.api.asked` does.
        """
        name = name_of(file)
        begun = await asked(
            team.client.files_getUploadURLExternal(filename=name, length=len(content))
        )
        url, ref = str(begun["upload_url"]), str(begun["file_id"])
        if not self._is_slacks(url):
            raise Rejected("slack: the file would go elsewhere")
        try:
            async with self._session.post(url, data=content, proxy=proxy_for(url)) as answer:
                if answer.status != 200:
                    raise Unavailable("slack", f"no file taken ({answer.status})")
        except (aiohttp.ClientError, OSError) as error:
            # Nobody sees it before the next step.
            raise Unavailable("slack", f"no file taken ({type(error).__name__})") from error
        await asked(
            team.client.files_completeUploadExternal(
                files=[{"id": ref, "title": name}],
                channel_id=channel,
                thread_ts=thread,
            )
        )
        return ref

    async def _download(self, team: Team, url: str, max_bytes: int) -> bytes:
        headers = {"Authorization": f"Bearer {team.client.token}"}
        # A redirect would take the token elsewhere.
        async with self._session.get(
            url, headers=headers, allow_redirects=False, proxy=proxy_for(url)
        ) as answer:
            if answer.status == 429 or answer.status >= 500:
                raise Unavailable("slack", f"no file ({answer.status})")
            # Without the right to read it, Slack answers with a page to sign in.
            if answer.status != 200 or answer.content_type == "text/html":
                raise Rejected(f"slack: no file ({answer.status})")
            pieces: list[bytes] = []
            size = 0
            async for piece in answer.content.iter_chunked(CHUNK_BYTES):
                size += len(piece)
                if size > max_bytes:
                    raise Rejected(f"slack: the file is larger than {max_bytes} bytes")
                pieces.append(piece)
        return b"".join(pieces)

    def _is_slacks(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host == self._api_host:
            return parts.scheme in ("https", "http")
        return parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))


async def described(team: Team, file: Attachment) -> Attachment:
    """A file with its name and type: of another company's, a message tells only the id.

    Raises: as `bots.slack.api.asked` does; a file that Slack tells nothing of stays as it is.
    Source: https://docs.slack.dev/reference/events/message/file_share
    """
    try:
        answer = await asked(team.client.files_info(file=file.ref))
    except Rejected:
        return file
    return inbound.attached(answer.get("file")) or file


def name_of(file: Attachment) -> str:
    """What to call a file that may have no name; it is nobody's path."""
    name = " ".join(file.name.replace("/", " ").replace("\\", " ").split())
    return name[-MAX_NAME_CHARS:] or file.kind


def missing(files: Sequence[Attachment], titles: Sequence[str]) -> list[Attachment]:
    """The files that are not among those with these titles, each counted once."""
    left = list(titles)
    found = []
    for file in files:
        if name_of(file) in left:
            left.remove(name_of(file))
        else:
            found.append(file)
    return found
