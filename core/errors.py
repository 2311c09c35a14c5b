"""What should not happen, as a small tree that every edge can answer.

    DragomanError
    ├── Rejected        the request itself is wrong: never retry it
    ├── Unavailable     something we depend on did not serve us: retry later
    ├── Misconfigured   a setting, file or token is wrong: stop at the start and say so
    └── LeaseLost       another process holds this conversation now: drop what was in hand

What *may* happen (low confidence, a wish for a person) is no error but an `Outcome`.
"""


class DragomanError(Exception):
    """The root of every error that this program raises on purpose."""


class Rejected(DragomanError):
    """The request can never succeed as it stands."""


class Unavailable(DragomanError):
    """A dependency did not serve us; the same request may succeed later."""

    def __init__(
        self, dependency: str, reason: str = "", *, retry_after_s: float | None = None
    ) -> None:
        """Name the dependency as an operator knows it, such as "database" or "slack"."""
        super().__init__(f"{dependency}: {reason}" if reason else dependency)
        self.dependency = dependency
        self.retry_after_s = retry_after_s


class Misconfigured(DragomanError):
    """A setting, token or file is wrong; the message says which and what to do."""


class LeaseLost(DragomanError):
    """The lease on a conversation lapsed and somebody else has taken it."""
