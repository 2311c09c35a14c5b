"""Named places where a test may kill this process, to prove that nothing is lost there."""

import os
import signal

NAMES = (
    "accepted",
    "claimed",
    "turn_read",
    "answered",
    "finished",
    "begun",
    "sent",
    "settled",
)
# On the way to agents, of which a desk without people passes none.
DESK_NAMES = ("thread_read", "thread_opened", "event_shown")
# What an agent did is kept, and nobody was told so.
AGENT_NAMES = ("reply_kept", "note_kept", "hands_changed")
# A report stands on a desk, and nobody has kept where.
DECISION_NAMES = ("report_posted",)
# On a version's way into service.
VERSION_NAMES = (
    "version_sealed",
    "version_added",
    "index_built",
    "version_proven",
    "version_flipped",
    "versions_pruned",
)
# On a night's way from step to step; a step that runs then dies with its supervisor.
NIGHT_NAMES = (
    "night_taken",
    "night_step_counted",
    "night_step_started",
    "night_step_ended",
    "night_moved_on",
)
_NAMES = (
    *(*NAMES, *DESK_NAMES, *AGENT_NAMES),
    *(*DECISION_NAMES, *VERSION_NAMES, *NIGHT_NAMES),
)

_armed: dict[str, int] = {}


def arm(name: str, *, after: int) -> None:
    """Kill this process at the `after`-th passage of the place; only tests call this."""
    if name not in _NAMES:
        raise ValueError(f"no crash point is called {name}")
    _armed[name] = after


def passed(name: str) -> None:
    """Go on, unless a test armed this place."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
