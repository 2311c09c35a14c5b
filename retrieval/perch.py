"""The canary's pair in each workspace, held beside the one in service while the canary runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from core.adapters.documents import Standing
from core.canary import Canary
from core.turn import ConversationId, WorkspaceId
from retrieval.encoders import EncoderRefused
from retrieval.pairs import Pair, Served, canary_pair
from retrieval.refusals import Refusals
from retrieval.snapshot import SnapshotRefused

Opens = Callable[[WorkspaceId, Pair], Awaitable[Served]]
"""Loads a pair. Raises: SnapshotRefused, EncoderRefused."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Perched:
    canary: Canary
    served: Served


class Perch:
    """Holds at most one canary a workspace; a search keeps the pair that it started with."""

    def __init__(self, opens: Opens, refusals: Refusals) -> None:
        """Nothing is loaded yet."""
        self._opens = opens
        self._perched: dict[WorkspaceId, _Perched] = {}
        self._refusals = refusals

    def drawn(self, workspace: WorkspaceId, conversation: ConversationId | None) -> Served | None:
        """The pair that a conversation is served with; None if it is the one in service."""
        perched = self._perched.get(workspace)
        return perched.served if perched and perched.canary.serves(conversation) else None

    def moved(self, workspace: WorkspaceId, standing: Standing) -> bool:
        """Whether another pair is on trial than the one that is held, or none that can be."""
        wanted, held = canary_pair(standing), self._perched.get(workspace)
        if wanted is None or self._refusals.hold(workspace, wanted):
            return held is not None
        return held is None or held.served.pair != wanted

    async def refresh(self, workspace: WorkspaceId, standing: Standing) -> None:
        """Hold what is on trial; if it cannot be used, the pair in service serves everyone."""
        if not self.moved(workspace, standing):
            return
        canary, wanted = standing.canary, canary_pair(standing)
        if canary is None or wanted is None:
            self._perched.pop(workspace, None)
            log.info("canary_let_go", workspace=workspace)
            return
        try:
            served = await self._opens(workspace, wanted)
        except (SnapshotRefused, EncoderRefused) as error:
            self._refusals.note(workspace, wanted)
            self._perched.pop(workspace, None)
            log.warning("canary_refused", workspace=workspace, reason=str(error))
            return
        self._perched[workspace] = _Perched(canary=canary, served=served)
        log.info("canary_in_service", workspace=workspace, version=canary.name, share=canary.share)
