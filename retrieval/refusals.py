"""Pairs that could not be loaded, which are left alone for a while."""

from collections.abc import Callable

from core.turn import WorkspaceId
from retrieval.pairs import Pair

# Memory or file handles that were short may be there again by then; what is damaged costs a load in
# vain each minute.
AGAIN_S = 60.0


class Refusals:
    """Remembers each refusal until the pair is worth another try."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """`clock_s` must never go back."""
        self._clock_s = clock_s
        self._until_s: dict[tuple[WorkspaceId, Pair], float] = {}

    def note(self, workspace: WorkspaceId, pair: Pair) -> None:
        """A pair was refused just now."""
        self._until_s[workspace, pair] = self._clock_s() + AGAIN_S

    def hold(self, workspace: WorkspaceId, pair: Pair) -> bool:
        """Whether it is too early to try a pair again."""
        return self._clock_s() < self._until_s.get((workspace, pair), float("-inf"))
