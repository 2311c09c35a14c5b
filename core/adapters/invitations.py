"""Links that let somebody in once: for a new account, or for another password."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from core.adapters.accounts import NewAccount, account_of, add
from core.adapters.database import Database, Now
from core.adapters.sessions import token_hash
from core.adapters.tables import accounts, sessions
from core.errors import Rejected
from core.staff import Account, AccountId, Role
from core.turn import WorkspaceId

INVITED_S = 3 * 86400.0
_INVITATION = "invitation"


class LinkSpent(Rejected):
    """The link was used, has expired, or never was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a link is good for: a new account of `role`, or a new password for `account`."""

    role: Role
    account: Account | None = None


class Invitations:
    """One-time links: for a new account, or for another password."""

    def __init__(self, database: Database) -> None:
        """Keep the hashes of the links in `database`."""
        self._database = database

    async def make(
        self, workspace: WorkspaceId, role: Role, account: AccountId | None = None
    ) -> str:
        """The token of a new link; an account has one at most, and so has the first admin."""
        token = secrets.token_urlsafe(32)

        def work(connection: Connection) -> None:
            if account is not None:
                connection.execute(
                    delete(sessions).where(
                        sessions.c.kind == _INVITATION, sessions.c.account_id == account
                    )
                )
            connection.execute(
                insert(sessions).values(
                    token=token_hash(token),
                    workspace=workspace,
                    kind=_INVITATION,
                    account_id=account,
                    role=role,
                    created_at=Now(),
                    seen_at=Now(),
                    expires_at=Now() + INVITED_S,
                )
            )

        await self._database.write(work)
        return token

    async def first(self, workspace: WorkspaceId) -> str | None:
        """A link for the first admin, in place of earlier ones; None once there is an admin."""
        admins = (
            select(func.count())
            .select_from(accounts)
            .where(
                accounts.c.workspace == workspace,
                accounts.c.role == Role.ADMIN,
                accounts.c.login.is_not(None),
                accounts.c.disabled.is_(False),
            )
        )
        if await self._database.read(lambda connection: connection.scalar(admins)):
            return None
        earlier = delete(sessions).where(
            sessions.c.workspace == workspace,
            sessions.c.kind == _INVITATION,
            sessions.c.role == Role.ADMIN,
        )
        await self._database.write(lambda connection: connection.execute(earlier).rowcount)
        return await self.make(workspace, Role.ADMIN)

    async def look(self, workspace: WorkspaceId, token: str) -> Invitation | None:
        """What a link is good for; looking does not use it up."""

        def work(connection: Connection) -> Invitation | None:
            row = connection.execute(
                select(sessions.c.role, sessions.c.account_id).where(
                    sessions.c.token == token_hash(token),
                    sessions.c.workspace == workspace,
                    sessions.c.kind == _INVITATION,
                    sessions.c.expires_at > Now(),
                )
            ).first()
            if row is None:
                return None
            invited = connection.execute(
                select(accounts).where(accounts.c.id == row.account_id)
            ).first()
            return Invitation(
                role=Role(row.role), account=account_of(invited) if invited is not None else None
            )

        return await self._database.read(work)

    async def accept(self, workspace: WorkspaceId, token: str, new: NewAccount) -> AccountId:
        """Use a link up: the account is made, or gets its new password.

        Raises: LinkSpent, LoginTaken: nothing was changed.
        """

        def work(connection: Connection) -> AccountId:
            row = connection.execute(
                delete(sessions)
                .where(
                    sessions.c.token == token_hash(token),
                    sessions.c.workspace == workspace,
                    sessions.c.kind == _INVITATION,
                    sessions.c.expires_at > Now(),
                )
                .returning(sessions.c.role, sessions.c.account_id)
            ).first()
            if row is None:
                raise LinkSpent("this link was used or has expired")
            if row.account_id is None:
                invited = NewAccount(
                    name=new.name,
                    role=Role(row.role),
                    language=new.language,
                    login=new.login,
                    password=new.password,
                )
                return add(connection, workspace, invited)
            theirs = sessions.c.account_id == row.account_id
            connection.execute(delete(sessions).where(theirs))
            connection.execute(
                update(accounts)
                .where(accounts.c.id == row.account_id)
                .values(password=new.password)
            )
            return AccountId(row.account_id)

        return await self._database.write(work)
