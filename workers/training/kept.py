"""What a run's folder keeps to: one recipe, and the same rows to learn from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.errors import Rejected
from workers.training.dataset.folder import Dataset, Part
from workers.training.recipe import Block

RECIPE, DATA = "recipe.json", "data.json"

_ELSEWHERE = "name another folder, or remove this one"


def keep_to(folder: Path, recipe: Block, dataset: Dataset | None) -> None:
    """Write down what `check_kept` compares with."""
    if dataset is not None:
        write_json(folder / DATA, _hashes(dataset))
    write_json(folder / RECIPE, recipe.model_dump(mode="json"))


def check_kept(folder: Path, recipe: Block, dataset: Dataset | None) -> None:
    """Refuse a folder whose model another call would not make.

    Raises: Rejected: it holds another run, or the dataset was built anew since.
    """
    kept, now = _read(folder / RECIPE), recipe.model_dump(mode="json")
    if kept.get("task") != now["task"]:
        raise Rejected(f"{folder} holds another run; {_ELSEWHERE}")
    try:
        # A run that began before there was a setting, or one of its parts, has its default.
        known = type(recipe).model_validate(kept).model_dump(mode="json")
    except ValidationError:
        known = kept
    changed = sorted(key for key in known | now if known.get(key) != now.get(key))
    if changed:
        raise Rejected(
            f"{folder} holds a run of another recipe ({', '.join(changed)} differ); {_ELSEWHERE}"
        )
    # A run that began before they were kept has no hashes.
    if dataset is not None and _read(folder / DATA) not in ({}, _hashes(dataset)):
        raise Rejected(
            f"{folder} holds a run on other rows, for {dataset.folder} was built anew; {_ELSEWHERE}"
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is never there by half."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    unfinished.rename(path)


def _hashes(dataset: Dataset) -> dict[str, str]:
    return {str(part): dataset.manifest.files[part].sha256 for part in Part}


def _read(path: Path) -> dict[str, Any]:
    """What a file says; nothing where there is none."""
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return content
