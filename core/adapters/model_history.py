"""What the nights of a workspace came to: its versions, its nights, and what serves now."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.adapters.canaries import Canaries
from core.adapters.database import Database
from core.adapters.in_service import InService
from core.adapters.nights import SqlNights
from core.adapters.pointers import Pointer
from core.adapters.versions import Version, Versions
from core.canary import Canary
from core.nights import Night, VersionKind
from core.turn import WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Versions and nights, newest first; `live` names what serves, and what did before.

    `canaries` serve a share of the conversations.
    """

    versions: tuple[Version, ...]
    nights: tuple[Night, ...]
    live: Mapping[VersionKind, Pointer]
    canaries: tuple[Canary, ...]


class ModelHistory:
    """Reads it for people."""

    def __init__(self, database: Database) -> None:
        """Read it in `database`."""
        self._versions = Versions(database)
        self._nights = SqlNights(database)
        self._service = InService(database)
        self._canaries = Canaries(database)

    async def of(self, workspace: WorkspaceId) -> History:
        """Everything that there is to tell.

        Raises: Unavailable: the database does not answer.
        """
        return History(
            versions=await self._versions.list(workspace),
            nights=await self._nights.list(workspace),
            live={kind: await self._service.live(workspace, kind) for kind in VersionKind},
            canaries=await self._canaries.running(workspace),
        )
