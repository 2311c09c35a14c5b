"""How often rows of rare languages and labels are seen."""

from collections import Counter

import numpy as np
import pytest

from core.errors import Rejected
from workers.training.dataset.balancing import class_weights, draw, level, shares

KEYS = ["en"] * 900 + ["de"] * 90 + ["is"] * 10


def test_a_temperature_lifts_what_is_rare() -> None:
    counts = Counter(KEYS)
    assert shares(counts) == pytest.approx({"en": 0.9, "de": 0.09, "is": 0.01})
    # 0.9 ** 0.5, 0.09 ** 0.5 and 0.01 ** 0.5 are 0.949, 0.3 and 0.1.
    assert shares(counts, 2) == pytest.approx({"en": 0.7034, "de": 0.2224, "is": 0.0741}, abs=1e-4)
    assert shares(counts, 1e9) == pytest.approx(dict.fromkeys(counts, 1 / 3))
    with pytest.raises(Rejected, match=r"temperature of 0\.5 is below 1"):
        shares(counts, 0.5)


def test_rows_are_drawn_by_their_shares() -> None:
    drawn = draw(KEYS, 100, temperature=2, seed=1)
    assert Counter(KEYS[at] for at in drawn) == {"en": 70, "de": 22, "is": 8}
    assert len(set(drawn.tolist())) == 100
    assert draw(KEYS, 100, temperature=2, seed=1).tolist() == drawn.tolist()
    assert draw(KEYS, 100, temperature=2, seed=2).tolist() != drawn.tolist()


def test_no_row_comes_twice_before_all_of_its_language_came_once() -> None:
    drawn = draw(KEYS, 1_000, temperature=1e9, seed=1)
    times = Counter(at for at in drawn.tolist() if KEYS[at] == "is")
    assert len(times) == 10
    assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize(("how", "count"), [("over", 900), ("under", 10)])
def test_labels_are_made_equally_frequent(how: str, count: int) -> None:
    found = level(KEYS, "over" if how == "over" else "under", seed=1)
    assert Counter(KEYS[at] for at in found) == dict.fromkeys(("en", "de", "is"), count)


def test_class_weights_leave_the_mean_loss_as_it_was() -> None:
    counts = Counter(KEYS)
    weights = class_weights({**counts, "none": 0})
    assert weights == pytest.approx({"en": 1 / 2.7, "de": 1 / 0.27, "is": 1 / 0.03})
    assert np.mean([weights[key] for key in KEYS]) == pytest.approx(1.0)


def test_nothing_is_drawn_from_nothing() -> None:
    assert draw([], 10, temperature=1, seed=0).size == level([], "over", seed=0).size == 0
