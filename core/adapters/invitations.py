"""Links that let somebody in once: for a new account, or for another password."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from core.adapters.accounts import NewAccount, account_of, add
from core.adapters.database import Database, Now
from core.adapters.departures import INVITATION
from core.adapters.sessions import token_hash
from core.adapters.tables import accounts, sessions
from core.errors import Rejected
from core.staff import Account, AccountId, Role
from core.turn import WorkspaceId

INVITED_S = 3 * 86400.0


class LinkSpent(Rejected):
    """The link was used, has expired, or never was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a link is good for: a new account of `role`, or a new password for `account`."""

    role: Role
    account: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLink:
    """A link that nobody has used yet; `ref` names it, and lets nobody in.

    `maker` is the name of who made it, empty for a shell, and `whose` that of whose password it
    renews.
    """

    ref: str
    role: Role
    made_at: float
    maker: str = ""
    whose: str = ""


class Invitations:
    """One-time links: for a new account, or for another password."""

    def __init__(self, database: Database) -> None:
        """Keep the hashes of the links in `database`."""
        self._database = database

    async def make(
        self,
        workspace: WorkspaceId,
        role: Role,
        account: AccountId | None = None,
        *,
        maker: AccountId | None = None,
    ) -> str:
        """The token of a new link; an account has one at most, and so has the first admin.

        Once `maker` may make none any longer it is void; a shell is nobody.
        """
        token = secrets.token_urlsafe(32)

        def work(connection: Connection) -> None:
            if account is not None:
                connection.execute(
                    delete(sessions).where(
                        sessions.c.kind == INVITATION, sessions.c.account_id == account
                    )
                )
            connection.execute(
                insert(sessions).values(
                    token=token_hash(token),
                    workspace=workspace,
                    kind=INVITATION,
                    account_id=account,
                    role=role,
                    made_by=maker,
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
            sessions.c.kind == INVITATION,
            sessions.c.role == Role.ADMIN,
        )
        await self._database.write(lambda connection: connection.execute(earlier).rowcount)
        return await self.make(workspace, Role.ADMIN)

    async def open(self, workspace: WorkspaceId) -> tuple[OpenLink, ...]:
        """The links that still let somebody in, oldest first."""
        maker, invited = accounts.alias("maker"), accounts.alias("invited")
        wanted = (
            select(
                sessions.c.token,
                sessions.c.role,
                sessions.c.created_at,
                maker.c.name.label("maker"),
                invited.c.name.label("whose"),
            )
            .outerjoin(maker, maker.c.id == sessions.c.made_by)
            .outerjoin(invited, invited.c.id == sessions.c.account_id)
            .where(
                sessions.c.workspace == workspace,
                sessions.c.kind == INVITATION,
                sessions.c.expires_at > Now(),
            )
            .order_by(sessions.c.created_at, sessions.c.token)
        )
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return tuple(
            OpenLink(
                ref=row.token,
                role=Role(row.role),
                made_at=row.created_at,
                maker=row.maker or "",
                whose=row.whose or "",
            )
            for row in rows
        )

    async def withdraw(self, workspace: WorkspaceId, ref: str) -> bool:
        """Void a link; False if it is not there any more."""
        gone = delete(sessions).where(
            sessions.c.token == ref,
            sessions.c.workspace == workspace,
            sessions.c.kind == INVITATION,
        )
        return await self._database.write(lambda connection: connection.execute(gone).rowcount > 0)

    async def look(self, workspace: WorkspaceId, token: str) -> Invitation | None:
        """What a link is good for; looking does not use it up."""

        def work(connection: Connection) -> Invitation | None:
            row = connection.execute(
                select(sessions.c.role, sessions.c.account_id).where(
                    sessions.c.token == token_hash(token),
                    sessions.c.workspace == workspace,
                    sessions.c.kind == INVITATION,
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
                    sessions.c.kind == INVITATION,
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
