"""Shares lessons out: some conversations are only ever measured on, the others are learnt from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.language import normalise_tag
from workers.nightly.exchanges import Stood
from workers.nightly.teaching import Lesson
from workers.training.dataset.cleaning import Cleaner, Cleaning, Reason
from workers.training.dataset.duplicates import Numbers, fingerprint, near_pairs, signature
from workers.training.dataset.examples import Example
from workers.training.dataset.folder import Part
from workers.training.dataset.splitting import PARTS, Split, parts, place
from workers.training.dataset.spool import Spool

HELD_OUT = 0.2
"""The share of conversations that no night ever learns from. With a tenth, a desk of 30 answers a
day would take a month to have enough of them to tell a better model from a lucky one."""
LIKENESS = 0.8
SPLIT = Split(dev=0.1, test=0.1)

ASKED_IN_TRAINING = "measured_question_is_learnt_too"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the set, with the lesson that it comes from."""

    example: Example
    lesson: Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Rows by part, and what is only measured on: lessons, and answers of the bot's."""

    rows: dict[Part, tuple[Row, ...]]
    held_out: tuple[Lesson, ...]
    stood: tuple[Stood, ...] = ()

    def lessons(self) -> int:
        """How many different answers are learnt from."""
        return len({id(row.lesson) for rows in self.rows.values() for row in rows})


def is_held_out(conversation: int) -> bool:
    """Whether a conversation is only ever measured on; it is, or is not, for good."""
    return place(f"conversation:{conversation}", "held out") < HELD_OUT


def share_out(lessons: Sequence[Lesson], folder: Path, left_out: Counter[str]) -> Shared | None:
    """Clean the rows, leave out what repeats, and part them; None if a part stays empty.

    Raises: OSError: the disk that `folder` is on is full.
    """
    learnt = [one for one in lessons if not is_held_out(one.exchange.conversation)]
    spool = Spool(folder)
    try:
        of = _spooled(learnt, spool, left_out)
        rows = _parted(spool, of, left_out)
    finally:
        spool.close()
    if rows is None:
        return None
    measured = [one for one in lessons if is_held_out(one.exchange.conversation)]
    return Shared(rows=rows, held_out=_unseen(measured, rows, left_out))


def _spooled(lessons: Sequence[Lesson], spool: Spool, left_out: Counter[str]) -> list[Lesson]:
    """Put cleaned rows into the spool; the lesson of each, in its order."""
    cleaner = Cleaner(Cleaning(redact=False))
    found: list[Lesson] = []
    for lesson in lessons:
        for row in lesson.rows:
            cleaned = cleaner.clean(row)
            if isinstance(cleaned, Reason):
                left_out[cleaned] += 1
            elif not spool.add(cleaned):
                left_out[Reason.EXACT_DUPLICATE] += 1
            else:
                found.append(lesson)
    return found


def _parted(
    spool: Spool, of: Sequence[Lesson], left_out: Counter[str]
) -> dict[Part, tuple[Row, ...]] | None:
    if not len(spool):
        return None
    pairs = spool.pairs(LIKENESS)
    tied = spool.tied(pairs)
    repeats = spool.repeats(pairs)
    left_out[Reason.NEAR_DUPLICATE] += len(repeats)
    part = parts(tied, spool.places(), SPLIT)
    kept = np.setdiff1d(np.arange(len(spool)), repeats)
    if not _filled(part, tied, kept):
        return None
    rows: dict[Part, tuple[Row, ...]] = {}
    for at, name in enumerate(PARTS):
        chosen = kept[part[kept] == at]
        found = spool.rows(chosen)
        rows[name] = tuple(
            Row(example=example, lesson=of[number])
            for number, example in zip(chosen.tolist(), found, strict=True)
        )
    return rows


def _filled(part: Numbers, tied: Numbers, kept: Numbers) -> bool:
    """Give an empty part the smallest group of tied rows that train can spare; False if none."""
    for at in range(1, len(PARTS)):
        if (part[kept] == at).any():
            continue
        groups = Counter(tied[kept[part[kept] == 0]].tolist())
        if len(groups) < 2:
            return False
        smallest = min(groups, key=lambda group: (groups[group], group))
        part[tied == smallest] = at
    return bool((part[kept] == 0).any())


def _unseen(
    lessons: Sequence[Lesson], rows: dict[Part, tuple[Row, ...]], left_out: Counter[str]
) -> tuple[Lesson, ...]:
    """What asks nearly nothing that is learnt, each question once."""
    asked = {id(row.lesson): row.lesson for found in rows.values() for row in found}
    everything = [*asked.values(), *lessons]
    signed = np.stack([signature(one.question) for one in everything])
    tags = np.array([fingerprint(normalise_tag(one.exchange.language)) for one in everything])
    pairs = near_pairs(signed, tags, LIKENESS)
    repeats = set(pairs.later[pairs.later >= len(asked)].tolist())
    for number in repeats:
        first = pairs.first[pairs.later == number].min()
        left_out[ASKED_IN_TRAINING if first < len(asked) else Reason.NEAR_DUPLICATE] += 1
    return tuple(one for at, one in enumerate(everything) if at >= len(asked) and at not in repeats)
