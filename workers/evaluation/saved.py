"""Keeps what became of each row, without its text, to compare a later version with."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Rejected
from workers.evaluation.files import stream
from workers.evaluation.scores import Judged


class Saved(BaseModel):
    """One evaluation; `rows` tells its rows from any others, `languages` has a tag for each."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str
    rows: str
    made: datetime
    parts: Mapping[str, str]
    languages: tuple[str, ...]
    columns: Mapping[str, list[bool] | list[int] | list[float] | list[list[float]]]

    def judged(self, now: Judged) -> Judged:
        """These outcomes, measured as `now` is."""
        columns = {name: np.array(values) for name, values in self.columns.items()}
        return replace(now, languages=self.languages, columns=columns, parts=self.parts, notes=())


def fingerprint(files: Sequence[Path]) -> str:
    """A hash over the rows of all files, packed or not.

    Raises: Rejected: a file cannot be read or holds no rows.
    """
    total = hashlib.sha256()
    for path in files:
        for line in stream(path, bytes):
            total.update(line + b"\n")
        total.update(b"\n")
    return total.hexdigest()


def save(path: Path, task: str, rows: str, made: datetime, judged: Judged) -> None:
    """Write the outcomes.

    Raises: Rejected: the file cannot be written.
    """
    content = {
        "task": task,
        "rows": rows,
        "made": made.isoformat(timespec="seconds"),
        "parts": dict(judged.parts),
        "languages": list(judged.languages),
        "columns": {name: column.tolist() for name, column in judged.columns.items()},
    }
    write_text(path, json.dumps(content, ensure_ascii=False))


def load(path: Path, task: str, rows: str) -> Saved:
    """Read outcomes of the same rows.

    Raises: Rejected: the file cannot be read, or is of another task or of other rows.
    """
    try:
        saved = Saved.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValidationError as error:
        raise Rejected(f"{path}: not written by evaluate --save") from error
    if saved.task != task:
        raise Rejected(f"{path}: is of the task {saved.task}, not {task}")
    if saved.rows != rows:
        raise Rejected(f"{path}: was made of other rows; only the same files can be compared")
    if any(len(column) != len(saved.languages) for column in saved.columns.values()):
        raise Rejected(f"{path}: not whole; save it again")
    return saved


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or leave what was there.

    Raises: Rejected: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Rejected(f"{path}: {(error.strerror or str(error)).lower()}") from error
