"""The message broker of the distributed form."""

import asyncio

from kombu.connection import Connection
from kombu.exceptions import OperationalError

from core.errors import Misconfigured, Unavailable

CONNECT_S = 5


def check_scheme(url: str) -> None:
    """See that a URL names a kind of broker that does not lose messages by design.

    Raises: Misconfigured: it does not.
    """
    scheme = url.partition("://")[0]
    if scheme not in {"amqp", "amqps", "redis", "rediss", "pyamqp"}:
        raise Misconfigured("DRAGOMAN_BROKER_URL must begin with amqp:// or redis://")


async def check(url: str) -> str:
    """Connect to the broker and tell its kind.

    Raises:
        Misconfigured: the URL names no broker that we know.
        Unavailable: it does not answer, or refuses us.
    """
    check_scheme(url)

    def connect() -> str:
        with Connection(url, connect_timeout=CONNECT_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_S)
            return str(connection.as_uri())

    try:
        return f"{await asyncio.to_thread(connect)} answers"
    except (OperationalError, OSError) as error:
        raise Unavailable(
            "broker", f"{str(error) or type(error).__name__}; is it running?"
        ) from error
