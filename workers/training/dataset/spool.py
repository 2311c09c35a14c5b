"""Rows put aside on disk, with what is needed in memory to share them out."""

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.training.dataset.duplicates import (
    HASHES,
    Numbers,
    Pairs,
    Signatures,
    components,
    fingerprint,
    near_pairs,
    row_fingerprint,
    signature,
)
from workers.training.dataset.examples import Example, Label, Parallel, parse, to_json
from workers.training.dataset.splitting import place
from workers.training.dataset.texts import asked, learnt

Floats = NDArray[np.float64]


class Numbered:
    """Names, each with a number in the order of its first appearance."""

    def __init__(self) -> None:
        """Start without names."""
        self._numbers: dict[str | int, int] = {}

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._numbers)

    def __contains__(self, name: str | int) -> bool:
        """Whether the name has a number."""
        return name in self._numbers

    def of(self, name: str | int) -> int:
        """The number of a name."""
        return self._numbers.setdefault(name, len(self._numbers))

    def names(self) -> list[str]:
        """The names in the order of their numbers."""
        return list(map(str, self._numbers))


class Column:
    """One value of every row, as numbers that stand for names."""

    def __init__(self) -> None:
        """Start without rows."""
        self._values = array("q")
        self._names = Numbered()

    def add(self, name: str | int) -> int:
        """Append the value of one more row; return its number."""
        number = self._names.of(name)
        self._values.append(number)
        return number

    def has(self, name: str | int) -> bool:
        """Whether a row has this value."""
        return name in self._names

    @property
    def numbers(self) -> Numbers:
        """Int64 (rows,)."""
        return np.array(self._values, np.int64)

    def names(self) -> list[str]:
        """The names by their numbers."""
        return self._names.names()

    def __len__(self) -> int:
        """How many different values there are."""
        return len(self._names)

    def are(self, name: str, rows: Numbers) -> NDArray[np.bool_]:
        """Which of some rows have this value."""
        return np.equal(self.numbers[rows], self._names.of(name))

    def of(self, rows: Numbers) -> list[str]:
        """The names of some rows."""
        names = self.names()
        return [names[number] for number in self.numbers[rows].tolist()]


def language_of(row: Example) -> str:
    """The language that a row is counted under; a translation's is the one translated into."""
    return row.target_lang if isinstance(row, Parallel) else row.lang


class Spool:
    """Keeps rows in the order of their adding, about 200 bytes of memory a row."""

    def __init__(self, folder: Path) -> None:
        """Write into a file in `folder` that vanishes when it is closed."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._starts = array("q", [0])
        self._seen: set[int] = set()
        self.kind, self.language, self.label, self.origin = (Column() for _ in range(4))
        self.group, self.text, self.outcome = Column(), Column(), Column()
        self._places = array("d")
        self._signed: list[Signatures] = []
        self._signed_languages = array("q")

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._starts) - 1

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def add(self, row: Example) -> bool:
        """Keep a row; False if one that says the same is kept already.

        Raises: OSError: the disk is full.
        """
        seen = row_fingerprint(row)
        if seen in self._seen:
            return False
        self._seen.add(seen)
        line = to_json(row)
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))
        self._describe(row)
        return True

    def knows(self, row: Example) -> bool:
        """Whether a row that was added asks the same."""
        return self.text.has(fingerprint(row.lang, asked(row)))

    def _describe(self, row: Example) -> None:
        self.kind.add(row.kind)
        self.label.add(row.label if isinstance(row, Label) else "")
        self.origin.add(f"{row.source}\x00{row.licence}")
        self.language.add(language_of(row))
        if self.group.add(row.group) == len(self._places):
            self._places.append(place(row.group))
        self.outcome.add(fingerprint(row.kind, learnt(row)))
        if self.text.add(fingerprint(row.lang, asked(row))) == len(self._signed):
            self._signed.append(signature(asked(row)))
            self._signed_languages.append(fingerprint(row.lang))

    def places(self) -> Floats:
        """Where the group of each row stands between 0 and 1."""
        return np.array(self._places)[self.group.numbers]

    def pairs(self, likeness: float) -> Pairs:
        """Texts, by their numbers in `text`, that are nearly the same."""
        signed = np.stack(self._signed) if self._signed else np.empty((0, HASHES), np.uint32)
        return near_pairs(signed, np.array(self._signed_languages, np.int64), likeness)

    def tied(self, pairs: Pairs) -> Numbers:
        """A number for each row, the same for those that a group or a pair of texts ties."""
        texts, groups = len(self._signed), len(self._places)
        text, group = self.text.numbers, self.group.numbers + texts
        first = np.concatenate([pairs.first, text])
        return components(texts + groups, first, np.concatenate([pairs.later, group]))[text]

    def repeats(self, pairs: Pairs) -> Numbers:
        """Rows that ask nearly what an earlier one asks, and teach the same."""
        earlier: dict[int, list[int]] = {}
        for first, later in zip(pairs.first.tolist(), pairs.later.tolist(), strict=True):
            earlier.setdefault(later, []).append(first)
        taught = list(zip(self.text.numbers.tolist(), self.outcome.numbers.tolist(), strict=True))
        known = set(taught)
        return np.array(
            [
                row
                for row, (text, outcome) in enumerate(taught)
                if any((first, outcome) in known for first in earlier.get(text, ()))
            ],
            np.int64,
        )

    def rows(self, chosen: Numbers) -> Iterator[Example]:
        """Some rows, in the order in which they are asked for."""
        self._file.flush()
        for number in chosen.tolist():
            self._file.seek(self._starts[number])
            yield parse(self._file.read(self._starts[number + 1] - self._starts[number]))
