"""How python-telegram-bot's requests travel: over aiohttp, as those to Slack do."""

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from bots.proxies import proxy_for

CONNECT_S = 5.0
READ_S = 15.0
# The longer a connection lies idle, the likelier Telegram is to close it just as we send.
IDLE_S = 5.0


class AiohttpRequest(BaseRequest):
    """A pool of connections.

    The library's own way, over httpx, takes several times the processor time.
    """

    def __init__(self, api_url: str, *, connections: int) -> None:
        """Open nothing yet: the first request connects."""
        self._proxy = proxy_for(api_url)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        """Seconds without a byte after which an answer is given up."""
        return READ_S

    async def initialize(self) -> None:
        """Do nothing; see `__init__`."""

    async def shutdown(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Send one request; the status and the body of the answer.

        Raises: TimedOut, NetworkError: with aiohttp's own error as the cause.
        """
        read_s = read_timeout if isinstance(read_timeout, int | float) else READ_S
        try:
            async with self._opened().request(
                method,
                url,
                data=None if request_data is None else _form(request_data),
                headers={"User-Agent": self.USER_AGENT},
                proxy=self._proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=READ_S, sock_connect=CONNECT_S, sock_read=read_s
                ),
            ) as answer:
                return answer.status, await answer.read()
        except TimeoutError as error:
            raise TimedOut(type(error).__name__) from error
        except (aiohttp.ClientError, OSError) as error:
            # Not its text, which may hold the address and so the token.
            raise NetworkError(type(error).__name__) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_S)
            )
        return self._session


def _form(request: RequestData) -> dict[str, str] | aiohttp.FormData:
    """The parameters, beside which files travel in parts of their own."""
    if not request.contains_files:
        return request.json_parameters
    form = aiohttp.FormData(request.json_parameters)
    for name, (filename, content, kind) in (request.multipart_data or {}).items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form
