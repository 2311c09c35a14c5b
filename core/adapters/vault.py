"""Tokens of platform accounts, encrypted at rest."""

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, delete, select

from core.adapters.database import Database, Now
from core.adapters.tables import installations
from core.adapters.upsert import insert_into
from core.errors import Misconfigured
from core.turn import Channel, WorkspaceId


class Vault:
    """Secrets by channel and account, sealed with one key (Fernet: AES-128-CBC and HMAC)."""

    def __init__(self, database: Database, key: bytes) -> None:
        """Seal with `key`, 32 url-safe base64 bytes as `Fernet.generate_key` makes them.

        Raises: Misconfigured: the key has another form.
        """
        self._database = database
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise Misconfigured("the secret key must be 32 url-safe base64 bytes") from error

    async def put(
        self, channel: Channel, account: str, secret: str, workspace: WorkspaceId
    ) -> None:
        """Keep the secret of an account, in place of an older one."""
        values = {
            "workspace": workspace,
            "sealed": self._fernet.encrypt(secret.encode()).decode(),
            "installed_at": Now(),
        }

        def work(connection: Connection) -> None:
            statement = insert_into(connection, installations).values(
                channel=channel, account=account, **values
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(installations.primary_key), set_=values
                )
            )

        await self._database.write(work)

    async def get(self, channel: Channel, account: str) -> tuple[WorkspaceId, str] | None:
        """The account's workspace and secret.

        Raises: Misconfigured: it was sealed with another key.
        """
        wanted = select(installations.c.workspace, installations.c.sealed).where(
            installations.c.channel == channel, installations.c.account == account
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            return None
        try:
            secret = self._fernet.decrypt(row.sealed.encode()).decode()
        except InvalidToken as error:
            raise Misconfigured(
                f"the stored token of {channel} account {account} was sealed with another secret"
                " key; restore that key or install the app again"
            ) from error
        return WorkspaceId(row.workspace), secret

    async def accounts(self, channel: Channel) -> tuple[str, ...]:
        """Every account of a channel that has a secret here."""
        wanted = select(installations.c.account).where(installations.c.channel == channel)
        return await self._database.read(
            lambda connection: tuple(connection.execute(wanted).scalars())
        )

    async def remove(self, channel: Channel, account: str) -> None:
        """Forget an account that uninstalled us."""

        def work(connection: Connection) -> None:
            connection.execute(
                delete(installations).where(
                    installations.c.channel == channel, installations.c.account == account
                )
            )

        await self._database.write(work)
