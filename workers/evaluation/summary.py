"""How close summaries of conversations are to those of people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from core.adapters.detector import CombinedDetector
from core.language import normalise_tag
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.scores import Columns, Judged, Rows
from workers.evaluation.text_metrics import ROUGE, rouge
from workers.evaluation.writing import failures, write_rows

_HOW_COUNTED = (
    "ROUGE counts words of every script (rouge-score's own tokenizer knows a to z only), without"
    " stemming; Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan by sign"
)


class Summariser(Protocol):
    """Says what conversations come to."""

    @property
    def name(self) -> str:
        """What sums up."""
        ...

    async def summarise(self, dialogues: Sequence[str], *, language: str) -> Sequence[str | None]:
        """The summaries, in a language; None where it failed."""
        ...


class Summed(Row):
    """A conversation, one message a line, and what people made of it."""

    dialogue: Filled
    summaries: Annotated[tuple[Filled, ...], Field(min_length=1)]
    lang: Filled | None = None


async def judge(files: Sequence[Path], summariser: Summariser, progress: Progress) -> Judged:
    """Sum up each conversation in its language, which is guessed where the row does not tell it.

    Each ROUGE is F1 in [0, 1] with the closest summary. A failure counts as an empty summary.
    """
    rows = read(files, Summed)

    async def write(language: str, places: Sequence[int]) -> Sequence[str | None]:
        dialogues = [rows[at].dialogue for at in places]
        return await summariser.summarise(dialogues, language=language)

    written = await write_rows(_languages(rows), write, progress, "summing up")
    return Judged(
        languages=[normalise_tag(row.lang) if row.lang else "und" for row in rows],
        columns=rouge([text or "" for text in written], [row.summaries for row in rows]),
        measure=_measure,
        parts={"summariser": summariser.name},
        notes=(*failures(written), _HOW_COUNTED),
    )


def _languages(rows: Sequence[Summed]) -> list[str]:
    """The language to sum each conversation up in."""
    detector = CombinedDetector()
    told = (
        row.lang or next((tag for tag, _ in detector.guess(row.dialogue)), "en") for row in rows
    )
    return [normalise_tag(tag) for tag in told]


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    return {kind: float(np.mean(columns[kind][chosen])) for kind in ROUGE}
