"""Training against the worst that a search finds near the rows of a batch."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import Trainer
from transformers.modeling_outputs import SequenceClassifierOutput

from workers.training.dataset.augmentation import noisy
from workers.training.recipe import Adversary, EmbeddingAdversary, TypoAdversary

TEXT = "text"
"""The name of what a batch holds beside its tokens: the texts they were made from."""


@dataclass(slots=True)
class _Probe:
    """Adds a change to what the embedding layer gives, call by call.

    A model may embed several times in one pass (encoder and decoder, question and passage). With
    `collects`, the places where a change would go are leaves that a gradient can be taken for.
    """

    changes: list[torch.Tensor] = field(default_factory=list)
    lengths: list[torch.Tensor] = field(default_factory=list)
    collects: bool = False
    calls: int = 0

    def __call__(self, module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        at, self.calls = self.calls, self.calls + 1
        if self.collects and at == len(self.changes):
            self.changes.append(torch.zeros_like(output).requires_grad_())
            self.lengths.append(_length(output.detach()))
        return output + self.changes[at] if at < len(self.changes) else output


class AdversarialTrainer(Trainer):
    """A Trainer whose every step also goes against a worse version of the same rows.

    The gradients of the clean and of the worse pass add up. Mix it in before the Trainer of a task.
    Against embeddings, the change is found by `adversary.steps` steps up the loss, each example's
    kept within a length relative to that of its own embeddings, so that one `epsilon` suits all
    models. Against typos, the batch brings each row's `TEXT`, which `encode` makes tokens of, and
    `compute_loss_func` compares.
    """

    adversary: Adversary | None = None
    encode: Callable[[Sequence[str]], Mapping[str, torch.Tensor]]

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One clean step, then one of the same rows made worse; the clean loss."""
        texts = inputs.pop(TEXT, ())
        loss: torch.Tensor = super().training_step(model, dict(inputs), num_items_in_batch)
        if isinstance(self.adversary, EmbeddingAdversary):
            with self._probing(model) as probe:
                self._worsen(model, inputs, probe, self.adversary)
                probe.collects, probe.calls = False, 0
                super().training_step(model, dict(inputs), num_items_in_batch)
        elif self.adversary is not None:
            worst = self._worst(model, inputs, texts, self.adversary)
            super().training_step(model, self._encoded(worst, inputs), num_items_in_batch)
        return loss

    def _set_signature_columns_if_needed(self) -> None:
        """The columns of a table that reach a batch: what the model takes, and the text."""
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if TEXT not in columns:
            columns.append(TEXT)

    def _worst(
        self, model: nn.Module, inputs: dict[str, Any], texts: Sequence[str], against: TypoAdversary
    ) -> list[str]:
        """Of some mistyped versions of each text the one of the highest loss."""
        # The number of the update makes them new in each epoch, and the same after a stop.
        seed = f"{self.args.seed} {self.state.global_step}"
        versions = [_mistyped(text, against, f"{seed} {text}") for text in texts]
        losses = [
            self._losses(model, self._encoded(one_a_row, inputs))
            for one_a_row in zip(*versions, strict=True)
        ]
        worst = torch.stack(losses).argmax(dim=0).tolist()
        return [of_row[at] for of_row, at in zip(versions, worst, strict=True)]

    def _encoded(self, texts: Sequence[str], like: Mapping[str, Any]) -> dict[str, Any]:
        """A batch of the same labels with other texts."""
        found = self.encode(list(texts))
        return {name: found.get(name, given) for name, given in like.items()}

    @torch.no_grad()
    def _losses(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """The loss of each row by itself, without dropout, which would compare by chance."""
        given = self._prepare_inputs(inputs)
        labels = given.pop("labels")
        # The bare model: a pass of which no gradient is shared must not wait for other processes.
        bare: Any = self.accelerator.unwrap_model(model).eval()
        with self.compute_loss_context_manager():
            logits: torch.Tensor = bare(**given).logits
        assert self.compute_loss_func is not None
        return torch.stack(
            [
                self.compute_loss_func(SequenceClassifierOutput(logits=logits[[at]]), labels[[at]])
                for at in range(len(labels))
            ]
        )

    def _worsen(
        self, model: nn.Module, inputs: dict[str, Any], probe: _Probe, adversary: EmbeddingAdversary
    ) -> None:
        """Find the change; the model's own gradients stay as they are."""
        probe.collects = True
        # The bare model: a pass of which no gradient is shared must not wait for other processes.
        bare = self.accelerator.unwrap_model(model)
        for _ in range(adversary.steps):
            probe.calls = 0
            with self.compute_loss_context_manager():
                loss: Any = self.compute_loss(bare, self._prepare_inputs(dict(inputs)))
            slopes = torch.autograd.grad(loss, probe.changes, allow_unused=True)
            probe.changes = [
                _stepped(change, slope, length, adversary)
                for change, slope, length in zip(probe.changes, slopes, probe.lengths, strict=True)
            ]

    @contextmanager
    def _probing(self, model: nn.Module) -> Iterator[_Probe]:
        probe = _Probe()
        bare: Any = self.accelerator.unwrap_model(model)
        embeddings = bare.get_input_embeddings()
        # Encoder and decoder of a translator each have a layer of their own on the same weights.
        layers = {embeddings} | {
            module
            for module in bare.modules()
            if isinstance(module, nn.Embedding) and module.weight is embeddings.weight
        }
        handles = [layer.register_forward_hook(probe) for layer in layers]
        try:
            yield probe
        finally:
            for handle in handles:
                handle.remove()


def _stepped(
    change: torch.Tensor,
    slope: torch.Tensor | None,
    length: torch.Tensor,
    adversary: EmbeddingAdversary,
) -> torch.Tensor:
    """One step up the loss and back into the ball of radius `epsilon` times `length`."""
    if slope is None:
        return change.detach().requires_grad_()
    radius = adversary.epsilon * length
    # 2.5 radii in all reach the edge from anywhere (Madry et al., their appendix).
    stride = radius if adversary.steps == 1 else radius * 2.5 / adversary.steps
    moved = change.detach() + stride * slope / _length(slope).clamp_min(1e-12)
    shrink = (radius / _length(moved).clamp_min(1e-12)).clamp_max(1.0)
    kept: torch.Tensor = (moved * shrink).detach()
    return kept.requires_grad_()


def _mistyped(text: str, against: TypoAdversary, seed: str) -> list[str]:
    chance = random.Random(seed)
    return [noisy(text, chance, typos=against.typos) for _ in range(against.tries)]


def _length(values: torch.Tensor) -> torch.Tensor:
    """The length of each example's embeddings taken together; shape (batch, 1, …)."""
    flat: torch.Tensor = values.flatten(start_dim=1).norm(dim=1)
    return flat.view(-1, *([1] * (values.dim() - 1)))
