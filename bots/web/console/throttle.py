"""How often anybody may try to sign in."""

import time
from collections.abc import Callable

from starlette.requests import Request

from bots.web.visitor import network
from core.flood import Allowance

LOGIN_AT_ONCE, LOGIN_PER_MINUTE = 10, 4.0
ADDRESS_AT_ONCE, ADDRESS_PER_MINUTE = 30, 10.0


class Throttle:
    """By login against guessing one password, by address against trying many people's."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Start with nobody having tried."""
        self._logins = Allowance(burst=LOGIN_AT_ONCE, per_minute=LOGIN_PER_MINUTE, clock_s=clock_s)
        self._addresses = Allowance(
            burst=ADDRESS_AT_ONCE, per_minute=ADDRESS_PER_MINUTE, clock_s=clock_s
        )

    def admits(self, request: Request, login: str) -> bool:
        """Whether one more try may be made from there for this login."""
        address = network(request)
        return self._addresses.take(address) and self._logins.take(login)
