"""The company's people: who they are, and what each may do."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from core.turn import WorkspaceId

AccountId = NewType("AccountId", int)

# NIST SP 800-63B-4, 3.1.1.2: length is what counts; no rules about kinds of characters.
MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
MAX_LOGIN_CHARS = 200
MAX_NAME_CHARS = 100

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class Role(StrEnum):
    """What somebody may do; each role may all that those below it may."""

    ADMIN = "admin"
    AGENT = "agent"
    VIEWER = "viewer"

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what takes `needed`."""
        order = list(Role)
        return order.index(self) <= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person; without a `login` they work from a platform's desk only."""

    id: AccountId
    workspace: WorkspaceId
    name: str
    role: Role
    language: str
    login: str | None = None
    disabled: bool = False


def tidy_login(text: str) -> str:
    """The one spelling of a login, which is compared as it stands; empty if it cannot be one."""
    login = text.strip().casefold()
    fits = 0 < len(login) <= MAX_LOGIN_CHARS and not re.search(r"\s", login)
    return login if fits and not _UNPRINTABLE.search(login) else ""


def tidy_name(text: str) -> str:
    """A name on one line, without signs that nobody sees."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())[:MAX_NAME_CHARS]


def may_be_password(text: str) -> bool:
    """Whether it is long enough to withstand guessing, and short enough to be hashed."""
    return MIN_PASSWORD_CHARS <= len(text) <= MAX_PASSWORD_CHARS
