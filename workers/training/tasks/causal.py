"""Pre-trains a decoder to say the next token of documents."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset as Columns
from numpy.typing import NDArray
from peft import TaskType
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)
from transformers.trainer_utils import EvalLoopOutput

from core.errors import Rejected
from workers.training.adversarial import AdversarialTrainer
from workers.training.dataset.examples import Parallel, Text
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import (
    check_length,
    dropped_out,
    load_model,
    new_model,
    save_model,
    with_adapter,
)
from workers.training.recipe import Recipe
from workers.training.tokenizer import tokenizer_for

# What the loss passes over.
IGNORED = -100
# Of this loss the perplexity is past all sense, and past the largest float soon after.
_MAX_LOSS = 100.0

Tokens = NDArray[np.int32]


class Causal(Recipe):
    """Learn from rows of kind text, and from both sides of those of kind parallel.

    They are packed into sequences of `max_tokens`.
    """

    task: Literal["causal"]


class CausalTrainer(AdversarialTrainer):
    """Also tells the perplexity on dev rows."""

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As the Trainer's, with e to the power of the loss per token."""
        output = super().evaluation_loop(*args, **kwargs)
        scores = output.metrics or {}
        for name in [name for name in scores if name.endswith("_loss")]:
            perplexity = math.exp(min(scores[name], _MAX_LOSS))
            scores[f"{name.removesuffix('_loss')}_perplexity"] = perplexity
        return output


def build(recipe: Causal, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer of a decoder that goes on from a base, or begins at random.

    Raises: Rejected: there is too little text, or the model is no decoder.
    """
    tokenizer = tokenizer_for(recipe, dataset, "decoder")
    model = _decoder(recipe, tokenizer)
    train, _ = _columns(dataset, Part.TRAIN, tokenizer, recipe.max_tokens)
    dev, languages = _columns(dataset, Part.DEV, tokenizer, recipe.max_tokens)
    trainer = CausalTrainer(
        model=with_adapter(model, recipe.adapter, TaskType.CAUSAL_LM),
        args=arguments(recipe, len(train), checkpoints, of=TrainingArguments),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        callbacks=patience(recipe),
    )
    trainer.adversary = recipe.adversary
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev, languages),
    )


def pack(documents: list[Tokens], size: int) -> list[Tokens]:
    """The documents one after another, cut into sequences of `size`; the last may be shorter.

    A rest of one token has nothing to say next, and is left out.
    """
    stream = np.concatenate(documents)
    cuts = np.split(stream, range(size, len(stream), size))
    return [cut for cut in cuts if len(cut) > 1]


def _decoder(recipe: Causal, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if tokenizer.eos_token_id is None:
        raise Rejected("the base has no end mark to part documents with, so it is no decoder")
    changes = dropped_out(recipe)
    if recipe.new is not None:
        model = new_model(AutoModelForCausalLM, recipe.new, tokenizer, **changes)
    else:
        model = load_model(AutoModelForCausalLM, recipe.base, **changes)
    check_length(model.config, recipe.max_tokens, recipe.adapter)
    if _looks_ahead(model):
        raise Rejected(
            f"this {model.config.model_type} model sees the token it is to say, so it is no"
            " decoder: choose task: masked, or an architecture such as llama"
        )
    return model


@torch.no_grad()
def _looks_ahead(model: PreTrainedModel) -> bool:
    """Whether a token changes what is said before it."""
    model.eval()  # type: ignore[no-untyped-call]  # no stubs
    one, other = (
        model(input_ids=torch.tensor([[1, last]]), use_cache=False).logits[0, 0] for last in (2, 3)
    )
    return not torch.allclose(one, other, atol=1e-4)


def _columns(
    dataset: Dataset, part: Part, tokenizer: PreTrainedTokenizerBase, size: int
) -> tuple[Columns, list[str]]:
    """Sequences of one language each, and these languages."""
    packed = {
        tag: pack([_tokens(text, tokenizer) for text in documents], size)
        for tag, documents in sorted(_documents(dataset, part).items())
    }
    rows = [row for sequences in packed.values() for row in sequences]
    if not rows:
        raise Rejected(
            f"{dataset.folder}: its {part} part has nothing to learn from: no row of kind text or"
            " parallel"
        )
    languages = [tag for tag, sequences in packed.items() for _ in sequences]
    return Columns.from_dict({"input_ids": rows, "labels": rows}), languages


def _documents(dataset: Dataset, part: Part) -> Mapping[str, Iterable[str]]:
    """The texts of each language, once each: one may stand beside many translations."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in dataset.stream(part):
        if isinstance(row, Text):
            found[row.lang]["\n\n".join(row.paragraphs)] = None
        elif isinstance(row, Parallel):
            found[row.lang][row.text] = None
            found[row.target_lang][row.target] = None
    return found


def _tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """A document and its end; what looks like a mark in it is text."""
    found: list[int] = tokenizer(text, split_special_tokens=True)["input_ids"]
    if found[-1:] != [tokenizer.eos_token_id]:
        found.append(tokenizer.eos_token_id)
    return np.array(found, dtype=np.int32)
