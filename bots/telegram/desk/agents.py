"""Who writes in the desk's group is an agent."""

import time

from bots.telegram.desk.group import Group
from bots.telegram.desk.reading import Person
from bots.telegram.trouble import Trouble
from core.adapters.accounts import Accounts, NewAccount
from core.errors import Rejected, Unavailable
from core.language import normalise_tag
from core.staff import Account, Role
from core.turn import Channel, WorkspaceId

# A member who leaves the group may act for that much longer at most.
FRESH_S = 300.0
REMEMBERED = 10_000


class Agents:
    """The accounts of the group's members, made when they first do something."""

    def __init__(self, group: Group, accounts: Accounts, workspace: WorkspaceId) -> None:
        """Keep them in `accounts`."""
        self._group = group
        self._accounts = accounts
        self._workspace = workspace
        self._members: dict[int, float] = {}
        self._trouble = Trouble()

    async def account(self, person: Person, desk_language: str) -> Account | None:
        """Their account; None if they are not in the group.

        Raises:
            Rejected: Telegram answers that it does not tell who is in the group.
            Unavailable: the database or Telegram does not answer.
        """
        if not await self._is_member(person.id):
            return None
        ref = str(person.id)
        known = await self._accounts.for_identity(self._workspace, Channel.TELEGRAM, ref)
        if known is not None:
            return known
        new = NewAccount(
            name=person.name,
            role=Role.AGENT,
            language=normalise_tag(person.language or desk_language),
        )
        return await self._accounts.identify(self._workspace, Channel.TELEGRAM, ref, new)

    async def _is_member(self, user: int) -> bool:
        now = time.monotonic()
        if self._members.get(user, 0.0) > now:
            return True
        if len(self._members) > REMEMBERED:
            self._members.clear()
        try:
            is_member = await self._group.is_member(user)
        except LookupError as error:
            # The group has just moved: asked again, it answers under its new id.
            raise Unavailable("telegram", str(error)) from error
        except Rejected as error:
            self._trouble.say("telegram_desk_closed", str(error))
            raise
        self._trouble.over()
        if is_member:
            self._members[user] = now + FRESH_S
            return True
        self._members.pop(user, None)
        return False
