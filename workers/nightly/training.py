"""The night's second step: makes candidates from the pinned bases, never from last night's."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.errors import DragomanError, Unavailable
from core.nights import Ended, Order, StepResult, VersionKind

if TYPE_CHECKING:
    from workers.training.dataset.folder import Dataset

_Make = Callable[[Order, "Dataset"], Mapping[str, Any] | None]


def train(order: Order) -> StepResult:
    """Make a candidate of each kind that there is enough to learn for.

    A call after a kill goes on from the last checkpoint; one after the end makes nothing anew. A
    kind whose base or data are at fault is told under `failed`, and the other one is made.

    Raises:
        Rejected: the data of all kinds is at fault, or the workspace has no articles.
        Misconfigured: no base can be used.
        Unavailable: database, memory or disk gave out; the same call goes on.
    """
    # torch and its kin, which take seconds to import.
    from workers.nightly.dialogue import make_dialogue
    from workers.nightly.encoder import make_encoder
    from workers.training.dataset.folder import open_dataset

    makers: Mapping[VersionKind, _Make] = {
        VersionKind.ENCODER: make_encoder,
        VersionKind.DIALOGUE: make_dialogue,
    }
    curated = open_dataset(order.dataset)
    made: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, DragomanError] = {}
    for kind, make in makers.items():
        try:
            told = make(order, curated)
        except Unavailable:
            raise
        except DragomanError as error:
            failed[kind] = error
        else:
            made |= {kind: told} if told is not None else {}
    if made:
        reasons = {kind: " ".join(str(error).split()) for kind, error in failed.items()}
        figures = {"kinds": [str(kind) for kind in made], "failed": reasons, **made}
        return StepResult(ended=Ended.DONE, figures=figures)
    if failed:
        raise next(iter(failed.values()))
    return StepResult(
        ended=Ended.SKIPPED,
        reason="too few questions with their articles to learn from",
        figures={"kinds": []},
    )
