"""Makes the night's dialogue model: the pinned base, taught to answer as the agents did."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.nights import Order, VersionKind, version_folder
from retrieval.knowledge import silent
from workers.model_server import only_points
from workers.training.dataset.examples import Reply
from workers.training.dataset.folder import Dataset, Part
from workers.training.recipe import Adapter
from workers.training.start import train_recipe
from workers.training.tasks.chat import Chat

KIND = VersionKind.DIALOGUE
ENOUGH = 100
"""From so many replies on."""

_FEWEST_DEV = 5
# Smaller models are trained whole: they have little to spare for low-rank weights to steer.
_WHOLE_BELOW_BYTES = 200_000_000
_RECIPE: Mapping[str, Any] = {
    "task": "chat",
    "epochs": 2,
    "batch": 16,
    "device_batch": 4,
    "max_tokens": 1_024,
    "learning_rate": 1e-4,
}

Figures = Mapping[str, Any]


def make_dialogue(order: Order, curated: Dataset, **settings: object) -> Figures | None:
    """Make the candidate, or go on where a kill interrupted; `settings` replace the recipe's.

    Returns: figures; None where the model is no folder of ours, where it only points, which people
        do not show it by what they write, or where there are too few replies.

    Raises:
        Rejected: the data is at fault.
        Misconfigured: the base cannot be used.
        Unavailable: memory or disk gave out; the same call goes on.
    """
    base = Path(order.model)
    if not order.model or not base.is_dir() or only_points(base) or not _enough(curated):
        return None
    run = order.run(KIND)
    changed = {"base": str(base), "dataset": curated.folder} | settings
    recipe = Chat.model_validate({**_RECIPE, "adapter": _adapter(base), **changed})
    told = train_recipe(recipe, run, silent)
    candidate = version_folder(order.data_dir, order.workspace, order.version_name(KIND))
    if not candidate.exists():
        _publish(run / "model", candidate)
    names = ("rows", "updates", "took_s", "peak_memory_mb", "dev", "languages", "data")
    return {name: told[name] for name in names}


def _enough(curated: Dataset) -> bool:
    counts = {
        part: sum(isinstance(row, Reply) for row in curated.stream(part))
        for part in (Part.TRAIN, Part.DEV)
    }
    return counts[Part.TRAIN] >= ENOUGH and counts[Part.DEV] >= _FEWEST_DEV


def _adapter(base: Path) -> Adapter | None:
    size = sum(path.stat().st_size for path in base.rglob("*.safetensors"))
    return Adapter(method="lora") if size >= _WHOLE_BELOW_BYTES else None


def _publish(model: Path, candidate: Path) -> None:
    """Copied, since the run is cleared away before the version is."""
    unfinished = candidate.with_name(f"{candidate.name}.part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(model, unfinished)
        unfinished.rename(candidate)
    except (OSError, shutil.Error) as error:
        raise Unavailable("disk", " ".join(str(error).split())[:300]) from error
