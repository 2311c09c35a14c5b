"""Marked spans counted row by row, overall and by type."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from workers.evaluation.scores import Columns, Rows

Span = tuple[str, int, int]
"""Type, start, end."""


def count_spans(**spans: Sequence[Collection[Span]]) -> Columns:
    """How many spans each row has of each type, in a column `NAME TYPE` a name, and of all."""
    kinds = sorted({kind for rows in spans.values() for row in rows for kind, _, _ in row})
    counts = {
        name: [Counter(kind for kind, _, _ in row) for row in rows] for name, rows in spans.items()
    }
    return {
        f"{name} {kind}".strip(): np.array([row[kind] if kind else row.total() for row in rows])
        for name, rows in counts.items()
        for kind in ("", *kinds)
    }


def sum_spans(columns: Columns, chosen: Rows) -> dict[str, tuple[int, int, int]]:
    """How many spans are right, are there and were said: by type, those of all types under ""."""
    kinds = sorted({name.partition(" ")[2] for name in columns})
    return {
        kind: (
            int(columns[f"right {kind}".strip()][chosen].sum()),
            int(columns[f"there {kind}".strip()][chosen].sum()),
            int(columns[f"said {kind}".strip()][chosen].sum()),
        )
        for kind in kinds
    }
