"""An index and the encoder that built it, which are only ever searched together."""

from dataclasses import dataclass

from core.adapters.documents import Standing
from retrieval.encoders import BASE, Fitted
from retrieval.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The names of an index and of the encoder that built it."""

    index: str
    encoder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A snapshot with the encoder that built it; what begins with a pair ends with it."""

    snapshot: Snapshot
    fitted: Fitted

    @property
    def pair(self) -> Pair:
        """The names of both."""
        return Pair(index=self.snapshot.version, encoder=self.fitted.version)

    def outdated_by(self, standing: Standing) -> bool:
        """Whether its own encoder has another index by now, with what was added since."""
        mine = self.pair
        wanted = (pair_of(standing), canary_pair(standing))
        return any(
            pair is not None and pair.encoder == mine.encoder and pair != mine for pair in wanted
        )


def pair_of(standing: Standing) -> Pair | None:
    """What the pointers name; None for a workspace without an index."""
    if standing.pointer is None:
        return None
    encoder = standing.encoder.name if standing.encoder else BASE
    return Pair(index=standing.pointer.name, encoder=encoder)


def canary_pair(standing: Standing) -> Pair | None:
    """What is on trial beside it; None if nothing is."""
    canary = standing.canary
    return Pair(index=canary.index, encoder=canary.name) if canary else None
