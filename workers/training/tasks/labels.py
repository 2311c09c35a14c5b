"""Fine-tunes a model that puts a text into one of several classes."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from datasets import Dataset as Columns
from peft import TaskType
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    EvalPrediction,
    TrainingArguments,
)

from core.errors import Rejected
from workers.evaluation.metrics import macro_f1, share
from workers.training.adversarial import TEXT, AdversarialTrainer
from workers.training.classifying import likeliest, load_classifier, longest, weighted_loss
from workers.training.dataset.balancing import class_weights
from workers.training.dataset.examples import Label
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import save_model
from workers.training.recipe import Recipe, TypoAdversary
from workers.training.tokenizer import tokenizer_for


class Labels(Recipe):
    """Learn the labels of rows: sentiment, urgency, intent.

    With `class_weights` balanced, the loss of a row counts the more the rarer its label is.
    """

    takes_typos: ClassVar[bool] = True

    task: Literal["labels"]
    class_weights: Literal["none", "balanced"] = "none"


def build(recipe: Labels, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer whose best checkpoint is the one of the highest macro-F1.

    Raises: Rejected: there is nothing to tell apart, or dev has a label that train lacks.
    """
    train, dev = (dataset.rows(part, Label) for part in (Part.TRAIN, Part.DEV))
    counts = Counter(row.label for row in train)
    names = sorted(counts)
    _check_labels(dataset, names, dev)
    tokenizer = tokenizer_for(recipe, dataset, "encoder")
    model = load_classifier(
        AutoModelForSequenceClassification, recipe, names, tokenizer, TaskType.SEQ_CLS
    )
    limit = longest(recipe, tokenizer, model)
    # Who loads the model is to cut texts there as well.
    tokenizer.model_max_length = limit
    encode = partial(tokenizer.__call__, truncation=True, max_length=limit)
    mistyped = isinstance(recipe.adversary, TypoAdversary)
    dev_columns = _columns(dev, names, encode)
    trainer = AdversarialTrainer(
        model=model,
        args=arguments(recipe, len(train), checkpoints, of=TrainingArguments, best="macro_f1"),
        train_dataset=_columns(train, names, encode, with_text=mistyped),
        eval_dataset=dev_columns,
        data_collator=partial(_padded, pad=DataCollatorWithPadding(tokenizer)),
        compute_loss_func=weighted_loss(recipe.label_smoothing, _weights(recipe, counts, names)),
        compute_metrics=partial(_scores, classes=len(names)),
        preprocess_logits_for_metrics=likeliest,
        callbacks=patience(recipe),
    )
    trainer.adversary = recipe.adversary
    trainer.encode = partial(encode, padding=True, return_tensors="pt")
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev_columns, [row.lang for row in dev]),
    )


def _check_labels(dataset: Dataset, names: list[str], dev: tuple[Label, ...]) -> None:
    if len(names) == 1:
        raise Rejected(f'{dataset.folder}: every train row has the label "{names[0]}"; need two')
    unseen = sorted({row.label for row in dev}.difference(names))
    if unseen:
        raise Rejected(
            f"{dataset.folder}: dev has labels that no train row has ({', '.join(unseen[:5])});"
            " split the dataset anew, or leave these rows out"
        )


def _weights(recipe: Labels, counts: Counter[str], names: list[str]) -> list[float] | None:
    if recipe.class_weights == "none":
        return None
    weights = class_weights(counts)
    return [weights[name] for name in names]


def _columns(
    rows: Sequence[Label], names: list[str], encode: Callable[..., Any], *, with_text: bool = False
) -> Columns:
    """The first tokens of each text, with the number of its label."""
    numbers = {name: at for at, name in enumerate(names)}
    texts = [row.text for row in rows]
    columns = {**encode(texts), "labels": [numbers[row.label] for row in rows]}
    return Columns.from_dict(columns | {TEXT: texts} if with_text else columns)


def _padded(rows: Sequence[dict[str, Any]], pad: DataCollatorWithPadding) -> dict[str, Any]:
    """A batch; texts, if there are any, go along as they are."""
    texts = [row.pop(TEXT) for row in rows if TEXT in row]
    return {**pad(list(rows)), **({TEXT: texts} if texts else {})}


def _scores(predicted: EvalPrediction, classes: int) -> dict[str, float]:
    gold, found = np.asarray(predicted.label_ids), np.asarray(predicted.predictions)
    return {"macro_f1": macro_f1(gold, found, classes), "accuracy": share(gold == found)}
