"""Lets a model write a text for each row, rows of a kind together."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from retrieval.writing import Progress

_STEP = 64

K = TypeVar("K", bound=Hashable)


async def write_rows(
    kinds: Sequence[K],
    write: Callable[[K, Sequence[int]], Awaitable[Sequence[str | None]]],
    progress: Progress,
    stage: str,
) -> list[str | None]:
    """What `write(kind, row numbers)` makes of each row, None where it failed."""
    places: dict[K, list[int]] = defaultdict(list)
    for at, kind in enumerate(kinds):
        places[kind].append(at)
    written: list[str | None] = [None] * len(kinds)
    done = 0
    for kind, alike in places.items():
        for start in range(0, len(alike), _STEP):
            progress(stage, done, len(kinds))
            some = alike[start : start + _STEP]
            for at, text in zip(some, await write(kind, some), strict=True):
                written[at] = text
            done += len(some)
    progress(stage, done, len(kinds))
    return written


def failures(written: Sequence[str | None]) -> tuple[str, ...]:
    """A note if the model failed."""
    failed = written.count(None)
    return (f"texts that the model failed at, counted as empty: {failed}",) if failed else ()
