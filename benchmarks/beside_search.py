"""What a dialogue model makes of the very passages that the product finds for a question."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.calibration import DEMO, LABELLED, TOLD, quiet, rows
from core.adapters.generator import tagged_name
from core.prompt import NO_ANSWER, grounded_reply, is_number
from core.turn import Passage
from core.wishes import without_courtesies
from dragoman.composition import load_demo, open_core
from dragoman.settings import Settings
from retrieval.topics import topic
from workers.evaluation.metrics import auroc


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What search and model make of one question to the demo company.

    `search` and `model` are whether the first passage, and the one that the model names a sentence
    of, are of the right article. `probability` is the search's; `margin` is how far the logit of
    the best number is above that of declining.
    """

    answerable: bool
    search: bool
    model: bool
    probability: float
    margin: float


async def judged(model: Any, tokenizer: Any) -> Sequence[Judged]:
    """The demo company's labelled questions, each beside the passages that the product finds."""
    numbers = {at: text for text, at in tokenizer.get_vocab().items() if is_number(text)}
    known = torch.tensor(sorted(numbers))
    declines = tokenizer.convert_tokens_to_ids(NO_ANSWER)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_core(Settings(data_dir=Path(folder)), model=False) as core:
            await load_demo(core, quiet)
            for row in [one for name in (LABELLED, TOLD) for one in rows(DEMO / name)]:
                hits = await core.retrieval.retriever.search(
                    core.workspace, without_courtesies(row["query"]), language=row["lang"]
                )
                if not hits.passages:
                    continue
                said = grounded_reply(
                    row["query"], hits.passages, language=tagged_name(row["lang"]), history=()
                )
                given = tokenizer.apply_chat_template(
                    [asdict(one) for one in said],
                    add_generation_prompt=True,
                    return_dict=True,
                    return_tensors="pt",
                )
                with torch.inference_mode():
                    logits = model(**given, logits_to_keep=1).logits[0, -1]
                best = int(logits[known].argmax())
                source = int(numbers[int(known[best])].strip("{}").split(".")[0]) - 1
                named = hits.passages[min(source, len(hits.passages) - 1)]
                found.append(
                    Judged(
                        answerable=row["doc_id"] is not None,
                        search=_is_about(hits.passages[0], row["doc_id"]),
                        model=_is_about(named, row["doc_id"]),
                        probability=hits.probability,
                        margin=float(logits[known[best]] - logits[declines]),
                    )
                )
    return found


def _is_about(passage: Passage, document: str | None) -> bool:
    """Whether it is of the document, or of its translation."""
    return document is not None and topic(passage.document, passage.language) == topic(
        document, document.partition("/")[0]
    )


def judged_table(found: Sequence[Judged]) -> str:
    """How far search and model are to be trusted about one question."""
    answerable = np.array([one.answerable for one in found])
    search = auroc(np.array([one.probability for one in found]), answerable)
    model = auroc(np.array([one.margin for one in found]), answerable)
    right = [one for one in found if one.answerable]
    return "\n".join(
        [
            f"| {len(found)} questions, {len(right)} with an answer | search | model |",
            "|---|---:|---:|",
            f"| the right article first | {np.mean([one.search for one in right]):.2f}"
            f" | {np.mean([one.model for one in right]):.2f} |",
            f"| tells what has an answer (AUROC) | {search:.3f} | {model:.3f} |",
        ]
    )
