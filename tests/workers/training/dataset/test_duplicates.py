"""Rows that say the same, and nearly the same."""

import time

import numpy as np

from tests.workers.training.dataset.rows import label, parallel, text
from workers.training.dataset.duplicates import (
    HASHES,
    components,
    near_pairs,
    row_fingerprint,
    signature,
)


def pairs_of(texts: list[str], likeness: float = 0.8) -> set[tuple[int, int]]:
    signed = np.stack([signature(one) for one in texts])
    found = near_pairs(signed, np.zeros(len(texts), np.int64), likeness)
    return set(zip(found.first.tolist(), found.later.tolist(), strict=True))


def test_case_spaces_and_punctuation_make_no_other_row() -> None:
    same = [label(1, text="Where is my order?"), label(2, text="where is  MY order")]
    assert len({row_fingerprint(row) for row in same}) == 1
    others = [
        label(1, text="Where is my order?", label="lost"),
        label(1, text="Where was my order"),
    ]
    assert len({row_fingerprint(row) for row in [*same, *others]}) == 3


def test_one_word_for_two_languages_is_two_rows() -> None:
    rows = [parallel(1, lang, target="OK") for lang in ("de", "nl")]
    assert len({row_fingerprint(row) for row in rows}) == 2


def test_a_word_more_is_a_near_duplicate_in_any_script() -> None:
    long = "My parcel was handed to a neighbour whom I do not know, and now it is gone for good"
    assert pairs_of([long, text(1), long + "!!", f"{long} thanks", text(2)]) >= {
        (0, 2),
        (0, 3),
    }
    chinese = "我的包裹被交给了一个我不认识的邻居现在找不到了请帮我查一下"
    assert pairs_of([chinese, text(3), chinese.replace("请帮", "帮")]) == {(0, 2)}
    assert pairs_of([text(number) for number in range(200)]) == set()


def test_languages_are_kept_apart() -> None:
    signed = np.stack([signature("Menu")] * 3)
    found = near_pairs(signed, np.array([1, 2, 1]), 0.8)
    assert list(zip(found.first, found.later, strict=True)) == [(0, 2)]


def test_what_is_tied_twice_has_one_number() -> None:
    numbers = components(5, np.array([0, 1]), np.array([1, 4]))
    assert numbers[0] == numbers[1] == numbers[4]
    assert len(set(numbers.tolist())) == 3


def test_time_grows_with_the_number_of_rows_only() -> None:
    random = np.random.default_rng(1)
    signed = random.integers(0, 2**32, (50_000, HASHES), dtype=np.uint32)
    # Half of all rows are one and the same: a bucket that pairs would grow with its square.
    signed[::2] = signed[0]
    began = time.process_time()
    found = near_pairs(signed, np.zeros(len(signed), np.int64), 0.8)
    assert len(np.unique(found.later)) == 24_999
    assert time.process_time() - began < 20
