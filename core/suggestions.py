"""What becomes of the reply that the briefing suggests: tomorrow's training data."""

from enum import StrEnum


class Fate(StrEnum):
    """What an agent did with a suggested reply."""

    ACCEPTED = "accepted"
    EDITED = "edited"
    DISCARDED = "discarded"


def fate_of(sent: str, suggested: str, *, taken: bool) -> Fate | None:
    """What was done with a suggestion by sending this; None if it tells nothing.

    `taken` means that the agent began with the suggested words.
    """
    if " ".join(sent.split()) == " ".join(suggested.split()):
        return Fate.ACCEPTED
    return Fate.EDITED if taken else None
