"""What could not be loaded, and is left alone for a while."""

from collections.abc import Callable, Hashable

from core.turn import WorkspaceId

# Memory or file handles that were short may be there again by then; what is damaged costs a load in
# vain each minute.
AGAIN_S = 60.0


class Refusals:
    """Remembers each refusal, of a pair or a version, until it is worth another try."""

    def __init__(self, clock_s: Callable[[], float], *, longest_s: float = AGAIN_S) -> None:
        """`clock_s` must never go back; each pause is twice the one before, up to `longest_s`."""
        self._clock_s = clock_s
        self._longest_s = longest_s
        self._pause_s: dict[tuple[WorkspaceId, Hashable], float] = {}
        self._until_s: dict[tuple[WorkspaceId, Hashable], float] = {}

    def note(self, workspace: WorkspaceId, what: Hashable) -> None:
        """It was refused just now."""
        pause_s = min(self._longest_s, 2 * self._pause_s.get((workspace, what), AGAIN_S / 2))
        self._pause_s[workspace, what] = pause_s
        self._until_s[workspace, what] = self._clock_s() + pause_s

    def hold(self, workspace: WorkspaceId, what: Hashable) -> bool:
        """Whether it is too early to try it again."""
        return self._clock_s() < self._until_s.get((workspace, what), float("-inf"))
