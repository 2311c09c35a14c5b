"""Shares rows out over train, dev and test so that nothing that belongs together is parted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from workers.training.dataset.duplicates import (
    Numbers,
    components,
    near_pairs,
    signature,
)
from workers.training.dataset.examples import Example
from workers.training.dataset.folder import Part
from workers.training.dataset.texts import asked

PARTS = tuple(Part)
_MAX_SHOWN = 60


class Split(BaseModel):
    """The share of the groups that each part but train gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dev: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.1


def place(group: str, salt: str = "") -> float:
    """Where a group stands between 0 and 1: by its name alone, so that it stays there for good."""
    digest = blake2b(f"{salt}\x00{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def parts(tied: Numbers, places: NDArray[np.float64], how: Split) -> Numbers:
    """The part, as an index of `PARTS`, of each row.

    Rows with the same number in `tied` go where the one with the lowest place goes: a row that is
    added later moves others only if it ties them together. The lowest places are train, so that
    a large cluster rather goes there.
    """
    lowest = np.full(int(tied.max(initial=-1)) + 1, 1.0)
    np.minimum.at(lowest, tied, places)
    bounds = [1 - how.dev - how.test, 1 - how.test]
    return np.searchsorted(bounds, lowest[tied], side="right").astype(np.int64)


def leaks(rows: Mapping[Part, Iterable[Example]], likeness: float = 0.8) -> tuple[str, ...]:
    """What stands in more than one part: groups, and texts that are the same or nearly so."""
    flat = [(part, row) for part in Part for row in rows.get(part, ())]
    where: dict[str, set[Part]] = defaultdict(set)
    for part, row in flat:
        where[row.group].add(part)
    found = [
        f'group "{group}": {", ".join(sorted(seen))}'
        for group, seen in where.items()
        if len(seen) > 1
    ]
    return (*found, *_near_leaks(flat, likeness))


def _near_leaks(flat: Sequence[tuple[Part, Example]], likeness: float) -> list[str]:
    if not flat:
        return []
    signed = np.stack([signature(asked(row)) for _, row in flat])
    tags = {tag: number for number, tag in enumerate(sorted({row.lang for _, row in flat}))}
    languages = np.array([tags[row.lang] for _, row in flat])
    pairs = near_pairs(signed, languages, likeness)
    tied = components(len(flat), pairs.first, pairs.later)
    where: dict[int, set[Part]] = defaultdict(set)
    texts: dict[int, str] = {}
    for number, (part, row) in zip(tied.tolist(), flat, strict=True):
        where[number].add(part)
        texts.setdefault(number, _shown(row))
    return [
        f'near duplicates of "{texts[number]}": {", ".join(sorted(seen))}'
        for number, seen in where.items()
        if len(seen) > 1
    ]


def _shown(row: Example) -> str:
    return " ".join(asked(row).split())[:_MAX_SHOWN]
