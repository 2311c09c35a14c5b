"""Trains a head: a small classifier on the vectors of a sentence encoder, which stays as it is.

    task: head
    encoder: ""               # a folder or hub id; the one that ships
    dataset: var/starter/tone # rows of kind label
    languages: [en, de]       # to learn from; all rows of others are only scored

What the encoder reads alike in two languages is judged alike, so a language without labels needs
none. It writes model/head.safetensors and result.json.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from core.errors import Rejected
from core.language import same_language
from retrieval.encoder import Encoder, Vectors, open_encoder
from retrieval.head import FILE, Head, save_head
from retrieval.writing import Progress
from workers.evaluation.metrics import Codes, macro_f1
from workers.training.dataset.examples import Label, Tag
from workers.training.dataset.folder import Dataset, Part, open_dataset
from workers.training.finished import Result, finish, finished, unfinished
from workers.training.recipe import Block, Positive
from workers.training.recipe_file import read_settings

_STEP = 256
_FOLDS = 5


class HeadRecipe(Block):
    """Learn the labels of rows in `languages`, or in all; `strengths` are tried on dev rows.

    A strength is how far the weights may grow (scikit-learn's `C`); rare labels count as much as
    frequent ones. Where most texts have one label, name it `usual`: a text has another only from a
    probability at which that is right in the share `precision` of the learnt rows, each judged by
    a head that did not learn from its group.
    """

    task: Literal["head"]
    dataset: Path
    encoder: str = ""
    languages: tuple[Tag, ...] = ()
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0, 3.0, 10.0, 30.0)
    usual: str = ""
    precision: Annotated[float, Field(gt=0, le=1)] = 0.95


def fit_head(path: Path, folder: Path, progress: Progress) -> Result:
    """Carry out the recipe in the file `path`; the head is in `folder`/model.

    Returns: the content of `result.json`: scores of test rows, and of all rows of languages that it
    did not learn from.
    Raises: Rejected, Misconfigured: the recipe is wrong, or does not fit the data.
    """
    recipe = _read(path)
    dataset = open_dataset(recipe.dataset)
    if (result := finished(folder, recipe, dataset)) is not None:
        return result
    began_s = time.monotonic()
    encoder = open_encoder(recipe.encoder or None)
    rows = {part: dataset.rows(part, Label) for part in Part}
    learnt = [row for row in rows[Part.TRAIN] if _learns_from(recipe, row.lang)]
    chosen = [row for row in rows[Part.DEV] if _learns_from(recipe, row.lang)]
    tested = [
        row
        for part in Part
        for row in rows[part]
        if part is Part.TEST or not _learns_from(recipe, row.lang)
    ]
    names = sorted({row.label for row in learnt})
    _check(dataset, names, chosen, tested)
    if recipe.usual:
        _check_usual(dataset, names, learnt, recipe.usual)
    seen = _encode(encoder, learnt, progress)
    tried = _encode(encoder, chosen, progress)
    asked = _encode(encoder, tested, progress)
    models = [_fit(seen, _codes(learnt, names), strength) for strength in recipe.strengths]
    scores = [
        macro_f1(_codes(chosen, names), np.asarray(model.predict(tried), np.int64), len(names))
        for model in models
    ]
    best = int(np.argmax(scores))
    head = _head(models[best], names, encoder.id)
    if recipe.usual:
        floor = _floor(seen, learnt, names, recipe, recipe.strengths[best])
        head = replace(head, usual=recipe.usual, floor=floor)
    found = np.array([names.index(label) for label in head.judge(asked)], np.int64)
    result = {
        "task": recipe.task,
        "encoder": encoder.id,
        "labels": names,
        "rows": len(learnt),
        "strength": recipe.strengths[best],
        "dev": {"macro_f1": round(scores[best], 4)},
        "test": _scores(tested, found, names),
        "floor": round(head.floor, 4),
        "labels_found": _by_label(tested, found, names),
        "languages": _by_language(recipe, tested, found, names),
        "took_s": round(time.monotonic() - began_s, 1),
    }
    place = unfinished(folder)
    place.mkdir()
    save_head(head, place / FILE)
    finish(folder, recipe, result, dataset)
    return result


def _read(path: Path) -> HeadRecipe:
    recipe: HeadRecipe = read_settings(path, TypeAdapter(HeadRecipe))
    moved: dict[str, object] = {"dataset": path.parent / recipe.dataset}
    if recipe.encoder and (path.parent / recipe.encoder).is_dir():
        moved["encoder"] = str(path.parent / recipe.encoder)
    return recipe.model_copy(update=moved)


def _learns_from(recipe: HeadRecipe, language: str) -> bool:
    return not recipe.languages or any(same_language(language, one) for one in recipe.languages)


def _check(
    dataset: Dataset,
    names: Sequence[str],
    chosen: Sequence[Label],
    tested: Sequence[Label],
) -> None:
    if len(names) < 2:
        raise Rejected(f"{dataset.folder}: train has rows of {len(names)} labels; need two")
    if not chosen:
        raise Rejected(f"{dataset.folder}: dev has no rows in the languages to learn from")
    unknown = Counter(row.label for row in (*chosen, *tested) if row.label not in names)
    if unknown:
        raise Rejected(f'{dataset.folder}: no train row has the label "{next(iter(unknown))}"')


def _check_usual(
    dataset: Dataset, names: Sequence[str], learnt: Sequence[Label], usual: str
) -> None:
    if usual not in names:
        raise Rejected(f'{dataset.folder}: no train row has the usual label "{usual}"')
    if len({row.group for row in learnt}) < 2:
        raise Rejected(f"{dataset.folder}: usual needs train rows of two groups or more")
    for learn, _ in _folds(learnt):
        left = {learnt[at].label for at in learn}
        if usual not in left or len(left) < 2:
            raise Rejected(
                f'{dataset.folder}: usual needs train rows of "{usual}", and of other labels, in'
                " more groups: without some of them only one of the two is left"
            )


def _encode(encoder: Encoder, rows: Sequence[Label], progress: Progress) -> Vectors:
    found = []
    with asyncio.Runner() as runner:
        for at in range(0, len(rows), _STEP):
            progress("encoding", at, len(rows))
            texts = [row.text for row in rows[at : at + _STEP]]
            found.append(runner.run(encoder.questions(texts)))
    return np.concatenate(found)


def _codes(rows: Sequence[Label], names: Sequence[str]) -> Codes:
    return np.array([names.index(row.label) for row in rows], np.int64)


def _fit(vectors: Vectors, labels: Codes, strength: float) -> Any:
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2_000)
    return model.fit(vectors, labels)


def _floor(
    vectors: Vectors,
    rows: Sequence[Label],
    names: Sequence[str],
    recipe: HeadRecipe,
    strength: float,
) -> float:
    """The least probability from which a text that is called unusual is so often enough."""
    gold = _codes(rows, names)
    usual = names.index(recipe.usual)
    unusual = np.zeros(len(rows))
    for learn, judge in _folds(rows):
        model = _fit(vectors[learn], gold[learn], strength)
        at = list(model.classes_).index(usual)
        unusual[judge] = 1 - model.predict_proba(vectors[judge])[:, at]
    order = np.argsort(-unusual, kind="stable")
    right = np.cumsum(gold[order] != usual) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(right >= recipe.precision)
    # Above every probability: never.
    return float(unusual[order[enough[-1]]]) if len(enough) else 2.0


def _folds(rows: Sequence[Label]) -> Iterator[tuple[Any, Any]]:
    """The places of rows to learn from, and of those that are then judged; no group is in both."""
    groups = [row.group for row in rows]
    folds = GroupKFold(n_splits=min(_FOLDS, len(set(groups))))
    found: Iterator[tuple[Any, Any]] = folds.split(groups, groups=groups)
    return found


def _head(model: Any, names: Sequence[str], encoder: str) -> Head:
    weights = np.asarray(model.coef_, np.float32)
    bias = np.asarray(model.intercept_, np.float32)
    if len(names) == 2:
        # Of two labels, scikit-learn keeps the scores of the second alone.
        half = np.float32(0.5)
        weights = np.concatenate([-weights, weights]) * half
        bias = np.concatenate([-bias, bias]) * half
    return Head(labels=tuple(names), encoder=encoder, weights=weights, bias=bias)


def _by_label(
    rows: Sequence[Label], found: Codes, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """How often each label is right where it is given, and how many of its rows get it."""
    gold = _codes(rows, names)
    told = {}
    for at, label in enumerate(names):
        right = int(((gold == at) & (found == at)).sum())
        given, there = int((found == at).sum()), int((gold == at).sum())
        told[label] = {
            "precision": round(right / given, 4) if given else 0.0,
            "recall": round(right / there, 4) if there else 0.0,
        }
    return told


def _scores(rows: Sequence[Label], found: Codes, names: Sequence[str]) -> dict[str, float]:
    gold = _codes(rows, names)
    return {
        "macro_f1": round(macro_f1(gold, found, len(names)), 4),
        "accuracy": round(float((gold == found).mean()), 4),
    }


def _by_language(
    recipe: HeadRecipe, rows: Sequence[Label], found: Codes, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Scores of each language, and whether it was learnt from."""
    places: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        places.setdefault(row.lang, []).append(at)
    return {
        tag: {
            "rows": len(some),
            "learnt": _learns_from(recipe, tag),
            **_scores([rows[at] for at in some], found[some], names),
        }
        for tag, some in sorted(places.items())
    }
