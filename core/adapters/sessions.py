"""Signed-in browsers."""

import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select, update

from core.adapters.accounts import account_of
from core.adapters.database import Database, Now
from core.adapters.tables import accounts, sessions
from core.staff import Account
from core.turn import WorkspaceId

IDLE_S = 12 * 3600.0
LONGEST_S = 14 * 86400.0
# How exactly `seen_at` is known; a write for each request would be too much.
SEEN_EVERY_S = 60.0

_SESSION = "session"


class Sessions:
    """Who is signed in. A token is known to its browser only; here lies its hash."""

    def __init__(self, database: Database, *, idle_s: float = IDLE_S) -> None:
        """Sign out who has done nothing for `idle_s`, and everybody after two weeks."""
        self._database = database
        self._idle_s = idle_s

    async def begin(self, account: Account, instead_of: str = "") -> str:
        """Sign in; returns the new token. The token that the browser came with is void after."""
        token = secrets.token_urlsafe(32)

        def work(connection: Connection) -> None:
            connection.execute(
                delete(sessions).where(
                    (sessions.c.token == token_hash(instead_of)) | (sessions.c.expires_at < Now())
                )
            )
            connection.execute(
                insert(sessions).values(
                    token=token_hash(token),
                    workspace=account.workspace,
                    kind=_SESSION,
                    account_id=account.id,
                    created_at=Now(),
                    seen_at=Now(),
                    expires_at=Now() + LONGEST_S,
                )
            )

        await self._database.write(work)
        return token

    async def find(
        self, workspace: WorkspaceId, token: str, *, touch: bool = True
    ) -> Account | None:
        """Who is signed in by this token; with `touch` they count as active now."""
        wanted = (
            select(accounts, (Now() - sessions.c.seen_at).label("idle_s"))
            .join(sessions, sessions.c.account_id == accounts.c.id)
            .where(
                sessions.c.token == token_hash(token),
                sessions.c.workspace == workspace,
                sessions.c.kind == _SESSION,
                sessions.c.expires_at > Now(),
                sessions.c.seen_at > Now() - self._idle_s,
                accounts.c.workspace == workspace,
                accounts.c.disabled.is_(False),
            )
        )
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        if row is None:
            return None
        if touch and row.idle_s > SEEN_EVERY_S:
            seen = (
                update(sessions).where(sessions.c.token == token_hash(token)).values(seen_at=Now())
            )
            await self._database.write(lambda connection: connection.execute(seen).rowcount)
        return account_of(row)

    async def end(self, token: str) -> None:
        """Sign this browser out."""
        gone = delete(sessions).where(
            sessions.c.token == token_hash(token), sessions.c.kind == _SESSION
        )
        await self._database.write(lambda connection: connection.execute(gone).rowcount)


def token_hash(token: str) -> str:
    """What is kept of a token."""
    # A token has 256 bits of its own: nothing to slow a guess down is needed.
    return hashlib.sha256(token.encode()).hexdigest()
