"""Metrics, against scikit-learn where it has them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from workers.evaluation.metrics import (
    auroc,
    average_precision,
    calibration_error,
    f1_by_class,
    macro_f1,
    mean_reciprocal_rank,
    ndcg_at,
    recall_at,
    reliability,
    share,
    span_f1,
    spans,
)


@pytest.mark.parametrize("levels", [3, 20, 10_000])
def test_rankings_agree_with_scikit_learn_with_ties_and_without(levels: int) -> None:
    dice = np.random.default_rng(levels)
    positive = dice.random(400) < 0.2
    scores = (dice.integers(0, levels, 400) + positive * levels / 4).astype(np.float64)
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert average_precision(scores, positive) == pytest.approx(
        average_precision_score(positive, scores)
    )


def test_a_ranking_of_one_kind_only_has_no_auroc() -> None:
    scores = np.array([0.1, 0.9])
    assert auroc(scores, np.array([True, True])) is None
    assert auroc(scores, np.array([False, False])) is None
    assert average_precision(scores, np.array([False, False])) is None


def test_f1_agrees_with_scikit_learn_over_the_classes_that_are_there() -> None:
    dice = np.random.default_rng(1)
    gold = dice.integers(0, 5, 300)
    said = np.where(dice.random(300) < 0.6, gold, dice.integers(-1, 5, 300))
    theirs = f1_score(gold, said, labels=range(5), average=None)
    assert f1_by_class(gold, said, 5) == pytest.approx(theirs)
    assert macro_f1(gold, said, 6) == pytest.approx(theirs.mean()), "class 5 has no rows"


def test_ranks_of_the_one_right_document() -> None:
    ranks = np.array([1.0, 2.0, 6.0, np.inf])
    assert recall_at(ranks, 1) == 0.25
    assert recall_at(ranks, 5) == 0.5
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 2 + 1 / 6) / 4)
    assert ndcg_at(ranks, 5) == pytest.approx((1 + 1 / np.log2(3)) / 4)


def test_nothing_has_a_share_of_nothing() -> None:
    assert share(np.array([], np.bool_)) == 0.0


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-PER I-PER O", {("PER", 1, 3)}),
        ("B-PER B-PER I-PER", {("PER", 0, 1), ("PER", 1, 3)}),
        ("I-LOC I-LOC O I-ORG", {("LOC", 0, 2), ("ORG", 3, 4)}),
        ("B-PER I-LOC I-LOC", {("PER", 0, 1), ("LOC", 1, 3)}),
        ("B-PER I-PER E-PER S-ORG", {("PER", 0, 3), ("ORG", 3, 4)}),
        ("B-PER E-PER I-PER", {("PER", 0, 2), ("PER", 2, 3)}),
        ("B-some-kind I-some-kind", {("some-kind", 0, 2)}),
        ("O - B- X-PER nonsense", set()),
        ("", set()),
    ],
)
def test_entities_are_read_from_tags_however_bad(
    tags: str, found: set[tuple[str, int, int]]
) -> None:
    assert spans(tags.split()) == found


def test_span_f1_asks_for_type_and_both_ends() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-ORG"]]
    said = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"]]
    assert span_f1(gold, said) == pytest.approx(1 / 3)
    assert span_f1(gold, gold) == 1.0
    assert span_f1([["O"]], [["O"]]) == 0.0


def test_calibration_compares_what_is_stated_with_what_holds() -> None:
    stated = np.array([0.05, 0.62, 0.66, 0.64, 0.68, 1.0])
    right = np.array([False, True, False, True, True, True])
    low, middle, high = reliability(stated, right)
    assert (low.rows, middle.rows, high.rows) == (1, 4, 1)
    assert middle.stated == pytest.approx(0.65)
    assert middle.right == 0.75
    assert calibration_error(stated, right) == pytest.approx((0.05 + 4 * 0.1 + 0.0) / 6)
    assert calibration_error(stated[:0], right[:0]) == 0.0
