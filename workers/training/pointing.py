"""Teaches a decoder to answer with the numbers of sentences that stand in its prompt.

A small decoder that is told only which number comes next does not find out, in any time that there
is, that it has to compare what is asked with what each sentence says. One that begins as a sentence
encoder all but knows how: it reads the end of a prompt, and the number behind a sentence, as
vectors that are alike where the texts are. So the first layer above the encoder's looks at what is
alike from the start, and further losses beside that of the reply keep it so
(decision 0011 has the figures).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import prompt
from core.errors import Rejected
from workers.training.contrast import Teacher
from workers.training.sequences import IGNORED

# Of cosines before their softmax.
_SHARPNESS = 20.0
# Of what a head sees; it has a logarithm.
_LEAST = 1e-6
# How much the distance from the teacher's vectors counts beside cross-entropies, which are larger.
_TAUGHT = 5.0
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
    says where no sentence answers. Tokens below `known` are those of the encoder. `teacher` reads
    each sentence, and what is asked, by itself; without one the encoder's layers may turn to
    whatever tells best which sentence answers.
    """

    layer: int
    numbers: frozenset[int]
    declines: int
    known: int
    teacher: Teacher | None

    def prepare(self, model: PreTrainedModel, rate: float, decay: float) -> torch.optim.Optimizer:
        """Keep what the encoder knows of words and likeness; return what the rest learns with.

        Each step moves the vectors of its rare words far (Adam goes by how rarely they are met),
        and what is alike across languages is lost in some hundred steps. Nor are words ever said,
        which would take hundreds of steps to learn. What is above the encoder learns faster.

        Raises: Rejected: the architecture has no bias by which words could be left unsaid.
        """
        words: Any = model.get_input_embeddings().weight
        words.register_post_accumulate_grad_hook(self._keep_known)
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

    def _keep_known(self, words: torch.Tensor) -> None:
        if words.grad is not None:
            words.grad[: self.known].zero_()

    def loss(
        self, model: Any, hidden: torch.Tensor, rows: Mapping[str, Any], texts: Sequence[list[str]]
    ) -> torch.Tensor:
        """How far a batch is from pointing: four losses, added up, or three without a teacher.

        Over all numbers in the prompts: how far their vectors, and those of the prompts' ends, are
        from the teacher's of the `texts` that these stand for; and the cross-entropy of each number
        with what the next layer would say where it looks at that one alone. Over the rows whose
        reply names a number: the cross-entropies of the cosines with the end, and of what the heads
        of the next layer look at (guided as in Deshpande and Narasimhan, arXiv 2010.12980).
        `hidden` (rows, length, dim) are the vectors after `layer` layers; `rows` have `input_ids`,
        `attention_mask` and `labels`, all (rows, length), padded in front.
        """
        ends = list(self._ends(rows["input_ids"], rows["labels"]))
        vectors = functional.normalize(hidden.float(), dim=-1)
        seen = self._seen(model, hidden, rows["attention_mask"], [end for end, _, _ in ends])
        missed, shown, wanted, read = [], [], [], []
        for row, (end, places, named) in enumerate(ends):
            if len(texts[row]) != len(places) + 1:
                # It asks for no reply from sources, or has more sentences than there are numbers.
                continue
            shown += [(row, place) for place in places]
            wanted += [(row, place) for place in (*places, end)]
            read += texts[row]
            if named:
                near = (_SHARPNESS * (vectors[row, places] @ vectors[row, end])).log_softmax(dim=0)
                found = seen[row][:, [places[at] for at in named]].sum(dim=1)
                missed.append(-near[named].mean() - found.clamp(min=_LEAST).log().mean())
        if not shown:
            return hidden.new_zeros(())
        at = _at(shown, hidden)
        loss = self._said(model, hidden[at], rows["input_ids"][at])
        if self.teacher is not None:
            taught = self.teacher(read).to(vectors.device)
            apart = 1 - (vectors[_at(wanted, hidden)] * taught).sum(dim=1)
            loss = loss + _TAUGHT * apart.mean()
        return loss + torch.stack(missed).mean() if missed else loss

    def _seen(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, ends: Sequence[int]
    ) -> torch.Tensor:
        """How much each head of the next layer looks at each place, from `ends`.

        (rows, heads, length). Worked out here, since fused attention does not tell.
        """
        attention = self._next(model).self
        size = attention.attention_head_size
        asking = attention.query(hidden[range(len(ends)), ends]).unflatten(-1, (-1, size))
        asked = attention.key(hidden).unflatten(-1, (-1, size))
        scores = torch.einsum("rhd,rlhd->rhl", asking, asked).float() / size**0.5
        places = torch.arange(mask.shape[1], device=mask.device)
        unseen = (mask == 0) | (places > torch.tensor(ends, device=mask.device)[:, None])
        seen: torch.Tensor = scores.masked_fill(unseen[:, None], -torch.inf).softmax(dim=-1)
        return seen

    def _said(self, model: Any, hidden: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of numbers with what the next layer hands on of their places alone."""
        attention = self._next(model)
        known = torch.tensor(sorted(self.numbers), device=numbers.device)
        handed = attention.output.dense(attention.self.value(hidden))
        logits = handed @ model.get_output_embeddings().weight[known].detach().T
        return functional.cross_entropy(logits.float(), torch.searchsorted(known, numbers))

    def _next(self, model: Any) -> Any:
        return model.base_model.encoder.layer[self.layer].attention

    def _ends(
        self, tokens: torch.Tensor, labels: torch.Tensor
    ) -> Iterator[tuple[int, list[int], list[int]]]:
        """Of each row: the end of its prompt, where numbers stand, and which the reply names."""
        for said, learnt in zip(tokens.tolist(), labels.tolist(), strict=True):
            start = next(at for at, label in enumerate(learnt) if label != IGNORED)
            # An example in the instructions has a number too; the last one is behind its sentence.
            last = {token: at for at, token in enumerate(said[:start]) if token in self.numbers}
            places = sorted(last.values())
            named = [at for at, place in enumerate(places) if said[place] in learnt]
            yield start - 1, places, named

    def be_sure(self, model: Any, read: "Read", sure: float) -> None:
        """Have the model decline unless a share `sure` of the replies that name a number is right.

        `read` is what it said of the rows that tell.
        """
        with torch.no_grad():
            _bias(model)[self.declines] += least_margin(read.margins.cpu(), read.right.cpu(), sure)

    def read(
        self, model: Any, hidden: torch.Tensor, logits: torch.Tensor, rows: Mapping[str, Any]
    ) -> "Read":
        """What it says first in reply to a batch; `hidden` and `rows` as for `loss`.

        `logits` (rows, at least from the first prompt's end on, vocabulary) end where the rows do.
        """
        numbers = torch.tensor(sorted(self.numbers), device=logits.device)
        ends = list(self._ends(rows["input_ids"], rows["labels"]))
        seen = self._seen(model, hidden, rows["attention_mask"], [end for end, _, _ in ends])
        length = rows["input_ids"].shape[1]
        margins, flags = [], []
        for row, (end, shown, named) in enumerate(ends):
            said = logits[row, end - length].float()
            best, at = said[numbers].max(dim=0)
            margins.append(best - said[self.declines])
            looked = bool(shown) and int(seen[row].mean(dim=0)[shown].argmax()) in named
            right = bool((rows["labels"][row] == numbers[at]).any())
            flags.append((right, looked, bool(named)))
        return Read(torch.stack(margins), *torch.tensor(flags, device=logits.device).T)


class Read(NamedTuple):
    """Of each row how far the best number is above declining, and whether it is right.

    Then whether the heads look most at a right one, and whether there is one. All (rows,).
    """

    margins: torch.Tensor
    right: torch.Tensor
    looked: torch.Tensor
    answered: torch.Tensor

    def scores(self) -> dict[str, float]:
        """How well the model points; what no row can tell is left out.

        Of the replies that name numbers, `looks_right` is the share where the heads look most at
        one of these, `names_right` that where the best number is one, `declines_wrong` that which
        it would decline; `declines_right` is of those that nothing answers.
        """
        declined = self.margins <= 0
        found = {
            "looks_right": self.looked[self.answered],
            "names_right": self.right[self.answered],
            "declines_wrong": declined[self.answered],
            "declines_right": declined[~self.answered],
        }
        return {name: float(flags.double().mean()) for name, flags in found.items() if len(flags)}


def pointing_at(
    layer: int, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, teacher: Teacher | None
) -> Pointing:
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
        teacher=teacher,
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


def _at(places: Sequence[tuple[int, int]], of: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Places of a batch, each a row and where in it, to index `of` by."""
    return tuple(torch.tensor(places, device=of.device).T)


def _bias(model: Any) -> torch.Tensor:
    """What is added to the logits of the tokens."""
    bias: torch.Tensor | None = getattr(model.get_output_embeddings(), "bias", None)
    if bias is None:
        raise Rejected(
            f"pointing_layer: a {model.config.model_type} has no bias by which words could be left"
            " unsaid; begin with a bert-generation or bert"
        )
    return bias
