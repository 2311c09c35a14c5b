"""Who works at a workspace's desk."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from core.adapters.database import Database, Now
from core.adapters.departures import release_cases, void_links
from core.adapters.tables import accounts, identities, sessions
from core.adapters.upsert import insert_into
from core.errors import Rejected
from core.staff import Account, AccountId, Role
from core.turn import WorkspaceId

SqlRow = Row[Any]


class LoginTaken(Rejected):
    """Somebody else of the workspace has this login."""


class LastAdmin(Rejected):
    """Nobody would be left who may change anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What an account starts with; one without a login works from a platform's desk only."""

    name: str
    role: Role
    language: str
    login: str | None = None
    password: str | None = None


class Accounts:
    """The accounts of all workspaces; each method stays inside the one that it is given."""

    def __init__(self, database: Database) -> None:
        """Keep the accounts in `database`."""
        self._database = database

    async def list(self, workspace: WorkspaceId) -> tuple[Account, ...]:
        """Everybody, by name; who is disabled comes last."""
        mine = accounts.c.workspace == workspace
        wanted = select(accounts).where(mine).order_by(accounts.c.disabled, accounts.c.name)
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        return tuple(account_of(row) for row in rows)

    async def get(self, workspace: WorkspaceId, account: AccountId) -> Account | None:
        """One account; None if there is none in this workspace."""
        wanted = select(accounts).where(_is(workspace, account))
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return account_of(row) if row else None

    async def for_login(
        self, workspace: WorkspaceId, login: str
    ) -> tuple[Account | None, str | None]:
        """Who signs in under that login, with the hash of their password; nobody if disabled."""
        wanted = select(accounts).where(
            accounts.c.workspace == workspace,
            accounts.c.login == login,
            accounts.c.disabled.is_(False),
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return (account_of(row), row.password) if row else (None, None)

    async def for_identity(self, workspace: WorkspaceId, channel: str, ref: str) -> Account | None:
        """Who somebody is on a platform or at a sign-in provider, disabled or not."""
        wanted = (
            select(accounts)
            .join(identities, identities.c.account_id == accounts.c.id)
            .where(
                identities.c.workspace == workspace,
                identities.c.channel == channel,
                identities.c.ref == ref,
                accounts.c.workspace == workspace,
            )
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return account_of(row) if row else None

    async def identify(
        self, workspace: WorkspaceId, channel: str, ref: str, person: Account | NewAccount
    ) -> Account:
        """Let an identity stand for an account, made on the spot if it is new.

        If the identity stands for somebody already, it stays theirs, and they are returned.
        Raises: LoginTaken.
        """

        def work(connection: Connection) -> AccountId:
            known = connection.scalar(
                select(identities.c.account_id).where(
                    identities.c.workspace == workspace,
                    identities.c.channel == channel,
                    identities.c.ref == ref,
                )
            )
            if known is not None:
                return AccountId(known)
            account = (
                person.id if isinstance(person, Account) else add(connection, workspace, person)
            )
            values = {"workspace": workspace, "channel": channel, "ref": ref}
            kept = connection.execute(
                insert_into(connection, identities)
                .values(**values, account_id=account)
                .on_conflict_do_nothing()
                .returning(identities.c.ref)
            )
            if kept.first() is None:
                raise LoginTaken("this identity is taken")
            return account

        try:
            found = await self._database.write(work)
        except LoginTaken:
            # Perhaps by the very same person, who came twice at once.
            known = await self.for_identity(workspace, channel, ref)
            if known is None:
                raise
            return known
        account = await self.get(workspace, found)
        if account is None:
            raise Rejected("the account is gone")
        return account

    async def create(self, workspace: WorkspaceId, new: NewAccount) -> AccountId:
        """Add somebody.

        Raises: LoginTaken.
        """
        return await self._database.write(lambda connection: add(connection, workspace, new))

    async def change(
        self, workspace: WorkspaceId, account: AccountId, **changes: str | bool | None
    ) -> None:
        """Change `name`, `language`, `role`, `password` (a hash), or `disabled`.

        Who is disabled is signed out everywhere, and so is who gets another password. Links made
        by who is no admin any longer are void, and whom they may not answer any longer waits
        again.
        Raises: LastAdmin: nobody else could administer the workspace.
        """
        out = bool(changes.get("disabled"))
        role = Role(str(changes.get("role", Role.ADMIN)))

        def work(connection: Connection) -> None:
            if out or role is not Role.ADMIN:
                _keep_an_admin(connection, workspace, account)
            mine = update(accounts).where(_is(workspace, account)).values(**changes)
            if not connection.execute(mine).rowcount:
                return
            if out or "password" in changes:
                connection.execute(sessions.delete().where(sessions.c.account_id == account))
            if out or role is not Role.ADMIN:
                void_links(connection, account)
            if out or not role.covers(Role.AGENT):
                release_cases(connection, workspace, account)

        await self._database.write(work)

    async def rehash(self, account: Account, password: str) -> None:
        """Keep another hash of the password that somebody has; nobody is signed out."""
        kept = update(accounts).where(_is(account.workspace, account.id)).values(password=password)
        await self._database.write(lambda connection: connection.execute(kept).rowcount)


def add(connection: Connection, workspace: WorkspaceId, new: NewAccount) -> AccountId:
    """Insert an account inside a transaction of somebody else's.

    Raises: LoginTaken.
    """
    statement = insert_into(connection, accounts).values(
        workspace=workspace,
        login=new.login,
        name=new.name,
        password=new.password,
        role=new.role,
        language=new.language,
        created_at=Now(),
    )
    account = connection.scalar(statement.on_conflict_do_nothing().returning(accounts.c.id))
    if account is None:
        raise LoginTaken("this login is taken")
    return AccountId(account)


def account_of(row: SqlRow) -> Account:
    """The account in a row of the table."""
    return Account(
        id=AccountId(row.id),
        workspace=WorkspaceId(row.workspace),
        login=row.login,
        name=row.name,
        role=Role(row.role),
        language=row.language,
        disabled=row.disabled,
    )


def _is(workspace: WorkspaceId, account: AccountId) -> ColumnElement[bool]:
    return (accounts.c.workspace == workspace) & (accounts.c.id == account)


def _keep_an_admin(connection: Connection, workspace: WorkspaceId, leaving: AccountId) -> None:
    """Lock the admins, so that two cannot take each other's role at once."""
    admins = connection.scalars(
        select(accounts.c.id)
        .where(
            accounts.c.workspace == workspace,
            accounts.c.role == Role.ADMIN,
            accounts.c.login.is_not(None),
            accounts.c.disabled.is_(False),
        )
        # Who takes a conversation points at their account meanwhile, and is not waited for.
        .with_for_update(key_share=True)
    ).all()
    if leaving in admins and len(admins) == 1:
        raise LastAdmin("the last admin cannot go")
