"""The loss of a sentence encoder: what belongs together is alike, all else in a batch is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.data_collator import (
    SentenceTransformerDataCollator,
)
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch.nn import functional
from transformers import PreTrainedModel

from workers.training.pairs import GROUP

# So many texts of about one length, which pad little, go through the model together: as many as a
# processor's cache holds; a GPU waits less for many.
_AT_ONCE = {"cpu": 32, "cuda": 512}
# So many texts' vectors a teacher keeps, at 2 bytes a number.
_REMEMBERED = 1_000_000


@dataclass
class SortingCollator(SentenceTransformerDataCollator):
    """Batches whose rows are sorted by length, with a teacher's vectors for their English side.

    The order within a batch does not matter to the loss.
    """

    teacher: "Teacher | None" = None

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Rows of one table to tensors."""
        first = next(iter(features[0]))
        texts = [{name: row[name] for name in row if name != GROUP} for row in features]
        rows = sorted(texts, key=lambda row: len(row[first]))
        if self.teacher is None or "english" not in rows[0]:
            return super().__call__(rows)
        wanted = self.teacher([row["english"] for row in rows])
        asked = [{name: row[name] for name in row if name != "english"} for row in rows]
        return {**super().__call__(asked), "label": wanted}


@dataclass
class Teacher:
    """The vectors that a frozen encoder gives to texts, each computed once in a run."""

    model: SentenceTransformer
    halved: bool = False
    """Compute in bfloat16, which is less than what is kept of the vectors."""
    known: dict[str, NDArray[np.float16]] = field(default_factory=dict)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Vectors float32 (n, dim), rows L2-normalised."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if len(self.known) + len(new) > _REMEMBERED:
            self.known.clear()
            new = list(dict.fromkeys(texts))
        if new:
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.halved):
                vectors: Any = self.model.encode(
                    new,
                    batch_size=_at_once(self.model.device),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
            self.known.update(zip(new, vectors.astype(np.float16), strict=True))
        return torch.from_numpy(np.stack([self.known[text] for text in texts])).float()


class Contrast(MultipleNegativesRankingLoss):
    """Cross-entropy of each side's choice among all other sides of the batch (InfoNCE).

    Sources: van den Oord et al., arXiv 1807.03748; both directions as in Günther et al., arXiv
    2310.19923. Where there are labels, they are a teacher's vectors of the other side: the distance
    to them (Reimers and Gurevych, EMNLP 2020) counts for the share `taught` of the loss.
    """

    def __init__(self, model: SentenceTransformer, temperature: float, taught: float) -> None:
        """Batches go through the model in one piece, whose activations are kept."""
        super().__init__(model, **_settings(temperature))
        self._taught = taught

    def forward(self, sentence_features: Any, labels: torch.Tensor | None) -> torch.Tensor:
        """The loss of one batch; scalar."""
        vectors = [self._embed(column) for column in sentence_features]
        if labels is None:
            # The library has no use for labels.
            return self.compute_loss_from_embeddings(vectors, torch.empty(0))
        (asked,) = vectors
        wanted = _as_long(labels, asked)
        loss: torch.Tensor = self.compute_loss_from_embeddings([asked, wanted], torch.empty(0))
        return (1 - self._taught) * loss + self._taught * distance(asked, wanted)

    def _embed(self, column: Mapping[str, Any]) -> torch.Tensor:
        """The rows of a padded batch a few at a time, without the padding that these do not need.

        Texts of as many characters may be of more or fewer tokens, by language.
        """
        mask = column.get("attention_mask")
        if mask is None:
            whole: torch.Tensor = self.model(column)["sentence_embedding"]
            return whole
        order = mask.sum(dim=1).argsort()
        column = self._looked_up(column)
        parts = [_rows(column, mask, rows) for rows in order.split(_at_once(mask.device))]
        found = torch.cat([self.model(part)["sentence_embedding"] for part in parts])
        return found[order.argsort()]

    def _looked_up(self, column: Mapping[str, Any]) -> Mapping[str, Any]:
        """The batch with the vectors of its tokens.

        A layer of embeddings writes a gradient as large as itself each time that it is asked.
        """
        words = cast("PreTrainedModel", self.model.transformers_model).get_input_embeddings()
        kept = {key: value for key, value in column.items() if key != "input_ids"}
        return {**kept, "inputs_embeds": words(column["input_ids"])}


class CachedContrast(CachedMultipleNegativesRankingLoss):
    """The same loss in little memory, embedding each text twice (Gao et al., arXiv 2101.06983)."""

    def __init__(
        self, model: SentenceTransformer, temperature: float, taught: float, at_once: int
    ) -> None:
        """Keep the activations of `at_once` texts."""
        super().__init__(model, mini_batch_size=at_once, **_settings(temperature))
        self._taught = taught

    def forward(self, sentence_features: Any, labels: torch.Tensor | None) -> torch.Tensor:
        """The loss of one batch; scalar."""
        # The library's own refuses a batch whose other side is its labels.
        return self.forward_cached(list(sentence_features), labels)

    def calculate_loss(
        self,
        reps: list[list[torch.Tensor]],
        labels: torch.Tensor | None = None,
        *,
        with_backward: bool = False,
    ) -> torch.Tensor:
        """The loss of one batch; `with_backward` leaves gradients at the vectors `reps`."""
        if labels is None:
            return super().calculate_loss(reps, with_backward=with_backward)
        (asked,) = reps
        wanted = _as_long(labels, asked[0])
        loss: torch.Tensor = super().calculate_loss([asked, [wanted]], with_backward=with_backward)
        taught = self._taught * distance(torch.cat(asked), wanted)
        if with_backward:
            for part in asked:
                part.grad = cast("torch.Tensor", part.grad) * (1 - self._taught)
            taught.backward()  # type: ignore[no-untyped-call]  # no stubs
        return (1 - self._taught) * loss + taught.detach()


def distance(vectors: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of vectors from those wanted."""
    return (vectors - wanted).square().sum(dim=1).mean()


def _at_once(device: torch.device) -> int:
    return _AT_ONCE.get(device.type, _AT_ONCE["cpu"])


def _as_long(wanted: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """A teacher's vectors cut off where the model's are, of length 1 again."""
    return functional.normalize(wanted[:, : vectors.shape[1]].to(vectors), dim=1)


def _settings(temperature: float) -> dict[str, Any]:
    return {
        "scale": 1 / temperature,
        "directions": ("query_to_doc", "doc_to_query"),
        "partition_mode": "per_direction",
        # Rows of other processes are negatives as well.
        "gather_across_devices": torch.distributed.is_initialized(),
    }


def _rows(column: Mapping[str, Any], mask: torch.Tensor, rows: torch.Tensor) -> Mapping[str, Any]:
    used = mask[rows].any(dim=0)
    return {
        key: value[rows][:, used]
        if isinstance(value, torch.Tensor) and value.shape[:2] == mask.shape
        else value
        for key, value in column.items()
    }
