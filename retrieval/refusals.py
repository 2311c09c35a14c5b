"""What could not be loaded, and is left alone for a while."""

from collections.abc import Callable, Hashable

from core.turn import WorkspaceId

# Memory or file handles that were short may be there again by then; what is damaged costs a load in
# vain each minute.
AGAIN_S = 60.0


class Refusals:
    """Remembers each refusal, of a pair or a version, until it is worth another try."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """`clock_s` must never go back."""
        self._clock_s = clock_s
        self._until_s: dict[tuple[WorkspaceId, Hashable], float] = {}

    def note(self, workspace: WorkspaceId, what: Hashable) -> None:
        """It was refused just now."""
        self._until_s[workspace, what] = self._clock_s() + AGAIN_S

    def hold(self, workspace: WorkspaceId, what: Hashable) -> bool:
        """Whether it is too early to try it again."""
        return self._clock_s() < self._until_s.get((workspace, what), float("-inf"))
