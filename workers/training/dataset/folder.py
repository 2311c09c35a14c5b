"""A dataset on disk: train, dev and test rows beside the manifest that vouches for them.

manifest.json    where the rows come from, their hashes, what was counted and dropped
train.jsonl.gz   one row of `examples.py` a line; plain .jsonl is read as well
dev.jsonl.gz
test.jsonl.gz
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import Field, JsonValue, ValidationError

from core.errors import Rejected
from workers.evaluation.files import Row, stream
from workers.training.dataset.examples import BaseExample, Example, parse, to_json

MANIFEST = "manifest.json"

E = TypeVar("E", bound=BaseExample)


class Part(StrEnum):
    """What rows are for: learning, choosing, and the one last measurement."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class File(Row):
    """A file of rows as it was written."""

    name: str
    sha256: str
    rows: int


class Origin(Row):
    """Where rows came from, and how many of them are left."""

    source: str
    licence: str
    rows: int


Counts = Mapping[str, int]


class Manifest(Row):
    """What a dataset is made of; counts are of rows.

    `languages` (of a translation, the one translated into), `kinds` and `labels` count each part;
    `before` counts the languages and labels of train before it was sampled. `origins` count what
    was read, `dropped` what was left out, by reason. `code` is the version of this program,
    `recipe` what it was told besides the sources.
    """

    created: str
    seed: int
    code: str = ""
    recipe: Mapping[str, JsonValue] = Field(default_factory=dict)
    files: Mapping[Part, File]
    origins: tuple[Origin, ...] = ()
    kinds: Mapping[Part, Counts] = Field(default_factory=dict)
    languages: Mapping[Part, Counts] = Field(default_factory=dict)
    labels: Mapping[Part, Counts] = Field(default_factory=dict)
    before: Mapping[str, Counts] = Field(default_factory=dict)
    augmented: Counts = Field(default_factory=dict)
    dropped: Counts = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A folder whose files are those of its manifest."""

    folder: Path
    manifest: Manifest

    def stream(self, part: Part) -> Iterator[Example]:
        """The rows of one part, one at a time.

        Raises: Rejected: a row is wrong; names file and line.
        """
        return stream(self.folder / self.manifest.files[part].name, parse)

    def rows(self, part: Part, form: type[E]) -> tuple[E, ...]:
        """The rows of one part that have the form a task learns from.

        Raises: Rejected: a row is wrong, or none has this form.
        """
        found = tuple(row for row in self.stream(part) if isinstance(row, form))
        if not found:
            path = self.folder / self.manifest.files[part].name
            raise Rejected(f'{path}: has no rows of kind "{form.model_fields["kind"].default}"')
        return found


def open_dataset(folder: Path) -> Dataset:
    """The dataset in `folder`, checked against its manifest.

    Raises: Rejected: the folder is no dataset, a part is missing, or a file was changed.
    """
    manifest = _manifest(folder / MANIFEST)
    for part in Part:
        if part not in manifest.files:
            raise Rejected(f'{folder / MANIFEST}: "files" names no {part} part')
        _check(folder / manifest.files[part].name, manifest.files[part])
    return Dataset(folder=folder, manifest=manifest)


def write_part(folder: Path, part: Part, rows: Iterable[Example]) -> File:
    """Write the rows of one part; the same rows give the same bytes.

    Raises: Rejected: there are no rows, or the disk is full.
    """
    path, count = folder / f"{part}.jsonl.gz", 0
    try:
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            for row in rows:
                file.write(to_json(row))
                count += 1
    except OSError as error:
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
    return File(name=path.name, sha256=sha256(path), rows=count)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last of all files: without it the folder is no dataset."""
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Rejected(f"{path.parent}: holds no dataset, for {MANIFEST} cannot be read") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise Rejected(f"{path}: {where}: {first['msg'].lower()}") from error


def _check(path: Path, file: File) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if not file.rows:
        raise Rejected(f"{path}: holds no rows")
    if found != file.sha256:
        raise Rejected(f"{path}: is not the file that {MANIFEST} vouches for; build it again")
