"""Metrics, against scikit-learn where it has them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from workers.evaluation.metrics import (
    auroc,
    average_precision,
    f1_by_class,
    macro_f1,
    mean_reciprocal_rank,
    ndcg_at,
    recall_at,
    share,
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
