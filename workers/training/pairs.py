"""Pairs of texts that belong together, from the rows of a dataset to tables on disk."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

from datasets import Dataset as Columns
from datasets import Features, Value, concatenate_datasets
from datasets.arrow_writer import ArrowWriter
from sentence_transformers import SentenceTransformer, mine_hard_negatives

from core.language import same_language
from workers.training.dataset.examples import Example, Parallel, Question
from workers.training.dataset.folder import Dataset, Part

Table = Literal["pairs", "english", "hard"]
"""Pairs as they are; with an English second side; with passages that only look right."""

GROUP = "group"
"""A column that tells which rows must not be in one batch; no text for the model."""

# Written to disk together.
_ROWS = 10_000
# A found passage has to be this much less alike than the right one, or it may be right as well.
_MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What is asked, in `language`, and what should be found for it."""

    language: str
    asked: str
    found: str
    negatives: tuple[str, ...] = ()
    english: bool = False
    group: str = ""


def pairs(dataset: Dataset, part: Part) -> Iterator[Pair]:
    """The rows that pair two texts: questions with their passages, texts with translations.

    A customer asks in any language what is often written down in English only, so the English side
    of a translation is what is to be found.
    """
    for row in dataset.stream(part):
        pair = _pair(row)
        if pair is not None:
            yield pair


def with_english(found: Iterator[Pair]) -> Iterator[Pair]:
    """The pairs, and each English side once as its own translation.

    Who learns from the English sides of others would forget to read English.
    """
    seen: set[int] = set()
    for pair in found:
        yield pair
        if pair.english and (number := hash(pair.found)) not in seen:
            seen.add(number)
            yield replace(pair, language="en", asked=pair.found)


def write_tables(
    found: Iterator[Pair], folder: Path, negatives: int, *, groups: bool = False
) -> Mapping[Table, Columns]:
    """The pairs in files that are read as they are needed, however many there are.

    `negatives` is how many columns of them `hard` has; who has fewer repeats them. With `groups`,
    those of questions have a column `GROUP`.

    Returns: tables that are not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[Table, list[str]] = {
        "pairs": ["asked", "found"],
        "english": ["asked", "english"],
        "hard": ["asked", "found", *(f"negative_{at}" for at in range(1, negatives + 1))],
    }
    if groups:
        for table in ("pairs", "hard"):
            columns[table].append(GROUP)
    counts: dict[Table, int] = dict.fromkeys(columns, 0)
    writers = {
        table: ArrowWriter(
            path=str(folder / f"{table}.arrow"),
            features=Features({name: Value("string") for name in names}),
            writer_batch_size=_ROWS,
        )
        for table, names in columns.items()
    }
    for pair in found:
        table, texts = _filed(pair, negatives)
        row = dict(zip(columns[table], [*texts, pair.group], strict=False))
        writers[table].write(row)
        counts[table] += 1
    for writer in writers.values():
        writer.finalize()
    return {
        table: Columns.from_file(str(folder / f"{table}.arrow"))
        for table, count in counts.items()
        if count
    }


def find_negatives(
    tables: Mapping[Table, Columns], model: SentenceTransformer, negatives: int
) -> Mapping[Table, Columns]:
    """Give questions without negatives the passages that the model takes for nearly as good.

    Pairs for which it finds too few stay as they are.
    """
    if "pairs" not in tables:
        return tables
    plain = tables["pairs"]
    # It reports on the way.
    with contextlib.redirect_stderr(io.StringIO()):
        mined = mine_hard_negatives(
            plain,
            model,
            num_negatives=negatives,
            relative_margin=_MARGIN,
            output_format="n-tuple",
            use_faiss=True,
            batch_size=64,
            verbose=False,
        )
    if not len(mined):
        return tables
    done = set(zip(mined["asked"], mined["found"], strict=True))
    left = [
        at
        for at, both in enumerate(zip(plain["asked"], plain["found"], strict=True))
        if both not in done
    ]
    hard = [tables["hard"], mined] if "hard" in tables else [mined]
    changed: dict[Table, Columns] = {**tables, "hard": concatenate_datasets(hard)}
    del changed["pairs"]
    return {**changed, "pairs": plain.select(left)} if left else changed


def _pair(row: Example) -> Pair | None:
    match row:
        case Question():
            return Pair(
                language=row.lang,
                asked=row.query,
                found=row.passage,
                negatives=row.negatives,
                group=row.group,
            )
        case Parallel() if same_language(row.lang, "en"):
            return Pair(language=row.target_lang, asked=row.target, found=row.text, english=True)
        case Parallel():
            return Pair(
                language=row.lang,
                asked=row.text,
                found=row.target,
                english=same_language(row.target_lang, "en"),
            )
        case _:
            return None


def _filed(pair: Pair, negatives: int) -> tuple[Table, Sequence[str]]:
    if pair.english:
        return "english", (pair.asked, pair.found)
    if pair.negatives and negatives:
        return "hard", (pair.asked, pair.found, *islice(cycle(pair.negatives), negatives))
    return "pairs", (pair.asked, pair.found)
