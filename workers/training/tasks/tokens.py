"""Fine-tunes a model that finds the entities of a text."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
from datasets import Dataset as Columns
from peft import TaskType
from transformers import (
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    EvalPrediction,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from core.errors import Misconfigured, Rejected
from workers.evaluation.metrics import share, span_f1
from workers.training.adversarial import AdversarialTrainer
from workers.training.classifying import (
    IGNORED,
    likeliest,
    load_classifier,
    longest,
    weighted_loss,
)
from workers.training.dataset.examples import Tokens
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import save_model
from workers.training.recipe import Recipe
from workers.training.tokenizer import tokenizer_for

_OUTSIDE = "O"


class TokenLabels(Recipe):
    """Learn the entities of rows; the first piece of a word stands for the whole word.

    So `aggregation_strategy="first"` is the one for a pipeline of transformers.
    """

    task: Literal["tokens"]


def build(recipe: TokenLabels, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer whose best checkpoint is the one of the highest F1 of whole entities.

    Raises:
        Rejected: train has no entity, or dev has a type of entity that train lacks.
        Misconfigured: the base's tokenizer does not tell where in a text its tokens are.
    """
    train, dev = (dataset.rows(part, Tokens) for part in (Part.TRAIN, Part.DEV))
    names = _names(dataset, train, dev)
    tokenizer = tokenizer_for(recipe, dataset, "encoder")
    if not tokenizer.is_fast:
        raise Misconfigured(
            f"{recipe.base}: its tokenizer does not tell where in a text a token is; the base needs"
            " a tokenizer.json"
        )
    model = load_classifier(
        AutoModelForTokenClassification, recipe, names, tokenizer, TaskType.TOKEN_CLS
    )
    limit = longest(recipe, tokenizer, model)
    # Who loads the model is to cut texts there as well.
    tokenizer.model_max_length = limit
    dev_columns = _columns(dev, names, tokenizer, limit)
    trainer = AdversarialTrainer(
        model=model,
        args=arguments(recipe, len(train), checkpoints, of=TrainingArguments, best="span_f1"),
        train_dataset=_columns(train, names, tokenizer, limit),
        eval_dataset=dev_columns,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        compute_loss_func=weighted_loss(recipe.label_smoothing),
        compute_metrics=partial(_scores, names=names),
        preprocess_logits_for_metrics=likeliest,
        callbacks=patience(recipe),
    )
    trainer.adversary = recipe.adversary
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev_columns, [row.lang for row in dev]),
    )


def word_starts(
    words: Iterable[str], pieces: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Which piece is the first of which word, of words joined by one space each.

    `pieces` are places in that text, empty for special tokens; a piece may begin with the space
    before its word. A word without a piece of its own is left out.

    Returns: (piece, word), both counted from 0.
    """
    # A word ends where its characters and one space for each word before it do.
    ends = list(accumulate(words, lambda end, word: end + 1 + len(word), initial=-1))[1:]
    word, starts = -1, 0
    for piece, (_, end) in enumerate(pieces):
        if end <= starts:
            continue
        word = next(at for at in range(word + 1, len(ends)) if end <= ends[at])
        starts = ends[word] + 1
        yield piece, word


def _names(dataset: Dataset, train: tuple[Tokens, ...], dev: tuple[Tokens, ...]) -> list[str]:
    """O, then beginning and inside of each type of entity."""
    types, of_dev = (
        {tag[2:] for row in rows for tag in row.tags if tag != _OUTSIDE} for rows in (train, dev)
    )
    if not types:
        raise Rejected(f"{dataset.folder}: no train row has an entity")
    if of_dev - types:
        raise Rejected(
            f"{dataset.folder}: dev has types of entities that no train row has"
            f" ({', '.join(sorted(of_dev - types)[:5])}); split the dataset anew"
        )
    return [_OUTSIDE, *(f"{mark}-{kind}" for kind in sorted(types) for mark in "BI")]


def _columns(
    rows: tuple[Tokens, ...], names: list[str], tokenizer: PreTrainedTokenizerBase, limit: int
) -> Columns:
    """The first tokens of each text; its words are joined as a pipeline will see them."""
    numbers = {name: at for at, name in enumerate(names)}
    encoded: Any = tokenizer(
        [" ".join(row.tokens) for row in rows],
        truncation=True,
        max_length=limit,
        return_offsets_mapping=True,
    )
    labels = []
    for row, pieces in zip(rows, encoded.pop("offset_mapping"), strict=True):
        of_row = [IGNORED] * len(pieces)
        for piece, word in word_starts(row.tokens, pieces):
            of_row[piece] = numbers[row.tags[word]]
        labels.append(of_row)
    return Columns.from_dict({**encoded, "labels": labels})


def _scores(predicted: EvalPrediction, names: list[str]) -> dict[str, float]:
    """Over the words that were read; those behind the limit of tokens do not count."""
    gold, found = np.asarray(predicted.label_ids), np.asarray(predicted.predictions)
    read = gold != IGNORED
    tags = [
        [
            [names[number] for number in numbers[kept]]
            for numbers, kept in zip(part, read, strict=True)
        ]
        for part in (gold, found)
    ]
    return {"span_f1": span_f1(*tags), "accuracy": share((gold == found)[read])}
