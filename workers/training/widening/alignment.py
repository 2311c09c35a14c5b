"""Vectors for new word pieces, among those that a model knows, learnt from translations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

Numbers = NDArray[np.int64]
# Of the choice among the other translations of a batch, beside the distance to the right one.
_CHOICE = 0.3
_TEMPERATURE = 0.05
# A new piece begins near the middle of the known ones.
_SMALL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bags:
    """Texts as numbers of pieces: text `i` has those from `starts[i]` to `starts[i + 1]`."""

    pieces: Numbers
    starts: Numbers

    def take(self, rows: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
        """The pieces of these texts in one row, and where each text begins in it."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        within = np.arange(sizes.sum()) - np.repeat(begins, sizes)
        places = np.repeat(self.starts[rows], sizes) + within
        return torch.from_numpy(self.pieces[places]), torch.from_numpy(begins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translations:
    """Foreign text `i` says the same as the English one with the number `meant[i]`."""

    foreign: Bags
    english: Bags
    meant: Numbers


def align(
    known: torch.Tensor,
    new: int,
    translations: Translations,
    *,
    epochs: float,
    batch: int,
    learning_rate: float,
    seed: int,
    progress: Callable[[int, int], None],
) -> torch.Tensor:
    """The table of `known` vectors (n, dim) with those of `new` pieces after them.

    The mean vector of a text comes to be that of its English translation, which is made of known
    pieces only: what a word means is learnt as the share of the English words that it brings with
    it (Hermann and Blunsom, ACL 2014, have bags that agree on both sides). Known vectors stay.
    `learning_rate` is a share of their spread.
    """
    dice = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = known.mean(0)
    fixed = known - middle
    learnt = nn.EmbeddingBag(new, known.shape[1], mode="sum", sparse=True)
    spread = fixed.std().item()
    nn.init.normal_(learnt.weight, std=_SMALL * spread)
    optimiser = torch.optim.SparseAdam(list(learnt.parameters()), lr=learning_rate * spread)
    rows = np.flatnonzero(np.diff(translations.foreign.starts))
    rows = rows[np.diff(translations.english.starts)[translations.meant[rows]] > 0]
    updates = max(1, round(epochs * len(rows) / batch))
    for update in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * spread * (1 - update / updates)
        chosen = dice.choice(rows, min(batch, len(rows)), replace=False)
        pieces, starts = translations.english.take(translations.meant[chosen])
        wanted = functional.embedding_bag(pieces, fixed, starts, mode="mean")
        found = _means(fixed, learnt, *translations.foreign.take(chosen))
        loss = _distance(found, wanted) + _CHOICE * _choice(found, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # no stubs
        optimiser.step()  # type: ignore[no-untyped-call]  # no stubs
        progress(update + 1, updates)
    return torch.cat([known, learnt.weight.detach() + middle])


def _means(
    fixed: torch.Tensor, learnt: nn.EmbeddingBag, pieces: torch.Tensor, starts: torch.Tensor
) -> torch.Tensor:
    """The mean vector of each text; gradients reach the new pieces alone."""
    is_new = (pieces >= len(fixed)).float()
    old = functional.embedding_bag(
        pieces.clamp(max=len(fixed) - 1), fixed, starts, mode="sum", per_sample_weights=1 - is_new
    )
    new = learnt((pieces - len(fixed)).clamp(min=0), starts, per_sample_weights=is_new)
    sizes = torch.diff(starts, append=torch.tensor([len(pieces)]))
    means: torch.Tensor = (old + new) / sizes[:, None]
    return means


def _distance(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared, as a share of the square of what is wanted."""
    return (found - wanted).pow(2).sum() / wanted.pow(2).sum()


def _choice(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    likeness = functional.normalize(found, dim=1) @ functional.normalize(wanted, dim=1).T
    return functional.cross_entropy(likeness / _TEMPERATURE, torch.arange(len(found)))
