"""The paired bootstrap, on differences whose size is known."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from workers.evaluation.metrics import Numbers
from workers.evaluation.paired import differences, paired_bootstrap
from workers.evaluation.text_metrics import bleu, corpus_score, statistics


def scores(rows: int, gain: float, *, seed: int = 1) -> tuple[Numbers, Numbers]:
    dice = np.random.default_rng(seed)
    before = dice.random(rows)
    return before, before + gain + dice.normal(0, 0.2, rows)


def test_interval_and_p_agree_with_the_t_test_on_means() -> None:
    before, after = scores(400, 0.02)
    found = paired_bootstrap(before, after, draws=4_000)
    theirs = stats.ttest_rel(after, before)
    assert found.change == pytest.approx((after - before).mean())
    assert found.p == pytest.approx(theirs.pvalue, abs=0.02)
    low, high = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.002)


def test_a_great_gain_is_no_chance_and_none_is() -> None:
    before, after = scores(200, 0.2)
    assert paired_bootstrap(before, after).p == pytest.approx(1 / 1001)
    assert paired_bootstrap(after, before).low < paired_bootstrap(after, before).high < 0
    same = paired_bootstrap(before, before)
    assert (same.change, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_p_is_even_where_nothing_differs() -> None:
    """A test at 5 % must be wrong about one time in twenty."""
    found = [paired_bootstrap(*scores(60, 0.0, seed=seed), draws=200).p for seed in range(200)]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_rows_of_one_cluster_are_drawn_together() -> None:
    """Ten like rows each tell no more than one, whatever their order."""
    before, after = scores(30, 0.05)
    alone = paired_bootstrap(before, after)
    mixed = np.random.default_rng(0).permutation(300)
    clusters = np.repeat(np.arange(30), 10)[mixed]
    found = paired_bootstrap(before[clusters], after[clusters], clusters=clusters)
    assert (found.low, found.high, found.p) == pytest.approx((alone.low, alone.high, alone.p))
    careless = paired_bootstrap(before[clusters], after[clusters])
    assert careless.high - careless.low < 0.5 * (found.high - found.low)


def test_a_large_cluster_counts_by_its_rows() -> None:
    clusters = np.array([7] * 6 + [*range(100, 194)])
    gain = np.where(clusters == 7, 1.0, 0.0)
    found = paired_bootstrap(np.zeros(100), gain, clusters=clusters)
    assert found.after == pytest.approx(0.06)
    assert found.low == 0
    assert found.p > 0.05
    assert paired_bootstrap(np.zeros(100), gain).p < 0.05


def test_p_is_even_where_clusters_differ_by_chance() -> None:
    def p(seed: int) -> float:
        before, after = scores(40, 0.0, seed=seed)
        of = np.repeat(np.arange(40), 5)
        return paired_bootstrap(before[of], after[of], clusters=of, draws=200).p

    assert np.mean([p(seed) < 0.05 for seed in range(200)]) == pytest.approx(0.05, abs=0.04)


def test_bleu_is_compared_by_what_each_sentence_adds() -> None:
    gold = [[f"the parcel number {n} came to the shop on monday"] for n in range(40)]
    good = [text for (text,) in gold]
    bad = [text.replace("came to", "left for") if n % 2 else text for n, (text,) in enumerate(gold)]
    before, after = (statistics(bleu(), texts, gold) for texts in (bad, good))
    found = paired_bootstrap(before, after, partial(corpus_score, bleu()), draws=200)
    assert found.after == pytest.approx(100)
    assert found.before == pytest.approx(bleu().corpus_score(bad, [good]).score)
    assert 0 < found.low < found.change < found.high
    assert found.p < 0.01


def test_versions_of_other_rows_are_refused() -> None:
    for one, other in [(3, 4), (0, 0)]:
        with pytest.raises(ValueError, match="cannot be compared"):
            paired_bootstrap(np.zeros(one), np.zeros(other))


def test_metrics_that_a_draw_or_a_version_lacks_are_left_out() -> None:
    flags = np.array([True, False, False, False])

    def now(rows: NDArray[np.int64]) -> dict[str, float]:
        drawn = flags[rows]
        return {"all": float(drawn.mean())} | ({"some": 1.0} if drawn.any() else {})

    found = differences(lambda rows: {"some": 0.5}, now, np.arange(4), draws=50)
    assert set(found) == {"some"}
    assert (found["some"].low, found["some"].high) == (0.5, 0.5)
