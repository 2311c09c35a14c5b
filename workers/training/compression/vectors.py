"""Cuts a sentence encoder's vectors to their first dimensions.

That is what Matryoshka training prepares them for (Kusupati et al., arXiv 2205.13147); other
encoders lose more by it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from core.errors import Rejected

_NAME = "Truncate"


def truncate(folder: Path, dimensions: int) -> dict[str, int]:
    """Put a step into the encoder in `folder` that drops all other dimensions.

    Returns: how many there were, and are.
    Raises: Rejected: it is no sentence encoder, or has not so many.
    """
    path = folder / "modules.json"
    if not path.exists():
        raise Rejected("dimensions: the base is no sentence encoder")
    size = SentenceTransformer(
        str(folder), trust_remote_code=False, local_files_only=True, device="cpu"
    ).get_embedding_dimension()
    if size is None or dimensions > size:
        raise Rejected(f"dimensions: the base's vectors have {size}")
    step = Dense(size, dimensions, bias=False, activation_function=torch.nn.Identity())
    step.linear.weight.data = torch.eye(dimensions, size)
    steps: list[dict[str, Any]] = json.loads(path.read_bytes())
    # Vectors are scaled to length 1 after the cut, if at all.
    before = [at for at, one in enumerate(steps) if one["type"].endswith("Normalize")]
    at = before[0] if before else len(steps)
    place = f"{len(steps)}_{_NAME}"
    (folder / place).mkdir()
    step.save(str(folder / place))
    kind = f"{Dense.__module__}.{Dense.__name__}"
    steps.insert(at, {"name": place, "path": place, "type": kind})
    # They are loaded in the order of the list, and named by their number.
    numbered = [{**one, "idx": at, "name": str(at)} for at, one in enumerate(steps)]
    path.write_text(json.dumps(numbered, indent=2) + "\n", encoding="utf-8")
    return {"before": size, "after": dimensions}
