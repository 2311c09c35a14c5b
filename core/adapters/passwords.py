"""Passwords, of which only an argon2id hash is kept."""

import asyncio
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# Each hash takes 64 MiB for a moment: a crowd at the door must not fill the memory.
AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a password is right, and a stronger hash to keep if today's settings ask for one."""

    right: bool
    renewed: str | None = None


class Passwords:
    """Hashes and verifies off the loop, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Without a hasher, RFC 9106's second recommended setting, which is argon2-cffi's own."""
        self._hasher = hasher or PasswordHasher()
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep, in the PHC string format."""
        async with self._seats:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, kept: str | None) -> Verdict:
        """Compare; where nothing is kept, as much work is done for nothing.

        So the time tells nobody which logins exist.
        """
        if self._decoy is None:
            self._decoy = await self.hash("nobody's password")
        against = kept or self._decoy
        async with self._seats:
            right = await asyncio.to_thread(self._matches, against, password)
        if not right or kept is None:
            return Verdict(right=False)
        stale = self._hasher.check_needs_rehash(kept)
        return Verdict(right=True, renewed=await self.hash(password) if stale else None)

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
