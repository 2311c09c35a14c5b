"""How often each row is to be seen, when languages or labels are unequally frequent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import Rejected

Numbers = NDArray[np.int64]
Level = Literal["over", "under"]
K = TypeVar("K", bound=str)


def shares(counts: Mapping[K, int], temperature: float = 1.0) -> dict[K, float]:
    """The share of each key in what is drawn: that in `counts` to the power 1 / temperature.

    1 is as it comes, a large temperature is all alike; alpha is 1 / temperature.
    Source: Arivazhagan et al., arXiv 1907.05019; alpha is that of XLM, arXiv 1901.07291.
    """
    if temperature < 1:
        raise Rejected(f"a temperature of {temperature:g} is below 1, which would widen the gaps")
    total = sum(counts.values())
    powers = {key: (count / total) ** (1 / temperature) for key, count in counts.items() if count}
    return {key: power / sum(powers.values()) for key, power in powers.items()}


def draw(keys: Sequence[str], size: int, *, temperature: float, seed: int) -> Numbers:
    """Indices of `size` rows, whose keys are as frequent as `shares` says, in a random order.

    No row is drawn once more before every row of its key was drawn.
    """
    if not keys:
        return np.empty(0, np.int64)
    random = np.random.default_rng(seed)
    places = _places(keys)
    wanted = _apportioned(shares(Counter(keys), temperature), size)
    drawn = [_repeated(places[key], count, random) for key, count in wanted.items()]
    return random.permutation(np.concatenate(drawn))


def level(labels: Sequence[str], how: Level, *, seed: int) -> Numbers:
    """Indices of rows so that every label is as frequent as the most (over) or least frequent."""
    if not labels:
        return np.empty(0, np.int64)
    random = np.random.default_rng(seed)
    places = _places(labels)
    pick = max if how == "over" else min
    count = pick(len(found) for found in places.values())
    drawn = [_repeated(found, count, random) for found in places.values()]
    return random.permutation(np.concatenate(drawn))


def class_weights(counts: Mapping[K, int]) -> dict[K, float]:
    """What each label's loss is to be multiplied by; the mean over all rows is 1.

    Source: King and Zeng, 2001; "balanced" in scikit-learn.
    """
    present = {key: count for key, count in counts.items() if count}
    total = sum(present.values())
    return {key: total / (len(present) * count) for key, count in present.items()}


def _places(keys: Sequence[str]) -> dict[str, Numbers]:
    names, numbers = np.unique(np.asarray(keys, dtype=str), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))[:-1]
    return dict(zip(names.tolist(), np.split(order, ends), strict=True))


def _apportioned(wanted: Mapping[str, float], size: int) -> dict[str, int]:
    """Whole numbers that sum up to `size`, the largest remainders rounded up."""
    exact = {key: share * size for key, share in wanted.items()}
    found = {key: int(amount) for key, amount in exact.items()}
    rest = sorted(exact, key=lambda key: found[key] - exact[key])
    for key in rest[: size - sum(found.values())]:
        found[key] += 1
    return found


def _repeated(found: Numbers, count: int, random: np.random.Generator) -> Numbers:
    rounds = -(-count // len(found))
    return np.concatenate([random.permutation(found) for _ in range(max(1, rounds))])[:count]
