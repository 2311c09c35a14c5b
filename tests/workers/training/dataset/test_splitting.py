"""Rows over train, dev and test."""

from collections import Counter

import numpy as np

from tests.workers.training.dataset.rows import label, text
from workers.training.dataset.folder import Part
from workers.training.dataset.splitting import PARTS, Split, leaks, parts, place

HOW = Split(dev=0.1, test=0.2)


def shared_out(groups: list[str]) -> list[Part]:
    names = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    tied = np.array([names[group] for group in groups])
    places = np.array([place(group) for group in groups])
    return [PARTS[number] for number in parts(tied, places, HOW)]


def test_shares_come_out_as_asked() -> None:
    counts = Counter(shared_out([f"c{number}" for number in range(4_000)]))
    assert abs(counts[Part.DEV] / 4_000 - 0.1) < 0.02
    assert abs(counts[Part.TEST] / 4_000 - 0.2) < 0.02


def test_rows_that_are_added_move_no_others() -> None:
    groups = [f"c{number}" for number in range(500)]
    before = shared_out(groups)
    after = shared_out([f"new{number}" for number in range(300)] + groups[::-1])
    assert after[300:] == before[::-1]


def test_tied_groups_go_where_their_lowest_goes() -> None:
    def shared(tied: list[int], places: list[float]) -> list[Part]:
        return [PARTS[one] for one in parts(np.array(tied), np.array(places), HOW)]

    assert shared([0, 1, 2], [0.95, 0.2, 0.85]) == [Part.TEST, Part.TRAIN, Part.TEST]
    assert shared([0, 0, 2], [0.95, 0.2, 0.85]) == [Part.TRAIN, Part.TRAIN, Part.TEST]
    assert shared([0, 1, 0], [0.2, 0.75, 0.95]) == [Part.TRAIN, Part.DEV, Part.TRAIN]


def test_a_leak_is_found_and_named() -> None:
    clean = {Part.TRAIN: [label(1), label(2)], Part.DEV: [label(3)], Part.TEST: [label(4)]}
    assert leaks(clean) == ()
    by_group = {**clean, Part.TEST: [label(5, group="g1")]}
    assert leaks(by_group) == ('group "g1": test, train',)
    again = {**clean, Part.DEV: [label(6, text=text(2).upper() + "!")]}
    (said,) = leaks(again)
    assert said.startswith('near duplicates of "')
    assert said.endswith("dev, train")
