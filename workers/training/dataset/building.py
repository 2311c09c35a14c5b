"""Builds a dataset as a recipe says: gathered, cleaned, deduplicated, split, sampled, written."""

import importlib.metadata
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np

from core.errors import Rejected
from core.language import same_language
from workers.training.dataset.augmentation import Rewrite, augmented
from workers.training.dataset.balancing import draw, level
from workers.training.dataset.cleaning import Cleaner, Reason
from workers.training.dataset.duplicates import Numbers
from workers.training.dataset.examples import Example, Kind, Label
from workers.training.dataset.folder import (
    MANIFEST,
    Counts,
    Dataset,
    File,
    Manifest,
    Origin,
    Part,
    open_dataset,
    write_manifest,
    write_part,
)
from workers.training.dataset.gathering import gather
from workers.training.dataset.licences import is_permissive
from workers.training.dataset.recipe import Recipe
from workers.training.dataset.splitting import PARTS, parts
from workers.training.dataset.spool import Spool, language_of

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total); a total of 0 is not known yet."""

_STEP = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """What was written of one part."""

    kinds: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    augmented: Counter[str] = field(default_factory=Counter)

    def count(self, row: Example) -> None:
        self.kinds[row.kind] += 1
        self.languages[language_of(row)] += 1
        if isinstance(row, Label):
            self.labels[row.label] += 1
        if row.augmented:
            self.augmented[row.augmented] += 1


def build(
    recipe: Recipe, folder: Path, progress: Progress, rewrite: Rewrite | None = None
) -> Dataset:
    """Write the dataset into `folder`; one that stands there is replaced.

    The same recipe and sources give the same rows. `rewrite` is the model that `augment` may ask.

    Raises: Rejected: a source is wrong, too few rows are left, or the disk is full.
    """
    if folder.is_file():
        raise Rejected(f"{folder}: is a file; name a folder for the dataset")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Until all parts are written there is no dataset.
        (folder / MANIFEST).unlink(missing_ok=True)
        spool = Spool(folder)
        try:
            _build(recipe, folder, spool, progress, rewrite)
        finally:
            spool.close()
    except OSError as error:
        raise Rejected(f"{folder}: {(error.strerror or str(error)).lower()}") from error
    return open_dataset(folder)


def _build(
    recipe: Recipe, folder: Path, spool: Spool, progress: Progress, rewrite: Rewrite | None
) -> None:
    dropped = _gather(recipe, spool, progress)
    progress("splitting", 0, 0)
    kept = _split(recipe, spool, dropped)
    before = _counts(spool, kept[Part.TRAIN])
    kept[Part.TRAIN] = _sampled(recipe, spool, kept[Part.TRAIN], dropped)
    tallies = {part: _Tally() for part in Part}
    files = {
        part: write_part(
            folder,
            part,
            _written(recipe, spool, part, kept[part], tallies[part], rewrite, progress),
        )
        for part in Part
    }
    write_manifest(folder, _manifest(recipe, spool, files, tallies, before, dropped))


def _gather(recipe: Recipe, spool: Spool, progress: Progress) -> Counter[str]:
    """Put the rows that are worth keeping into the spool; the others are counted by reason."""
    cleaner, dropped = Cleaner(recipe.cleaning), Counter[str]()
    for number, row in enumerate(chain.from_iterable(map(gather, recipe.sources))):
        if number % _STEP == 0:
            progress("reading", number, 0)
        if recipe.kinds and row.kind not in recipe.kinds:
            continue
        cleaned = _unwanted(recipe, row) or cleaner.clean(row)
        if isinstance(cleaned, Reason):
            dropped[cleaned] += 1
        elif not spool.add(cleaned):
            dropped[Reason.EXACT_DUPLICATE] += 1
    if not len(spool):
        raise Rejected(f"no rows are left; {_listed(dropped) or 'the sources have none'}")
    return dropped


def _unwanted(recipe: Recipe, row: Example) -> Reason | None:
    if recipe.permissive and not is_permissive(row.licence):
        return Reason.LICENCE
    wanted = recipe.languages
    if wanted and not any(same_language(language_of(row), tag) for tag in wanted):
        return Reason.LANGUAGE
    return None


def _split(recipe: Recipe, spool: Spool, dropped: Counter[str]) -> dict[Part, Numbers]:
    """The rows of each part, shuffled."""
    pairs = spool.pairs(recipe.near_duplicates.likeness)
    part = parts(spool.tied(pairs), spool.places(), recipe.split)
    if recipe.near_duplicates.drop:
        repeats = spool.repeats(pairs)
        part[repeats] = len(PARTS)
        dropped[Reason.NEAR_DUPLICATE] += len(repeats)
    random = np.random.default_rng(recipe.seed)
    kept = {name: random.permutation(np.flatnonzero(part == at)) for at, name in enumerate(PARTS)}
    for name, rows in kept.items():
        if not len(rows):
            raise Rejected(
                f"{name} would hold no rows: {len(spool)} rows in {len(spool.group)} groups are"
                " too few, or its share under split too small"
            )
    return kept


def _sampled(recipe: Recipe, spool: Spool, train: Numbers, dropped: Counter[str]) -> Numbers:
    how, chosen = recipe.sample, train
    if how.labels != "as_is":
        labelled = spool.kind.are(Kind.LABEL, train)
        labels = spool.label.of(train[labelled])
        levelled = train[labelled][level(labels, how.labels, seed=recipe.seed)]
        chosen = np.concatenate([train[~labelled], levelled])
    if how.rows is not None or how.temperature > 1:
        languages = spool.language.of(chosen)
        size = how.rows or len(chosen)
        chosen = chosen[draw(languages, size, temperature=how.temperature, seed=recipe.seed)]
    dropped[Reason.UNSAMPLED] += len(train) - len(np.unique(chosen))
    return chosen


def _written(
    recipe: Recipe,
    spool: Spool,
    part: Part,
    chosen: Numbers,
    tally: _Tally,
    rewrite: Rewrite | None,
    progress: Progress,
) -> Iterator[Example]:
    """The rows of one part, those that were made after those that were found."""
    rows = spool.rows(chosen)
    if part is Part.TRAIN:
        rows = chain(rows, _made(recipe, spool, chosen, rewrite))
    for number, row in enumerate(rows):
        if number % _STEP == 0:
            progress(f"writing {part}", number, max(number, len(chosen)))
        tally.count(row)
        yield row


def _made(
    recipe: Recipe, spool: Spool, train: Numbers, rewrite: Rewrite | None
) -> Iterator[Example]:
    unique = np.unique(train)
    for kind, how in sorted(recipe.augment.items()):
        rows = spool.rows(unique[spool.kind.are(kind, unique)])
        for row in augmented(rows, how, rewrite, recipe.seed):
            # It may happen to say what a row of dev or test says.
            if not spool.knows(row):
                yield row


def _counts(spool: Spool, rows: Numbers) -> dict[str, Counts]:
    labels = Counter(spool.label.of(rows))
    del labels[""]
    return {"languages": Counter(spool.language.of(rows)), "labels": labels}


def _manifest(
    recipe: Recipe,
    spool: Spool,
    files: Mapping[Part, File],
    tallies: Mapping[Part, _Tally],
    before: Mapping[str, Counts],
    dropped: Counter[str],
) -> Manifest:
    origins = Counter(spool.origin.of(np.arange(len(spool))))
    return Manifest(
        created=datetime.now(UTC).date().isoformat(),
        seed=recipe.seed,
        code=code_version(),
        recipe=recipe.model_dump(mode="json", exclude_defaults=True, exclude={"sources", "model"}),
        files=files,
        origins=tuple(
            Origin(source=source, licence=licence, rows=rows)
            for (source, _, licence), rows in sorted(
                (name.partition("\x00"), rows) for name, rows in origins.items()
            )
        ),
        kinds={part: tally.kinds for part, tally in tallies.items()},
        languages={part: tally.languages for part, tally in tallies.items()},
        labels={part: tally.labels for part, tally in tallies.items()},
        before=before,
        augmented=tallies[Part.TRAIN].augmented,
        dropped=+dropped,
    )


def code_version() -> str:
    """The commit that this program runs from, or its version where there is no repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return importlib.metadata.version("dragoman")
    return described.stdout.strip()


def _listed(dropped: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(dropped.items()))
