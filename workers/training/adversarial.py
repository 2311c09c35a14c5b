"""Training against the worst small change of the input embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import Trainer

from workers.training.recipe import Adversary


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
    """A Trainer whose every step also goes against a change of the embeddings.

    The change is found by `adversary.steps` steps up the loss, each example's kept within a length
    relative to that of its own embeddings, so that one `epsilon` suits all models. The gradients
    of the clean and of the changed pass add up. Mix it in before the Trainer of a task.
    """

    adversary: Adversary | None = None

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One clean step, then the same rows with their embeddings changed; the clean loss."""
        loss: torch.Tensor = super().training_step(model, dict(inputs), num_items_in_batch)
        if self.adversary is not None:
            with self._probing(model) as probe:
                self._worsen(model, inputs, probe, self.adversary)
                probe.collects, probe.calls = False, 0
                super().training_step(model, dict(inputs), num_items_in_batch)
        return loss

    def _worsen(
        self, model: nn.Module, inputs: dict[str, Any], probe: _Probe, adversary: Adversary
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
    change: torch.Tensor, slope: torch.Tensor | None, length: torch.Tensor, adversary: Adversary
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


def _length(values: torch.Tensor) -> torch.Tensor:
    """The length of each example's embeddings taken together; shape (batch, 1, …)."""
    flat: torch.Tensor = values.flatten(start_dim=1).norm(dim=1)
    return flat.view(-1, *([1] * (values.dim() - 1)))
