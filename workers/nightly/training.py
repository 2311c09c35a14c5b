"""The night's second step: makes candidates from the pinned bases, never from last night's."""

from core.nights import Ended, Order, StepResult, VersionKind


def train(order: Order) -> StepResult:
    """Make a candidate of each kind that there is enough to learn for.

    A call after a kill goes on from the last checkpoint; one after the end makes nothing anew.

    Raises:
        Rejected: the data is at fault, or the workspace has no articles.
        Misconfigured: a base cannot be used.
        Unavailable: database, memory or disk gave out; the same call goes on.
    """
    # torch and its kin, which take seconds to import.
    from workers.nightly.dialogue import make_dialogue
    from workers.nightly.encoder import make_encoder
    from workers.training.dataset.folder import open_dataset

    curated = open_dataset(order.dataset)
    made = {
        VersionKind.ENCODER: make_encoder(order, curated),
        VersionKind.DIALOGUE: make_dialogue(order, curated),
    }
    figures = {str(kind): told for kind, told in made.items() if told is not None}
    if not figures:
        return StepResult(
            ended=Ended.SKIPPED,
            reason="too few questions with their articles to learn from",
            figures={"kinds": []},
        )
    return StepResult(ended=Ended.DONE, figures={"kinds": list(figures), **figures})
