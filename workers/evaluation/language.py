"""How often the language of a text is told rightly."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.adapters.detector import CombinedDetector
from core.language import normalise_tag, same_language
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import Codes, Numbers, f1_of_counts, macro_f1, share
from workers.evaluation.scores import Columns, Judged, Rows

_STEP = 2_000


class Labelled(Row):
    """A text and its language."""

    lang: Filled
    text: str


async def judge(files: Sequence[Path], progress: Progress) -> Judged:
    """Guess the language of each text.

    Regions do not count. Classes are the languages of the files: a guess of another one is a miss
    for the right language, and no class of its own. A language's own `macro_f1` is its F1 within
    all rows; `us_per_row` is processor time in microseconds.
    """
    rows = read(files, Labelled)
    tags = [normalise_tag(row.lang) for row in rows]
    classes = _Classes(tags)
    guesses, micros = _guess([row.text for row in rows], progress)
    return Judged(
        languages=tags,
        columns={"gold": classes.of(tags), "said": classes.of(guesses), "us": micros},
        measure=_measure,
        alone=_alone,
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    gold, said = columns["gold"], columns["said"]
    return {
        "accuracy": share(gold[chosen] == said[chosen]),
        "macro_f1": macro_f1(gold[chosen], said[chosen], int(gold.max()) + 1),
        "us_per_row": float(columns["us"][chosen].mean()),
    }


def _alone(columns: Columns, chosen: Rows) -> dict[str, float]:
    gold, said = columns["gold"], columns["said"]
    language = gold[chosen[0]]
    right = int((said[chosen] == language).sum())
    wrong = int((said[gold != language] == language).sum())
    return {
        "accuracy": share(gold[chosen] == said[chosen]),
        "macro_f1": f1_of_counts(right, len(chosen), right + wrong),
        "us_per_row": float(columns["us"][chosen].mean()),
    }


class _Classes:
    """Languages by number, each under the first of its tags."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._names: list[str] = []
        for tag in dict.fromkeys(tags):
            if not any(same_language(tag, name) for name in self._names):
                self._names.append(tag)

    def __len__(self) -> int:
        return len(self._names)

    def of(self, tags: Sequence[str]) -> Codes:
        """The number of each tag's language; -1 for others."""
        numbers = {tag: self._number(tag) for tag in set(tags)}
        return np.array([numbers[tag] for tag in tags], np.int64)

    def _number(self, tag: str) -> int:
        same = (at for at, name in enumerate(self._names) if same_language(tag, name))
        return next(same, -1)


def _guess(texts: Sequence[str], progress: Progress) -> tuple[list[str], Numbers]:
    """The first guess for each text, and the time it took."""
    detector = CombinedDetector()
    detector.guess("the first text waits for the models")
    guesses: list[str] = []
    micros = np.empty(len(texts))
    for at, text in enumerate(texts):
        if at % _STEP == 0:
            progress("guessing", at, len(texts))
        began = time.thread_time_ns()
        found = detector.guess(text)
        micros[at] = (time.thread_time_ns() - began) / 1_000
        guesses.append(found[0][0] if found else "und")
    progress("guessing", len(texts), len(texts))
    return guesses, micros
