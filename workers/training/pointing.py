"""Teaches a decoder to answer with the numbers of sentences that stand in its prompt.

A small decoder that is told only which number comes next does not find out, in any time that there
is, that it has to compare what is asked with what each sentence says. One that begins as a sentence
encoder all but knows how: it reads the end of a prompt, and the number behind a sentence, as
vectors that are alike where the texts are. So the first layer above the encoder's looks at what is
alike from the start, and two losses beside that of the reply keep it so
(decision 0011 has the figures).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import prompt
from core.errors import Rejected
from workers.training.sequences import IGNORED

# Of cosines before their softmax.
_SHARPNESS = 20.0
# Of what a head sees; it has a logarithm.
_LEAST = 1e-6
# What is added to the logit of a token that is never said; too little to be rounded away in bf16.
_UNSAID = -20.0
# How much faster layers learn that begin at random.
_FASTER = 3.0
# How a weight's name tells its layer, and which ones say where that looks.
_LAYER = re.compile(r"\.(\d+)\.")
_LOOKS = ("query.weight", "key.weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """How a decoder learns whose layers up to `layer` are an encoder's.

    `numbers` are the tokens that are a sentence's number, each of them one; `declines` is what it
    says where no sentence answers. Tokens below `known` are those of the encoder.
    """

    layer: int
    numbers: frozenset[int]
    declines: int
    known: int

    def prepare(self, model: PreTrainedModel, rate: float, decay: float) -> torch.optim.Optimizer:
        """Keep what the encoder knows of words and likeness; return what the rest learns with.

        Each step moves the vectors of its rare words far (Adam goes by how rarely they are met),
        and what is alike across languages is lost in some hundred steps. Nor are words ever said,
        which would take hundreds of steps to learn. What is above the encoder learns faster.

        Raises: Rejected: the architecture has no bias by which words could be left unsaid.
        """
        words: Any = model.get_input_embeddings().weight
        words.register_hook(
            lambda slope: torch.cat([torch.zeros_like(slope[: self.known]), slope[self.known :]])
        )
        with torch.no_grad():
            _bias(model)[: self.known] = _UNSAID
        below: list[torch.nn.Parameter] = []
        above: list[torch.nn.Parameter] = []
        for name, weight in model.named_parameters():
            number = _LAYER.search(name)
            at = int(number[1]) if number else 0
            if at == self.layer and name.endswith(_LOOKS):
                weight.requires_grad_(False)
            else:
                (above if at >= self.layer else below).append(weight)
        groups = [{"params": below, "lr": rate}, {"params": above, "lr": _FASTER * rate}]
        return torch.optim.AdamW(groups, weight_decay=decay, fused=True)

    def loss(self, outputs: Any, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How far the ends of prompts are from the numbers that their replies name.

        By the cosine after `layer` layers, among the numbers in the prompt; and by what the heads
        of the next layer look at, of all that they can (guided as in Deshpande and Narasimhan,
        arXiv 2010.12980). Cross-entropies, their means over the rows whose reply names a number
        added up; 0 where none does. `outputs` are a model's with hidden states and attentions,
        `tokens` and `labels` (rows, length), padded in front.
        """
        hidden, attention = outputs.hidden_states[self.layer], outputs.attentions[self.layer]
        vectors = functional.normalize(hidden.float(), dim=-1)
        losses = []
        for row, (end, places, named) in enumerate(self._ends(tokens, labels)):
            if not named:
                continue
            near = (_SHARPNESS * (vectors[row, places] @ vectors[row, end])).log_softmax(dim=0)
            seen = attention[row, :, end][:, places][:, named].float().sum(dim=1)
            losses.append(-near[named].mean() - seen.clamp(min=_LEAST).log().mean())
        return torch.stack(losses).mean() if losses else hidden.new_zeros(())

    def _ends(
        self, tokens: torch.Tensor, labels: torch.Tensor
    ) -> Iterator[tuple[int, list[int], list[int]]]:
        """Of each row: the end of its prompt, where numbers stand, and which the reply names."""
        for said, learnt in zip(tokens.tolist(), labels.tolist(), strict=True):
            start = next(at for at, label in enumerate(learnt) if label != IGNORED)
            # An example in the instructions has a number too; the last one is behind its sentence.
            places = {token: at for at, token in enumerate(said[:start]) if token in self.numbers}
            named = [at for at, token in enumerate(places) if token in learnt]
            yield start - 1, list(places.values()), named

    def be_sure(self, model: Any, batches: Iterable[Any], sure: float) -> None:
        """Have the model decline unless a share `sure` of the replies that name a number is right.

        `batches` hold the rows that tell, with `input_ids`, `attention_mask` and `labels`.
        """
        read = self._read(model, batches)
        with torch.no_grad():
            _bias(model)[self.declines] += least_margin(read.margins, read.right, sure)

    def scores(self, model: Any, batches: Iterable[Any]) -> dict[str, float]:
        """How well it points, over rows as for `be_sure`; what no row can tell is left out.

        Of the replies that name numbers, `looks_right` is the share where the heads look most at
        one of these, `names_right` that where the best number is one, `declines_wrong` that which
        it would decline; `declines_right` is of those that nothing answers.
        """
        read = self._read(model, batches)
        declined = read.margins <= 0
        found = {
            "looks_right": read.looked[read.answered],
            "names_right": read.right[read.answered],
            "declines_wrong": declined[read.answered],
            "declines_right": declined[~read.answered],
        }
        return {name: float(flags.double().mean()) for name, flags in found.items() if len(flags)}

    @torch.no_grad()
    def _read(self, model: Any, batches: Iterable[Any]) -> "_Read":
        model.eval()
        numbers = torch.tensor(sorted(self.numbers))
        found: list[tuple[torch.Tensor, bool, bool, bool]] = []
        for rows in batches:
            tokens, mask, labels = (
                rows[name].to(model.device) for name in ("input_ids", "attention_mask", "labels")
            )
            places = (mask.cumsum(dim=1) - 1).clamp(min=0)
            ends = list(self._ends(tokens, labels))
            # A vocabulary is large: what comes next is worked out only where prompts end.
            kept = tokens.shape[1] - min(end for end, _, _ in ends)
            outputs = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=places,
                output_attentions=True,
                logits_to_keep=kept,
            )
            logits, heads = outputs.logits.float().cpu(), outputs.attentions[self.layer].float()
            for row, (end, shown, named) in enumerate(ends):
                said = logits[row, end - tokens.shape[1]]
                best, at = said[numbers].max(dim=0)
                seen = heads[row, :, end][:, shown].mean(dim=0)
                looked = bool(shown) and int(seen.argmax()) in named
                right = bool((labels[row] == numbers[at]).any())
                found.append((best - said[self.declines], right, looked, bool(named)))
        flags = torch.tensor([row[1:] for row in found])
        return _Read(
            margins=torch.stack([row[0] for row in found]),
            right=flags[:, 0],
            looked=flags[:, 1],
            answered=flags[:, 2],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """Of each row how far the best number is above declining, and whether it is right.

    Then whether the heads look at a right one, and whether there is one.
    """

    margins: torch.Tensor
    right: torch.Tensor
    looked: torch.Tensor
    answered: torch.Tensor


def pointing_at(layer: int, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Pointing:
    """How this model learns to point, where its layers up to `layer` are an encoder's.

    Raises: Rejected: it has no layer above that one, or writes a number in several tokens.
    """
    layers = model.config.num_hidden_layers
    if layer >= layers:
        raise Rejected(f"pointing_layer: needs a layer above it; the model has {layers} in all")
    numbers = {at for text, at in tokenizer.get_vocab().items() if prompt.is_number(text)}
    if not numbers:
        raise Rejected(
            "pointing_layer: the base writes the number of a sentence in several tokens; begin with"
            " a model of new.layers, or leave it out"
        )
    declines: Any = tokenizer.convert_tokens_to_ids(prompt.NO_ANSWER)
    return Pointing(
        layer=layer,
        numbers=frozenset(numbers),
        declines=declines,
        known=tokenizer.vocab_size,
    )


def least_margin(margins: torch.Tensor, right: torch.Tensor, sure: float) -> float:
    """From which margin on a share `sure` of the replies is right; 0 where all together are.

    Above every margin where no such share is.
    """
    order = margins.argsort(descending=True)
    precision = right[order].double().cumsum(dim=0) / torch.arange(1, len(order) + 1)
    enough = (precision >= sure).nonzero()
    if not len(enough):
        return float(margins.max()) + 1
    return max(0.0, float(margins[order[int(enough[-1])]]))


def _bias(model: Any) -> torch.Tensor:
    """What is added to the logits of the tokens."""
    bias: torch.Tensor | None = getattr(model.get_output_embeddings(), "bias", None)
    if bias is None:
        raise Rejected(
            f"pointing_layer: a {model.config.model_type} has no bias by which words could be left"
            " unsaid; begin with a bert-generation or bert"
        )
    return bias
