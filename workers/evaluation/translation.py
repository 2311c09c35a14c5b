"""How close translations are to those of a person."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from core.errors import Rejected, Unavailable
from core.faithful import FaithfulTranslator
from core.language import normalise_tag
from core.translation import Fault, Translated, Untranslated
from core.turn import WorkspaceId
from retrieval.writing import Progress
from workers.evaluation.files import Filled, Row, read
from workers.evaluation.metrics import Numbers
from workers.evaluation.scores import Columns, Judged, Rows
from workers.evaluation.text_metrics import bleu, chrf, corpus_score, signature, statistics, ter
from workers.evaluation.writing import failures, write_rows


class Translator(Protocol):
    """Writes texts in another language; codes are ISO 639-1, 639-3 or BCP 47."""

    @property
    def name(self) -> str:
        """What translates."""
        ...

    async def translate(
        self, texts: Sequence[str], *, source: str, target: str
    ) -> Sequence[str | None]:
        """The translations; None where it failed."""
        ...


class AsOnTheDesk:
    """Translations as they would reach an agent or a customer: what does not hold, does not."""

    def __init__(self, translator: FaithfulTranslator, name: str) -> None:
        """Let `translator` through, under the name of its model."""
        self._translator = translator
        self.name = name

    async def translate(
        self, texts: Sequence[str], *, source: str, target: str
    ) -> Sequence[str | None]:
        """The translations; None where the original would go out instead.

        Raises:
            Rejected: it does not know one of the two languages.
            Unavailable: it answered none of them.
        """
        found = await self._translator.translate_all(
            WorkspaceId("evaluated"), texts, source=source, target=target
        )
        faults = [one.fault for one in found if isinstance(one, Untranslated)]
        if Fault.PAIR in faults:
            raise Rejected(f"{self.name} does not translate from {source} into {target}")
        if faults.count(Fault.UNAVAILABLE) == len(texts):
            raise Unavailable("translator", "it answers nothing")
        return [one.text if isinstance(one, Translated) else None for one in found]


class Example(Row):
    """A text and what a person made of it."""

    src_lang: Filled
    tgt_lang: Filled
    src: Filled
    ref: Filled


async def judge(files: Sequence[Path], translator: Translator, progress: Progress) -> Judged:
    """Translate each text; rows count for the language that is translated into.

    Scores are sacrebleu's, 0 to 100. A text at which the translator failed counts as empty.
    """
    rows = read(files, Example)

    async def write(pair: tuple[str, str], places: Sequence[int]) -> Sequence[str | None]:
        texts = [rows[at].src for at in places]
        return await translator.translate(texts, source=pair[0], target=pair[1])

    pairs = [(row.src_lang, row.tgt_lang) for row in rows]
    written = await write_rows(pairs, write, progress, "translating")
    columns, signatures = _compare(rows, [text or "" for text in written])
    return Judged(
        languages=[normalise_tag(row.tgt_lang) for row in rows],
        columns=columns,
        measure=_measure,
        parts={"translator": translator.name},
        notes=(*failures(written), *signatures),
    )


def _compare(rows: Sequence[Example], written: Sequence[str]) -> tuple[Columns, list[str]]:
    """What each row adds to the scores, and how these were computed.

    BLEU and TER cut some languages into signs.
    """
    columns: dict[str, Numbers] = {}
    used: dict[str, list[str]] = defaultdict(list)
    languages = np.array([normalise_tag(row.tgt_lang) for row in rows])
    for language in np.unique(languages).tolist():
        places = np.flatnonzero(languages == language).tolist()
        texts = [written[at] for at in places]
        references = [[rows[at].ref] for at in places]
        metrics = {"bleu": bleu(language), "chrf": chrf(), "ter": ter(language)}
        for name, metric in metrics.items():
            found = statistics(metric, texts, references)
            columns.setdefault(name, np.zeros((len(rows), found.shape[1])))[places] = found
            used[signature(metric)].append(language)
    return columns, [f"{how} of {', '.join(tags)}" for how, tags in sorted(used.items())]


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    return {
        "bleu": corpus_score(bleu(), columns["bleu"][chosen]),
        "chrf": corpus_score(chrf(), columns["chrf"][chosen]),
        "ter": corpus_score(ter(), columns["ter"][chosen]),
    }
